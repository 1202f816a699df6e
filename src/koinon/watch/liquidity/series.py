# SPDX-License-Identifier: Apache-2.0
"""What early warning looks at besides flows: by day, what was liquid and how much the largest held."""

from __future__ import annotations

from collections import defaultdict
from heapq import nlargest
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.markets.history.history import History
from koinon.watch.liquidity.flows import DAY_S, NOBODY, Flows, moves

Floats = NDArray[np.float64]

TOP: Final = 3
COMES: Final = frozenset({"supply", "repay", "liquidation", "vault_deposit"})
LEAVES: Final = frozenset({"withdraw", "borrow", "vault_withdraw"})


def liquid_by_day(history: History, contract: str, flows: Flows, asset: str, now: int) -> Floats:
    """(days,) of the flows: what could be paid out at each day's end, in smallest units.

    Told backwards from what is liquid ``now``: by the asset's own transfers to and from the contract where
    they are among the rows, else by what the contract says was lent, repaid, put in and taken out. What the
    other tokens it holds would have brought is taken to have been the same.
    """
    by_day = np.zeros(len(flows))
    paid = [
        row
        for row in history.rows
        if row.kind == "transfer" and row.asset == asset and contract in {row.account, row.counterparty}
    ]
    if paid:
        told = [(row.timestamp, row.amount if row.counterparty == contract else -row.amount) for row in paid]
    else:
        told = [
            (row.timestamp, row.amount if row.kind in COMES else -row.amount)
            for row in history.rows
            if contract in {row.contract, row.market} and row.kind in COMES | LEAVES
        ]
    for moment, amount in told:
        day = moment // DAY_S - flows.first_day
        if day >= 0:
            by_day[min(day, len(flows) - 1)] += float(amount)
    after = np.concatenate([np.cumsum(by_day[::-1])[::-1][1:], [0.0]])
    return np.maximum(float(now) - after, 0.0)


def top_share_by_day(history: History, contract: str, flows: Flows, top: int = TOP) -> Floats:
    """(days,) of the flows: the share that the largest holders had at each day's end."""
    held: dict[str, int] = defaultdict(int)
    found = np.zeros(len(flows))
    steps = sorted(_held(history, contract))
    at = 0
    for day in range(len(flows)):
        end = (flows.first_day + day + 1) * DAY_S
        while at < len(steps) and steps[at][0] < end:
            held[steps[at][1]] += steps[at][2]
            at += 1
        amounts = [amount for amount in held.values() if amount > 0]
        found[day] = sum(nlargest(top, amounts)) / sum(amounts) if amounts else 0.0
    return found


def _held(history: History, contract: str) -> list[tuple[int, str, int]]:
    """(time, account, units) of shares, or of money where shares are no tokens; as `flows.holdings`."""
    shares = [row for row in history.rows if row.kind == "transfer" and contract in {row.asset, row.contract}]
    if not shares:
        return list(moves(history.rows, contract))
    found = []
    for row in shares:
        for account, units in ((row.account, -row.amount), (row.counterparty, row.amount)):
            if account not in (NOBODY, contract):
                found.append((row.timestamp, account, units))
    return found
