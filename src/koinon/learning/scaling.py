# SPDX-License-Identifier: Apache-2.0
"""Public scaling of features: the same numbers for every owner, known to all, revealing no row.

A recipe either brings fixed constants, or every owner sends count, sums and sums of squares once and all get
the pooled mean and deviation (Chan, Golub and LeVeque 1983).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.tables import Features

SMALLEST_DEVIATION = 1e-6


@dataclass(frozen=True)
class Scaling:
    """``(f(x) - center) / scale`` a column; f is sign(x)·log(1 + |x|) for money-like columns, else x."""

    signed_log: tuple[bool, ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.signed_log) == len(self.center) == len(self.scale):
            raise BadInput("A scaling needs one entry a column.", code="learning.scaling")
        numbers = np.array((*self.center, *self.scale), dtype=np.float64)
        if not np.isfinite(numbers).all() or min(self.scale, default=1.0) <= 0:
            raise BadInput("A scaling needs finite numbers and positive scales.", code="learning.scaling")

    def apply(self, features: Features) -> Features:
        """Scaled copy, float32, same shape; BadInput when the columns do not fit."""
        if features.ndim != 2 or features.shape[1] != len(self.center):
            raise BadInput(
                f"The model reads {len(self.center)} columns, the table has {features.shape[-1]}.",
                code="learning.shape",
            )
        flat = flatten(features, self.signed_log)
        scaled = (flat - np.array(self.center)) / np.array(self.scale)
        return np.asarray(scaled, dtype=np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, for JSON."""
        return {
            "signed_log": list(self.signed_log),
            "center": list(self.center),
            "scale": list(self.scale),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Scaling:
        """Read what :meth:`to_dict` wrote."""
        try:
            return cls(
                tuple(bool(value) for value in fields["signed_log"]),
                tuple(float(value) for value in fields["center"]),
                tuple(float(value) for value in fields["scale"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput("This is not a scaling.", code="learning.scaling") from error


@dataclass(frozen=True)
class Statistics:
    """What one owner tells about its table: rows, and per column the sum and the sum of squares after f."""

    rows: int
    sums: tuple[float, ...]
    squares: tuple[float, ...]

    @classmethod
    def of(cls, features: Features, signed_log: Sequence[bool]) -> Statistics:
        """Computed by the owner; nothing else about the rows leaves it."""
        flat = flatten(features, signed_log)
        return cls(
            features.shape[0],
            tuple(float(value) for value in flat.sum(axis=0)),
            tuple(float(value) for value in (flat * flat).sum(axis=0)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, for JSON."""
        return {"rows": self.rows, "sums": list(self.sums), "squares": list(self.squares)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any], columns: int) -> Statistics:
        """Read what :meth:`to_dict` wrote; BadInput when it cannot come from a table of so many columns."""
        try:
            found = cls(
                int(fields["rows"]),
                tuple(float(value) for value in fields["sums"]),
                tuple(float(value) for value in fields["squares"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput("These are not a table's statistics.", code="learning.statistics") from error
        numbers = np.array((*found.sums, *found.squares), dtype=np.float64)
        possible = (
            found.rows > 0
            and len(found.sums) == len(found.squares) == columns
            and bool(np.isfinite(numbers).all())
            and all(
                square >= 0 and total * total <= found.rows * square * (1 + 1e-6) + 1e-6
                for total, square in zip(found.sums, found.squares, strict=True)
            )
        )
        if not possible:
            raise BadInput("No table has these statistics.", code="learning.statistics")
        return found


def flatten(features: Features, signed_log: Sequence[bool]) -> NDArray[np.float64]:
    """f of every column, float64."""
    values = features.astype(np.float64)
    money = np.array(signed_log, dtype=bool)
    values[:, money] = np.sign(values[:, money]) * np.log1p(np.abs(values[:, money]))
    return values


def combine(parts: Sequence[Statistics], signed_log: Sequence[bool]) -> Scaling:
    """The pooled mean and standard deviation of all owners; constant columns keep scale 1."""
    rows = sum(part.rows for part in parts)
    if rows == 0:
        raise BadInput("Nobody has rows to scale by.", code="learning.no_rows")
    mean = np.sum([part.sums for part in parts], axis=0) / rows
    variance = np.sum([part.squares for part in parts], axis=0) / rows - mean * mean
    deviation = np.sqrt(np.maximum(variance, 0.0))
    scale = np.where(deviation > SMALLEST_DEVIATION, deviation, 1.0)
    return Scaling(tuple(bool(value) for value in signed_log), tuple(mean.tolist()), tuple(scale.tolist()))
