# SPDX-License-Identifier: Apache-2.0
"""Where listed money went: by haircut (every payment carries its payer's mixture) or first in, first out.

Amounts are whole numbers of the smallest unit and nothing is lost in rounding: what left the sources equals
what everyone holds, to the unit (Anderson et al. 2018 compare the methods). An account that pays more than
came in had the rest before the table begins; that rest is clean.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from koinon.errors import BadInput
from koinon.watch.graph.edges import Edges

METHODS: Final = ("haircut", "fifo")
UNIT: Final = 10**6


@dataclass(frozen=True)
class Taint:
    """What became of the money of listed accounts, in smallest units.

    Parameters
    ----------
    held : dict
        Account → tainted units it holds at the end; those of sources that came back are theirs.
    balance : dict
        Account → units it holds at the end, of what the table shows.
    moved : list of int
        Row → tainted units it carried.
    released : int
        Tainted units that left the sources.
    """

    held: Mapping[int, int]
    balance: Mapping[int, int]
    moved: Sequence[int]
    released: int

    def share(self, account: int) -> float:
        """The tainted part of what an account holds; 0 where it holds nothing."""
        balance = self.balance.get(account, 0)
        return self.held.get(account, 0) / balance if balance else 0.0


@dataclass
class _Purse:
    """What one account holds."""

    units: int = 0
    tainted: int = 0
    coins: deque[tuple[int, bool]] = field(default_factory=deque)


def follow(
    edges: Edges,
    sources: Iterable[int],
    *,
    method: str = "haircut",
    amounts: Sequence[int] | None = None,
) -> Taint:
    """Follow everything that the source accounts pay.

    Parameters
    ----------
    method : str
        ``haircut`` or ``fifo``.
    amounts : sequence of int, optional
        Exact amounts of the rows; else the edges' own, rounded to a millionth.

    Raises
    ------
    BadInput
        Another method, or amounts that are not those of the rows.
    """
    if method not in METHODS:
        raise BadInput(f"Taint is followed by {' or '.join(METHODS)}, not {method}.", code="watch.taint")
    units = [round(each * UNIT) for each in edges.amount.tolist()] if amounts is None else list(amounts)
    if len(units) != len(edges) or any(each < 0 for each in units):
        raise BadInput("Every transfer has one amount, which is not negative.", code="watch.taint")
    origins = set(sources)
    purses: dict[int, _Purse] = {}
    moved, released = [], 0
    for payer, payee, amount in zip(edges.source.tolist(), edges.target.tolist(), units, strict=True):
        giver = purses.setdefault(payer, _Purse())
        if payer in origins:
            pieces: list[tuple[int, bool]] = [(amount, True)] if amount else []
            # what a source gets back is spent first, and taints nobody twice
            back = _take(giver, amount, method)
            released += amount - sum(part for part, tainted in back if tainted)
        else:
            pieces = _take(giver, amount, method)
        _put(purses.setdefault(payee, _Purse()), pieces, method)
        moved.append(sum(part for part, tainted in pieces if tainted))
    return Taint(
        {account: purse.tainted for account, purse in purses.items() if purse.tainted},
        {account: purse.units for account, purse in purses.items()},
        moved,
        released,
    )


def _take(purse: _Purse, amount: int, method: str) -> list[tuple[int, bool]]:
    """Take that much out; what is not there comes from before the table, clean."""
    here = min(amount, purse.units)
    tainted = 0
    if method == "haircut":
        if here:
            tainted = purse.tainted * here // purse.units
        pieces = [(tainted, True), (amount - tainted, False)]
    else:
        pieces, left = [], here
        while left:
            part, dirty = purse.coins.popleft()
            used = min(part, left)
            if used < part:
                purse.coins.appendleft((part - used, dirty))
            pieces.append((used, dirty))
            tainted += used if dirty else 0
            left -= used
        pieces.append((amount - here, False))
    purse.units -= here
    purse.tainted -= tainted
    return [(part, dirty) for part, dirty in pieces if part]


def _put(purse: _Purse, pieces: Iterable[tuple[int, bool]], method: str) -> None:
    for part, dirty in pieces:
        purse.units += part
        purse.tainted += part if dirty else 0
        if method == "haircut":
            continue
        if purse.coins and purse.coins[-1][1] == dirty:
            before, _ = purse.coins.pop()
            purse.coins.append((before + part, dirty))
        else:
            purse.coins.append((part, dirty))
