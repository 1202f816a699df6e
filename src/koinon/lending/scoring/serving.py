# SPDX-License-Identifier: Apache-2.0
"""A scorecard that answers for one borrower: points, tier, probability, reasons, and what it can be held to.

`koinon lending train` writes a small Python file beside the scorecard, whose function a gateway sells as any
other: ``koinon service publish score.py:score --price 0.001``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from koinon.errors import BadInput
from koinon.lending.scoring.challenger import Challenger, tightened
from koinon.lending.scoring.frame import Column, Frame, Numeric
from koinon.lending.scoring.frame_reading import column_of
from koinon.lending.scoring.reasons import explain
from koinon.lending.scoring.scorecard import Scorecard
from koinon.lending.scoring.words import notice, ways_up

Cell = float | str | None

FILE: Final = '''\
# SPDX-License-Identifier: Apache-2.0
"""Made by `koinon lending train`. Sell it: koinon service publish {service}:score --price 0.001"""

from pathlib import Path

from koinon.lending.scoring.serving import Answer, Cell, Scorer

_HERE = Path(__file__).parent
_scorer = Scorer.open(_HERE / "{scorecard}", {challenger})


def score(features: dict[str, Cell]) -> Answer:
    """Credit points with their reasons: {summary}."""
    return _scorer.answer(features)
'''


@dataclass(frozen=True)
class Answer:
    """What is said of one borrower.

    ``points`` and ``tier`` (0 the best) are the scorecard's, ``final_tier`` the worse of it and the
    challenger's; ``probability`` of going bad is the higher of both. ``scorecard`` is the file's sha256,
    ``table`` the digest that the contract names; ``auc`` and ``baseline`` were measured on ``measured_on``.
    """

    points: int
    tier: int
    final_tier: int
    probability: float
    reasons: list[str]
    ways_up: list[str]
    scorecard: str
    table: str
    auc: float | None
    baseline: float | None
    measured_on: str


class Scorer:
    """Answers with a scorecard, and a challenger where there is one."""

    def __init__(self, scorecard: Scorecard, challenger: Challenger | None = None) -> None:
        self.scorecard = scorecard
        self.challenger = challenger
        self._digest = scorecard.digest
        self._table = "0x" + scorecard.table.digest.hex()

    @classmethod
    def open(cls, scorecard: Path, challenger: Path | None = None) -> Scorer:
        """From files; NotFound or BadInput."""
        return cls(Scorecard.load(scorecard), None if challenger is None else Challenger.load(challenger))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is asked for."""
        more = () if self.challenger is None else self.challenger.columns
        return tuple(dict.fromkeys((*self.scorecard.columns, *more)))

    def answer(self, features: Mapping[str, Cell]) -> Answer:
        """Points and reasons of one borrower, by column name; None, or no such name, is a missing value.

        Raises
        ------
        BadInput
            A column that nobody asked for, or a name where a number is read.
        """
        unknown = sorted(set(features) - set(self.columns))
        if unknown:
            raise BadInput(
                f"Nobody asked for '{unknown[0]}'.",
                hint=f"Columns are: {', '.join(self.columns)}.",
                code="lending.columns",
            )
        frame = Frame(
            {name: self._cell(name, features.get(name)) for name in self.columns}, np.zeros(1, np.int64)
        )
        found = explain(self.scorecard, self.scorecard.rows(frame)[0])
        tier, chance = found.tier, float(self.scorecard.chances(frame)[0])
        if self.challenger is not None:
            tiers, chances = tightened(self.scorecard, self.challenger, frame)
            tier, chance = int(tiers[0]), float(chances[0])
        report = self.scorecard.about.get("report") or {}
        auc = {model["name"]: model["auc"]["value"] for model in report.get("models", ())}
        return Answer(
            points=found.points,
            tier=found.tier,
            final_tier=tier,
            probability=chance,
            reasons=notice(self.scorecard, found),
            ways_up=ways_up(self.scorecard, found),
            scorecard=self._digest,
            table=self._table,
            auc=auc.get("scorecard"),
            baseline=auc.get("raw logistic"),
            measured_on=f"{report['data']} ({report['evidence']}), {report['split']}" if report else "",
        )

    def _cell(self, name: str, cell: Cell) -> Column:
        named = any(reader.name == name and reader.categories for reader in self.scorecard.readers)
        if self.challenger is not None and name in self.challenger.columns:
            named = named or bool(self.challenger.categories[self.challenger.columns.index(name)])
        if named:
            if isinstance(cell, int | float):
                cell = f"{cell:g}"
            from_text = column_of(
                [cell or "", "x"]
            )  # a second row that is no number, so that names stay names
            return from_text.take(np.array([0]))
        try:
            return Numeric(np.array([np.nan if cell in (None, "") else float(cell)]))
        except ValueError:
            raise BadInput(f"'{name}' is a number, not {cell!r}.", code="lending.columns") from None


def service_file(scorecard: str, challenger: str, service: str, summary: str) -> str:
    """The Python file whose function a gateway sells; names of files beside it."""
    other = f'_HERE / "{challenger}"' if challenger else "None"
    plain = " ".join(summary.replace('"', "'").replace("\\", "/").split())
    return FILE.format(scorecard=scorecard, challenger=other, service=service, summary=plain)
