# SPDX-License-Identifier: Apache-2.0
"""Many buyers and many sellers of one unit each, cleared at once (McAfee 1992, "A dominant strategy double
auction").

Nobody gains by a false bid or ask, whoever trades gains or loses nothing, and what buyers pay covers what
sellers get. The price of that is at most the least valuable of the trades, and a difference that the
auctioneer keeps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from koinon.errors import BadInput

Integers = NDArray[np.int64]
MOST = 1 << 62
"""Bids and asks are below it, so that their sum is an integer of 64 bits."""


@dataclass(frozen=True, eq=False)
class Clearing:
    """Who trades, and at which prices.

    Attributes
    ----------
    buyers, sellers : (t,) int64
        Their places among bids and asks, best first; the i-th buyer trades with the i-th seller.
    paid, received : int
        What each of these buyers pays and each of these sellers gets. ``paid >= received``.
    """

    buyers: Integers
    sellers: Integers
    paid: int
    received: int

    @property
    def trades(self) -> int:
        return len(self.buyers)

    @property
    def kept(self) -> int:
        """What the auctioneer keeps."""
        return self.trades * (self.paid - self.received)


def mcafee(bids: ArrayLike, asks: ArrayLike) -> Clearing:
    """Clear bids (n,) and asks (m,), integers in the smallest unit. Of equal ones earlier places come first.

    Let k be the last rank at which the bid is at least the ask. If the mean of bid and ask k + 1, rounded
    down, lies between ask k and bid k, all k pairs trade at it. Otherwise pair k stays out and sets the
    prices: the others pay bid k and get ask k.

    Raises BadInput where a number is negative or not below 2^62.
    """
    demand, supply = _integers(bids), _integers(asks)
    buyers = np.argsort(-demand, kind="stable")
    sellers = np.argsort(supply, kind="stable")
    ranks = min(len(demand), len(supply))
    falling, rising = demand[buyers], supply[sellers]
    crossing = int(np.count_nonzero(falling[:ranks] >= rising[:ranks]))
    if not crossing:
        return Clearing(buyers[:0], sellers[:0], 0, 0)
    last_bid, last_ask = int(falling[crossing - 1]), int(rising[crossing - 1])
    if crossing < ranks:
        price = (int(falling[crossing]) + int(rising[crossing])) // 2
        if last_ask <= price <= last_bid:
            return Clearing(buyers[:crossing], sellers[:crossing], price, price)
    return Clearing(buyers[: crossing - 1], sellers[: crossing - 1], last_bid, last_ask)


def most_welfare(values: ArrayLike, costs: ArrayLike) -> int:
    """The most that any trades could make: the sum of value minus cost over all pairs that gain."""
    demand, supply = np.sort(_integers(values))[::-1], np.sort(_integers(costs))
    ranks = min(len(demand), len(supply))
    gains = demand[:ranks] - supply[:ranks]
    return sum(gains[gains > 0].tolist())


def _integers(numbers: ArrayLike) -> Integers:
    try:
        found = np.asarray(numbers)
        if found.size == 0:
            return np.zeros(0, dtype=np.int64)
        exact = found.astype(np.int64, casting="safe")
    except (TypeError, ValueError, OverflowError) as error:
        raise _bad() from error
    if exact.ndim != 1 or int(exact.min()) < 0 or int(exact.max()) >= MOST:
        raise _bad()
    return exact


def _bad() -> BadInput:
    return BadInput(
        "Bids and asks are whole numbers of the smallest unit, from 0 to below 2^62.",
        code="agents.bids",
    )
