# SPDX-License-Identifier: Apache-2.0
"""Whether a value at risk was exceeded as often as it says, and not on days in a row.

Sources: Kupiec, Techniques for Verifying the Accuracy of Risk Measurement Models, Journal of Derivatives 3
(1995); Christoffersen, Evaluating Interval Forecasts, International Economic Review 39 (1998).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import log
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.extras import required

REJECTED: Final = 0.05
"""The p-value below which a test rejects."""


@dataclass(frozen=True)
class Tested:
    """A likelihood ratio and its p-value: how likely one as large is where the figures are right."""

    ratio: float
    p: float

    @property
    def rejected(self) -> bool:
        """Whether the figures are not believed."""
        return self.p < REJECTED


@dataclass(frozen=True)
class Backtest:
    """How often, whether often enough (`kupiec`), whether in a row (`independence`), both (`coverage`)."""

    days: int
    exceeded: int
    expected: float
    kupiec: Tested
    independence: Tested
    coverage: Tested

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "rejected": self.coverage.rejected}


def kupiec(days: int, exceeded: int, level: float) -> Tested:
    """Proportion of failures: ``-2 ln`` of the likelihood at ``1 - level`` over that at the share seen, as
    chi-squared with one degree of freedom.

    Raises
    ------
    BadInput
        There are no days, or more exceeded than there are (``watch.tail``).
    """
    if not 0 <= exceeded <= days or days == 0:
        raise BadInput(
            f"{exceeded} of {days} days cannot be tested.", hint="Give a longer series.", code="watch.tail"
        )
    told = _likelihood(days - exceeded, exceeded, 1 - level)
    seen = _likelihood(days - exceeded, exceeded, exceeded / days)
    return _tested(-2 * (told - seen), 1)


def independence(exceeded: NDArray[np.bool_]) -> Tested:
    """Christoffersen's first-order Markov test: whether a day after an exceeded one is exceeded as often as
    any other; one degree of freedom."""
    before, after = exceeded[:-1], exceeded[1:]
    calm_calm, calm_bad = int((~before & ~after).sum()), int((~before & after).sum())
    bad_calm, bad_bad = int((before & ~after).sum()), int((before & after).sum())
    pairs = max(before.size, 1)
    together = _likelihood(calm_calm + bad_calm, calm_bad + bad_bad, (calm_bad + bad_bad) / pairs)
    apart = _likelihood(calm_calm, calm_bad, calm_bad / max(calm_calm + calm_bad, 1))
    apart += _likelihood(bad_calm, bad_bad, bad_bad / max(bad_calm + bad_bad, 1))
    return _tested(-2 * (together - apart), 1)


def backtest(exceeded: NDArray[np.bool_], level: float) -> Backtest:
    """All three; conditional coverage is the sum of both ratios, with two degrees of freedom."""
    days, count = int(exceeded.size), int(exceeded.sum())
    often, apart = kupiec(days, count, level), independence(exceeded)
    both = _tested(often.ratio + apart.ratio, 2)
    return Backtest(days, count, days * (1 - level), often, apart, both)


def _likelihood(calm: int, bad: int, share: float) -> float:
    """``ln((1 - share)^calm share^bad)`` with ``0^0 = 1``."""
    return (calm * log(1 - share) if calm else 0.0) + (bad * log(share) if bad else 0.0)


def _tested(ratio: float, freedom: int) -> Tested:
    special = required("scipy.special", extra="watch")
    bounded = max(ratio, 0.0)  # below 0 by rounding only
    return Tested(bounded, float(special.chdtrc(freedom, bounded)))
