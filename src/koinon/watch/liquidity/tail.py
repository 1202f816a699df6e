# SPDX-License-Identifier: Apache-2.0
"""Value at risk and expected shortfall of a series of returns, as each day could have known them.

Losses are returns with the sign turned. Historical: the window's own quantile. Filtered: the window's returns
divided by the volatility known before each (RiskMetrics' exponentially weighted one), their quantile times
the volatility known now, so that the figure follows calm and storm (Hull and White, Journal of Risk 1, 1998).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput

Floats = NDArray[np.float64]

METHODS: Final = ("historical", "filtered")
LEVELS: Final = (0.95, 0.99)
WINDOW_DAYS: Final = 500
DECAY: Final = 0.94
"""RiskMetrics' for daily returns (Technical Document, 1996)."""

_FIRST: Final = 20  # days whose mean square begins the volatility
_LEAST: Final = 1e-12


@dataclass(frozen=True)
class Tail:
    """``value_at_risk``: a loss that is exceeded on a share ``1 - level`` of days; ``shortfall``: the mean
    loss on that share of days. Both as losses, hence usually positive."""

    level: float
    value_at_risk: float
    shortfall: float


@dataclass(frozen=True)
class Foretold:
    """One method's figures for each day from ``start`` on, made of earlier days alone."""

    method: str
    level: float
    start: int
    losses: Floats
    value_at_risk: Floats
    shortfall: Floats

    @property
    def exceeded(self) -> NDArray[np.bool_]:
        """The days whose loss was larger than the figure."""
        return np.asarray(self.losses > self.value_at_risk, dtype=np.bool_)

    @property
    def shortfall_ratio(self) -> float:
        """Mean loss of the days beyond the figure, over the mean shortfall foretold for them (1 is right,
        above 1 too low); nan where there is no such day."""
        days = self.exceeded
        return float(self.losses[days].mean() / self.shortfall[days].mean()) if days.any() else float("nan")


def historical(losses: Floats, level: float) -> Tail:
    """The smallest loss that at least ``level`` of the days do not exceed, and the tail's exact mean (the
    day on the edge counts by its share: Acerbi and Tasche, 2002).

    Raises
    ------
    BadInput
        There are fewer losses than one a tail of this level needs (``watch.tail``).
    """
    found, mean = _tails(_checked(losses, level)[None, :], level)
    return Tail(level, float(found[0]), float(mean[0]))


def volatility(returns: Floats, decay: float = DECAY) -> Floats:
    """(days + 1,): the standard deviation known before each day, the last for the day after the series. The
    first 20 days' mean square begins it."""
    squares = np.square(np.asarray(returns, dtype=np.float64))
    found = np.empty(squares.size + 1)
    found[0] = squares[:_FIRST].mean() if squares.size else 0.0
    for day, square in enumerate(squares.tolist()):
        found[day + 1] = decay * found[day] + (1 - decay) * square
    return np.asarray(np.sqrt(np.maximum(found, _LEAST)), dtype=np.float64)


def filtered(losses: Floats, level: float, decay: float = DECAY) -> Tail:
    """As `historical`, of losses brought to the volatility of the day after the series."""
    known = volatility(losses, decay)
    found = historical(_checked(losses, level) / known[:-1], level)
    return Tail(level, found.value_at_risk * float(known[-1]), found.shortfall * float(known[-1]))


def foretell(
    returns: Floats,
    level: float,
    method: str = "filtered",
    *,
    window: int = WINDOW_DAYS,
    decay: float = DECAY,
) -> Foretold:
    """For each day after the first ``window``, what the ``window`` days before it say.

    Raises
    ------
    BadInput
        The series is not longer than the window, or the window too short for the level (``watch.tail``).
    """
    losses = -np.asarray(returns, dtype=np.float64)
    if method not in METHODS:
        raise BadInput(f"There is no method {method!r}.", hint="historical or filtered", code="watch.tail")
    if losses.size <= window:
        raise BadInput(
            f"{losses.size} days are not more than the {window} that a figure is made of.",
            hint="Give a longer series or a shorter --window.",
            code="watch.tail",
        )
    _checked(losses[:window], level)
    before = np.lib.stride_tricks.sliding_window_view(losses, window)[:-1]
    scale = np.ones(losses.size - window)
    if method == "filtered":
        known = volatility(losses, decay)[:-1]
        scale = known[window:]
        before = before / np.lib.stride_tricks.sliding_window_view(known, window)[:-1]
    edge, mean = _tails(before, level)
    return Foretold(method, level, window, losses[window:], edge * scale, mean * scale)


def _tails(rows: Floats, level: float) -> tuple[Floats, Floats]:
    """(rows, days) of losses: each row's quantile and tail mean."""
    days = rows.shape[1]
    share = (1 - level) * days
    beyond = int(np.floor(share + 1e-9))
    ordered = np.sort(rows, axis=1)
    edge = ordered[:, days - 1 - beyond]
    whole = ordered[:, days - beyond :].sum(axis=1)
    return edge, (whole + max(share - beyond, 0.0) * edge) / share


def _checked(losses: Floats, level: float) -> Floats:
    if not 0.5 <= level < 1:
        raise BadInput(
            f"A level of {level:g} is none.", hint="Such as 0.95, from 0.5 up to 1.", code="watch.tail"
        )
    if losses.size * (1 - level) < 1 - 1e-9:
        raise BadInput(
            f"{losses.size} days have no day in a tail of {1 - level:.1%}.",
            hint="Give more days or a lower level.",
            code="watch.tail",
        )
    if not np.isfinite(losses).all():
        raise BadInput("A return is not a number.", hint="Fill or leave out such days.", code="watch.tail")
    return losses
