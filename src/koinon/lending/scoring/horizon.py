# SPDX-License-Identifier: Apache-2.0
"""The label of an on-chain loan: did it go bad within so many days of being taken?

"Liquidated, or health factor below 1, within H days of a borrow." A borrow is labelled only once its whole
horizon lies before the end of what was seen; a younger one is neither good nor bad yet, and is left out. A
fault before the borrow or in its very second, or after the horizon, does not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.lending.scoring.frame import Integers

DAY_S = 86_400
HORIZONS_DAYS = (30, 90)


@dataclass(frozen=True, eq=False)
class Borrows:
    """Loans taken, one row each: who (``borrower``, integers or text) and when (``time_s``, Unix seconds)."""

    borrower: NDArray[np.generic]
    time_s: Integers


@dataclass(frozen=True, eq=False)
class Faults:
    """Liquidations and moments at which a borrower's health factor was below 1, in any order."""

    borrower: NDArray[np.generic]
    time_s: Integers


@dataclass(frozen=True, eq=False)
class Labelled:
    """``rows`` of the borrows whose horizon of ``days`` is over; their ``labels``: 1 went bad within it."""

    rows: Integers
    labels: Integers
    waiting: int
    days: int

    def __len__(self) -> int:
        return len(self.rows)


def label_by_horizon(borrows: Borrows, faults: Faults, *, days: int, seen_until_s: int) -> Labelled:
    """Labels of loans by what happened within the horizon after each.

    Parameters
    ----------
    days : int
        The horizon H, at least 1.
    seen_until_s : int
        The end of what is known, Unix seconds; nothing later is looked at.

    Raises
    ------
    BadInput
        The horizon is not positive, or borrowers and times do not fit.
    """
    if days < 1:
        raise BadInput("A horizon is at least one day.", code="lending.horizon")
    for part in (borrows, faults):
        if part.borrower.shape != part.time_s.shape:
            raise BadInput("Every borrower needs one time.", code="lending.horizon")
    horizon = days * DAY_S
    ripe = np.flatnonzero(borrows.time_s + horizon <= seen_until_s)
    _, number = np.unique(np.concatenate([borrows.borrower, faults.borrower]), return_inverse=True)
    owner, faulty = number[: len(borrows.borrower)], number[len(borrows.borrower) :]
    known = faults.time_s <= seen_until_s
    order = np.lexsort((faults.time_s[known], faulty[known]))
    whose, when = faulty[known][order], faults.time_s[known][order]
    labels = np.zeros(len(ripe), dtype=np.int64)
    starts = np.searchsorted(whose, owner[ripe], side="left")
    ends = np.searchsorted(whose, owner[ripe], side="right")
    for place, (row, start, end) in enumerate(zip(ripe, starts, ends, strict=True)):
        first = start + np.searchsorted(when[start:end], borrows.time_s[row], side="right")
        labels[place] = int(first < end and when[first] <= borrows.time_s[row] + horizon)
    return Labelled(ripe, labels, len(borrows.time_s) - len(ripe), days)
