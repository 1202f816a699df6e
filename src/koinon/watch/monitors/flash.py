# SPDX-License-Identifier: Apache-2.0
"""Flash-loan shapes: borrowed and repaid inside one transaction, and in between a price moved, a vote cast or
a position ruined.

bZx lost to the first in February 2020 (a thin pair's price, read as an oracle), Euler to the last in March
2023 (a borrower gave its own collateral away and liquidated itself). A flash loan alone is nothing bad.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from koinon.markets.history.rows import EventRow
from koinon.watch.monitors.remembering import Recent
from koinon.watch.monitors.sightings import ACT, NOW, Sighting, Transaction

RULES: Final = frozenset({"vote", "execution"})
CREDIT: Final = frozenset({"borrow", "liquidation", "bad_debt"})


class Flash:
    """Parameters
    ----------
    move : float
        Share by which a pair's price moves inside the transaction (highest over lowest, less one) that makes
        a flash loan an alert.
    with_credit : float
        The same where somebody also borrows or is liquidated in it.
    """

    name = "flash"

    def __init__(self, *, move: float = 0.25, with_credit: float = 0.05) -> None:
        self._move, self._with_credit = move, with_credit
        self._prices: Recent[str, float] = Recent(float, 5_000)

    def see(self, seen: Transaction) -> list[Sighting]:
        """Look at the whole transaction."""
        moved, pair = self._moves(seen)
        kinds = {row.kind for row in seen.rows}
        found = [*self._ruined(seen)]
        if len(seen.rows) < 3:
            return found
        loans = round_trips(seen.of_kind("transfer"))
        flashes = {row.contract for row in seen.of_kind("swap") if row.note == "flash"}
        if not loans and not flashes:
            return found
        lenders = [*(lender for lender, _, _ in loans), *flashes]
        told = "Borrowed and repaid inside one transaction"
        if kinds & RULES:
            row = next(row for row in seen.rows if row.kind in RULES)
            why = f"{told}, with a vote or an execution at {row.contract} in between."
            found.append(self._sighting(f"vote {row.contract}", NOW, why, seen, [row.contract, *lenders]))
        if moved >= self._move or (moved >= self._with_credit and kinds & CREDIT):
            level = NOW if kinds & CREDIT else ACT
            why = f"{told}, while the price in pair {pair} moved by {moved:.0%}"
            why += " and credit was taken or closed." if kinds & CREDIT else "."
            found.append(self._sighting(f"price {pair}", level, why, seen, [pair, *lenders]))
        return found

    def _moves(self, seen: Transaction) -> tuple[float, str]:
        """The greatest move of a pair's price inside the transaction, and the pair."""
        series: dict[str, list[float]] = {}
        for row in seen.of_kind("reserves"):
            if row.amount > 0 and row.amount_2 > 0:
                known = self._prices.get(row.contract)
                prices = series.setdefault(row.contract, [known] if known else [])
                prices.append(row.amount_2 / row.amount)
        for pair, prices in series.items():
            self._prices[pair] = prices[-1]
        moves = [(max(prices) / min(prices) - 1, pair) for pair, prices in series.items()]
        return max(moves, default=(0.0, ""))

    def _ruined(self, seen: Transaction) -> list[Sighting]:
        """Who borrows and is liquidated in one transaction is liquidated by its own hand."""
        borrowed = {(row.market, row.account): row for row in seen.of_kind("borrow")}
        found = []
        for row in seen.of_kind("liquidation"):
            if (row.market, row.account) in borrowed:
                why = f"{row.account} borrowed at {row.contract} and was liquidated in the same transaction."
                accounts = [row.account, row.counterparty, row.contract]
                found.append(
                    Sighting.of(
                        self.name,
                        f"liquidated {row.contract} {row.account}",
                        NOW,
                        why,
                        seen,
                        accounts=accounts,
                        rows=[each for each in seen.rows if each.kind != "transfer"],
                    )
                )
        return found

    def _sighting(
        self, subject: str, level: int, why: str, seen: Transaction, accounts: Iterable[str]
    ) -> Sighting:
        return Sighting.of(self.name, subject, level, why, seen, accounts=accounts)


def round_trips(transfers: Iterable[EventRow]) -> list[tuple[str, str, int]]:
    """Who gave a token away and had all of it back at the end of the rows: (lender, token, most that was
    out), the largest first. The zero address is one that made a token and destroyed it again."""
    held: dict[tuple[str, str], int] = defaultdict(int)
    lowest: dict[tuple[str, str], int] = defaultdict(int)
    for row in transfers:
        token = row.asset or row.contract
        held[row.account, token] -= row.amount
        held[row.counterparty, token] += row.amount
        lowest[row.account, token] = min(lowest[row.account, token], held[row.account, token])
    found = [(who, token, -low) for (who, token), low in lowest.items() if low < 0 <= held[who, token]]
    return sorted(found, key=lambda each: (-each[2], each[0], each[1]))
