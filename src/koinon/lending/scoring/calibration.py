# SPDX-License-Identifier: Apache-2.0
"""From points to the probability of going bad, fitted on rows that taught nothing.

``platt`` is a logistic curve in the points (Platt 1999) and needs few rows; ``isotonic`` only assumes that
more points are never riskier (Zadrozny and Elkan 2002) and needs many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from koinon.errors import BadInput
from koinon.lending.scoring.binning.base import pooled_monotone
from koinon.lending.scoring.frame import Floats, Integers
from koinon.lending.scoring.measures import calibration_slope, expit

KINDS: Final = ("platt", "isotonic")
YEAR_DAYS: Final = 365
_UNIT: Final = 100.0
"""Points are divided by this while a curve is fitted."""


def yearly(pd: float, horizon_days: int) -> float:
    """The probability of going bad within a year, from that within a horizon: 1 - (1 - pd)^(365 / days).

    It assumes that who has not gone bad by the horizon's end goes on to do so at the same rate (a constant
    hazard), and that the loan is open all year. Where loans that go bad mostly do so early, a year's
    probability from a short horizon is too high, which errs on the lender's side. Scores as pools read
    them (`koinon.lending.score_word.ScoreWord`) and a pool's tiers hold a year's.

    Parameters
    ----------
    pd : float
        0 to 1, as a scorecard taught on labels of this horizon says it.
    horizon_days : int
        Of the labels, at least 1.

    Raises
    ------
    BadInput
        One of them is out of range.
    """
    if not 0 <= pd <= 1 or horizon_days < 1:
        raise BadInput(
            "A probability lies between 0 and 1, and its horizon is at least one day.",
            code="lending.calibration",
        )
    if pd == 1:
        return 1.0
    return float(-np.expm1(np.log1p(-pd) * YEAR_DAYS / horizon_days))


@dataclass(frozen=True)
class Calibration:
    """A falling curve from points to a probability.

    ``knots`` are (points, probability): for ``platt`` the slope per 100 points and the intercept in log odds,
    for ``isotonic`` the curve's corners, between which it is straight.
    """

    kind: str
    knots: tuple[tuple[float, float], ...]

    def chances(self, points: Integers | Floats) -> Floats:
        """Probabilities of going bad, shape as the points."""
        at = points.astype(np.float64)
        if self.kind == "platt":
            slope, intercept = self.knots[0]
            return expit(intercept + slope * at / _UNIT)
        where, height = (np.array(part) for part in zip(*self.knots, strict=True))
        found: Floats = np.interp(at, where, height)
        return found

    def points_for(self, chance: float) -> int:
        """The fewest whole points whose probability is at most this; far away where none is."""
        asked = np.arange(-5_000, 10_001, dtype=np.int64)
        good = np.flatnonzero(self.chances(asked) <= chance)
        return int(asked[good[0]]) if good.size else int(asked[-1])

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "knots": [list(knot) for knot in self.knots]}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Calibration:
        kind = str(fields["kind"])
        knots = tuple((float(one), float(two)) for one, two in fields["knots"])
        if kind not in KINDS or not knots:
            raise BadInput("This is not a calibration.", code="lending.scorecard_file")
        return cls(kind, knots)


def calibrate(points: Integers | Floats, labels: Integers, kind: str = "platt") -> Calibration:
    """A curve fitted on rows that taught nothing.

    Raises
    ------
    BadInput
        An unknown kind, or rows of one class only.
    """
    if kind not in KINDS:
        raise BadInput(
            f"There is no calibration '{kind}'.",
            hint=f"Use {' or '.join(KINDS)}.",
            code="lending.calibration",
        )
    at = points.astype(np.float64)
    if kind == "platt":
        middle = float(at.mean())
        slope, intercept = calibration_slope(labels, expit((middle - at) / _UNIT))
        # a score that sorts the wrong way on these rows says nothing: one probability for all
        slope = max(slope, 0.0)
        if slope == 0.0:
            rate = float(labels.mean())
            return Calibration(kind, ((0.0, float(np.log(rate / (1 - rate)))),))
        return Calibration(kind, ((-slope, intercept + slope * middle / _UNIT),))
    if not 0 < int(labels.sum()) < len(labels):
        raise BadInput("Calibrating needs good and bad rows.", code="lending.calibration")
    where, inverse, counts = np.unique(at, return_inverse=True, return_counts=True)
    bad = np.bincount(inverse, weights=labels)
    # one good and one bad row at the ends: no probability is exactly 0 or 1
    rates = bad / counts
    smooth = pooled_monotone(rates, counts.astype(np.float64), -1)
    floor = 1.0 / (len(labels) + 2)
    smooth = np.clip(smooth, floor, 1 - floor)
    keep = np.ones(len(where), dtype=bool)
    keep[1:-1] = (smooth[1:-1] != smooth[:-2]) | (smooth[1:-1] != smooth[2:])
    return Calibration(kind, tuple(zip(where[keep].tolist(), smooth[keep].tolist(), strict=True)))
