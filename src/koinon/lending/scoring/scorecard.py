# SPDX-License-Identifier: Apache-2.0
"""The champion: a scorecard of whole points, what its points mean, and the file that it is kept in.

Points follow the trade's scale: 600 where good ones outnumber bad ones 50 to 1, 20 more double the odds
(Siddiqi 2006). More points are a better credit; tier 0 is the best.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from koinon.errors import BadInput, NotFound
from koinon.lending.scorecard_table import ScorecardTable
from koinon.lending.scoring.calibration import Calibration
from koinon.lending.scoring.frame import Floats, Frame, Integers
from koinon.lending.scoring.reader import Reader, read_rows

FORMAT: Final = "koinon.scorecard/1"


@dataclass(frozen=True)
class Tier:
    """One tier as it was seen on the rows that calibrated: ``rows`` in it, ``bad`` among them, and the mean
    probability ``chance`` that the calibration gives it."""

    rows: int
    bad: int
    chance: float

    @property
    def rate(self) -> float:
        """The share that went bad; 0 without rows."""
        return self.bad / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Scorecard:
    """A finished scorecard.

    Attributes
    ----------
    table : ScorecardTable
        The points, as the contract keeps them.
    readers : tuple of Reader
        How each column becomes the whole number that the table reads, in the table's order.
    calibration : Calibration
        What points mean.
    tiers : tuple of Tier
        From the best to the worst, one more than the table has thresholds.
    actionable : mapping of str to int
        Columns that a borrower can change, and which way: 1 up, -1 down, 0 either.
    about : mapping
        What it was made from and how: data, split, seed, binner; and its report.
    """

    table: ScorecardTable
    readers: tuple[Reader, ...]
    calibration: Calibration
    tiers: tuple[Tier, ...]
    actionable: Mapping[str, int] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = tuple((reader.name, reader.scale) for reader in self.readers)
        if named != tuple((feature.name, feature.scale) for feature in self.table.features):
            raise BadInput(
                "The scorecard's columns are not those of its table.", code="lending.scorecard_file"
            )
        if len(self.tiers) != len(self.table.thresholds) + 1:
            raise BadInput("A scorecard tells what each tier is.", code="lending.scorecard_file")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads."""
        return self.table.names

    def rows(self, frame: Frame) -> Integers:
        """A frame as whole numbers, shape (rows, features); BadInput where a column is not there."""
        return read_rows(self.readers, frame)

    def points(self, frame: Frame) -> Integers:
        """Points of each row; more are better."""
        return self.table.points(self.rows(frame))

    def chances(self, frame: Frame) -> Floats:
        """Probability of going bad of each row."""
        return self.calibration.chances(self.points(frame))

    def tiers_of(self, frame: Frame) -> Integers:
        """Tier of each row; 0 is the best."""
        return self.table.tiers(self.points(frame))

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "format": FORMAT,
            "table": self.table.to_json(),
            "readers": [reader.to_json() for reader in self.readers],
            "calibration": self.calibration.to_json(),
            "tiers": [{"rows": tier.rows, "bad": tier.bad, "chance": tier.chance} for tier in self.tiers],
            "actionable": dict(self.actionable),
            "about": dict(self.about),
        }

    def to_bytes(self) -> bytes:
        """The file: canonical JSON, so that its digest names one scorecard."""
        return orjson.dumps(self.to_json(), option=orjson.OPT_SORT_KEYS)

    @property
    def digest(self) -> str:
        """sha256 of the file, hexadecimal. The contract names ``table.digest`` instead."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def save(self, path: Path) -> None:
        """Write the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.to_bytes())

    @classmethod
    def from_bytes(cls, content: bytes) -> Scorecard:
        """Read what `to_bytes` wrote; BadInput when it is something else."""
        try:
            fields = {"format": "", **orjson.loads(content)}
            known = {FORMAT: fields}[fields["format"]]
            return cls(
                ScorecardTable.from_json(known["table"]),
                tuple(Reader.from_json(each) for each in known["readers"]),
                Calibration.from_json(known["calibration"]),
                tuple(
                    Tier(int(each["rows"]), int(each["bad"]), float(each["chance"]))
                    for each in known["tiers"]
                ),
                {str(name): int(way) for name, way in known["actionable"].items()},
                known["about"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(
                "This is not a scorecard's file.",
                hint="Make one with `koinon lending train`.",
                code="lending.scorecard_file",
            ) from error

    @classmethod
    def load(cls, path: Path) -> Scorecard:
        """Read a file; NotFound when there is none."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise NotFound(
                f"There is no scorecard at {path}.", hint="Check the path.", code="lending.scorecard_file"
            ) from error
        return cls.from_bytes(content)


def tiers_seen(
    table: ScorecardTable, points: Integers, labels: Integers, chances: Floats
) -> tuple[Tier, ...]:
    """What each tier held on some rows."""
    number = table.tiers(points)
    found = []
    for tier in range(len(table.thresholds) + 1):
        inside = number == tier
        chance = float(chances[inside].mean()) if inside.any() else float("nan")
        found.append(Tier(int(inside.sum()), int(labels[inside].sum()), chance))
    known = [tier.chance for tier in found if not np.isnan(tier.chance)]
    filler = max(known, default=1.0)
    return tuple(
        Tier(tier.rows, tier.bad, filler if np.isnan(tier.chance) else tier.chance) for tier in found
    )
