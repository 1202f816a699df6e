# SPDX-License-Identifier: Apache-2.0
"""Who put money into a pool or vault and took it out, from a chain's rows: by day, and what each holds.

Where shares of the pool are tokens whose transfers are among the rows, holdings follow the shares (a sale of
shares moves no money but changes who can leave); else they are deposits less withdrawals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.markets.history.history import History
from koinon.markets.history.rows import EventRow

Floats = NDArray[np.float64]

DAY_S: Final = 86_400
NOBODY: Final = "0x" + "00" * 20
INTO: Final = ("supply", "vault_deposit")
OUT_OF: Final = ("withdraw", "vault_withdraw")


@dataclass(frozen=True)
class Flows:
    """By day: ``deposited`` and ``withdrawn`` (days,), and ``balance`` (days,) at each day's end, in smallest
    units; ``first_day`` counts days since 1970 in UTC, so that ``first_day % 7`` tells the weekday."""

    first_day: int
    deposited: Floats
    withdrawn: Floats
    balance: Floats

    def __len__(self) -> int:
        return int(self.balance.size)

    @property
    def before(self) -> Floats:
        """(days,): the balance each day began with; the first day's is what came in that day."""
        start = max(float(self.balance[0] - self.deposited[0] + self.withdrawn[0]), 0.0)
        return np.concatenate([[start], self.balance[:-1]])

    @property
    def rate(self) -> Floats:
        """(days,): what was withdrawn, as a share of what the day began with and what came in."""
        available = self.before + self.deposited
        share = np.divide(self.withdrawn, available, out=np.zeros(len(self)), where=available > 0)
        return np.minimum(share, 1.0)

    def through(self, day: int) -> Flows:
        """The first ``day`` days alone."""
        return Flows(self.first_day, self.deposited[:day], self.withdrawn[:day], self.balance[:day])


@dataclass(frozen=True)
class Holdings:
    """Who can leave with how much, the largest first; exact, in smallest units of money or of shares."""

    names: Sequence[str]
    amounts: Sequence[int]

    @classmethod
    def of(cls, held: Mapping[str, int]) -> Holdings:
        """From a table; who holds nothing (or, by money earned, less than nothing) is left out."""
        ordered = sorted(((amount, name) for name, amount in held.items() if amount > 0), reverse=True)
        return cls([name for _, name in ordered], [amount for amount, _ in ordered])

    @property
    def total(self) -> int:
        """Of all holders."""
        return sum(self.amounts)

    @property
    def concentration(self) -> float:
        """Herfindahl's: the sum of squared shares, from near 0 (many equals) to 1 (one holds all)."""
        total = self.total
        return sum((amount / total) ** 2 for amount in self.amounts)

    def scaled(self, total: int) -> Holdings:
        """The same shares of another total, such as of what shares are worth now; rounded down."""
        own = self.total
        return Holdings(self.names, [amount * total // own for amount in self.amounts])


def flows(history: History, contract: str) -> Flows:
    """Deposits and withdrawals of one pool or vault by day, days without any included.

    Raises
    ------
    BadInput
        No row of the history is a deposit of that contract (``watch.flows``).
    """
    found = list(moves(history.rows, contract))
    if not found:
        raise BadInput(
            f"Nothing was deposited into or withdrawn from {contract} in these rows.",
            hint="Import its events first (koinon markets import), and name its contract or market.",
            code="watch.flows",
        )
    first = found[0][0] // DAY_S
    days = found[-1][0] // DAY_S - first + 1
    table = np.zeros((2, days))
    for moment, _, amount in found:
        table[0 if amount > 0 else 1, moment // DAY_S - first] += abs(float(amount))
    deposited, withdrawn = table
    balance = np.maximum(np.cumsum(deposited - withdrawn), 0.0)
    return Flows(int(first), deposited, withdrawn, balance)


def holdings(history: History, contract: str) -> Holdings:
    """What each account holds at the end of the rows; errors as `flows`."""
    held: dict[str, int] = defaultdict(int)
    shares = [row for row in history.rows if row.kind == "transfer" and contract in {row.asset, row.contract}]
    for row in shares:
        held[row.account] -= row.amount
        held[row.counterparty] += row.amount
    if not shares:
        for _, account, amount in moves(history.rows, contract):
            held[account] += amount
    held.pop(NOBODY, None)
    held.pop(contract, None)
    found = Holdings.of(held)
    if not found.names:
        raise BadInput(
            f"Nobody holds anything of {contract} by these rows.",
            hint="Deposits older than the rows are not in them; import from the first block on.",
            code="watch.flows",
        )
    return found


def moves(rows: Iterable[EventRow], contract: str) -> Iterable[tuple[int, str, int]]:
    """(time, account, amount in or, negative, out) of one contract or market. A share token that says nothing
    but its transfers is moved by what is minted and burnt."""
    own = [row for row in rows if contract in {row.contract, row.market}]
    told = [row for row in own if row.kind in {*INTO, *OUT_OF}]
    if told:
        assets = {row.asset for row in told}
        if len(assets) > 1:
            raise BadInput(
                f"{contract} takes {len(assets)} tokens, whose amounts have no sum.",
                hint="Name a market of one token, or leave the other tokens' rows out.",
                code="watch.flows",
            )
        for row in told:
            yield row.timestamp, row.account, row.amount if row.kind in INTO else -row.amount
        return
    for row in own:
        if row.kind == "transfer" and NOBODY in {row.account, row.counterparty}:
            minted = row.account == NOBODY
            yield (
                row.timestamp,
                row.counterparty if minted else row.account,
                row.amount if minted else -row.amount,
            )
