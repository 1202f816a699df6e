# SPDX-License-Identifier: Apache-2.0
"""Shapley values of a game: exactly for up to ten players, above by sampling orders.

Sources: Shapley 1953; Ghorbani and Zou 2019 (truncated Monte Carlo); Mitchell et al. 2022 (an order and its
reverse together vary less than two orders).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput

EXACT_LIMIT: Final = 10
STUDENT: Final = 2.1
"""Student's t for a two-sided 95 % interval of 20 samples."""

Values = NDArray[np.float64]
Game = Callable[[Sequence[int]], float]


@dataclass(frozen=True)
class Estimate:
    """Shapley values in the members' order, half their 95 % interval, and how many subsets were valued."""

    values: Values
    spread: Values
    evaluations: int
    exact: bool


@dataclass(frozen=True)
class Sampling:
    """When to stop drawing orders.

    Attributes
    ----------
    evaluations : int
        Draw no further pair of orders after so many subsets were valued, but
    pairs : int
        at least so many, for an interval to mean anything (20 or more).
    most : int
        Stop after so many pairs: truncated orders may meet few subsets for ever.
    tolerance : float
        The rest of an order counts 0 once its beginning is worth the whole but for this part.
    """

    evaluations: int = 1_000
    pairs: int = 20
    most: int = 200
    tolerance: float = 0.01


def solve(members: Sequence[int], value: Game, empty: float, seed: Sequence[int]) -> Estimate:
    """Shapley values of the members, exactly where that is possible."""
    if len(members) > EXACT_LIMIT:
        return sampled(members, value, empty, np.random.default_rng(seed))
    values = subset_values(members, value, empty)
    found = shapley(values, len(members))
    return Estimate(found, np.zeros_like(found), len(values) - 1, exact=True)


def sampled(
    members: Sequence[int],
    value: Game,
    empty: float,
    random: np.random.Generator,
    sampling: Sampling | None = None,
) -> Estimate:
    """Mean marginal gains over random orders, each with its reverse; no subset is valued twice."""
    sampling = sampling or Sampling()
    known: dict[tuple[int, ...], float] = {(): empty}

    def worth(places: tuple[int, ...]) -> float:
        if places not in known:
            known[places] = value([members[place] for place in places])
        return known[places]

    whole = worth(tuple(range(len(members))))
    near = sampling.tolerance * abs(whole - empty)
    draws: list[Values] = []
    while len(draws) < sampling.pairs or (len(known) <= sampling.evaluations and len(draws) < sampling.most):
        order = random.permutation(len(members))
        gains = [_gains(one, worth, empty, whole, near) for one in (order, order[::-1])]
        draws.append((gains[0] + gains[1]) / 2)
    found = np.array(draws)
    spread = STUDENT * found.std(axis=0, ddof=1) / len(draws) ** 0.5
    return Estimate(found.mean(axis=0), spread, len(known) - 1, exact=False)


def _gains(
    order: NDArray[np.int64],
    worth: Callable[[tuple[int, ...]], float],
    empty: float,
    whole: float,
    near: float,
) -> Values:
    gains, before = np.zeros(len(order)), empty
    for length in range(1, len(order) + 1):
        if abs(whole - before) <= near:
            break
        after = worth(tuple(sorted(order[:length].tolist())))
        gains[order[length - 1]] = after - before
        before = after
    return gains


def subset_values(members: Sequence[int], value: Game, empty: float) -> Values:
    """The value of every subset; entry i is that of the members whose bits are set in i.

    Raises
    ------
    BadInput
        More than ten members.
    """
    if len(members) > EXACT_LIMIT:
        raise BadInput(
            f"Exact Shapley values are computed for at most {EXACT_LIMIT} owners, not {len(members)}.",
            code="learning.too_many_owners",
        )
    found = np.empty(2 ** len(members))
    found[0] = empty
    for subset in range(1, found.shape[0]):
        found[subset] = value([member for bit, member in enumerate(members) if subset >> bit & 1])
    return found


def shapley(values: Values, players: int) -> Values:
    """Exact Shapley values of a game given by all 2^players subset values."""
    result = np.zeros(players)
    sizes = np.array([subset.bit_count() for subset in range(values.shape[0])])
    weights = np.array(
        [factorial(size) * factorial(players - size - 1) / factorial(players) for size in range(players)]
    )
    subsets = np.arange(values.shape[0])
    for player in range(players):
        without = subsets[(subsets >> player) & 1 == 0]
        result[player] = np.sum(weights[sizes[without]] * (values[without | 1 << player] - values[without]))
    return result
