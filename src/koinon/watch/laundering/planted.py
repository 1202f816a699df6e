# SPDX-License-Identifier: Apache-2.0
"""Simulated transfers with laundering planted among them; the truth is known, and it is our own making.

What is planted has the amounts of what is not. Among the honest transfers are those that look like
laundering: payrolls (fans out), shops and collections (fans in), refunds, friends who settle in a circle,
savings that move on, rents just below the threshold, new wallets that spend at once what they got, and
exchanges and bridges that give many their first money.
Figures measured on this say that the machinery works. They do not say what it finds on a real chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.watch.graph.edges import Edges
from koinon.watch.graph.windows import DAY_S, HOUR_S
from koinon.watch.laundering.rules import TYPOLOGIES

SERVICES: Final = ("exchange", "bridge")
FUNDED_BY: Final = {"honest": (0.5, 0.15, 0.35), "planted": (0.15, 0.4, 0.45)}
"""How often new money comes from an exchange, a bridge, another wallet."""
OLD: Final = 0.4
"""The part of the first residents whose first money came before the simulated days."""
THRESHOLD: Final = 10_000.0
START: Final = 1_760_000_000
_Row = tuple[int, int, float, float]


@dataclass(frozen=True)
class Planted:
    """Simulated transfers and the truth about them.

    Parameters
    ----------
    edges : Edges
    illicit : bool[n]
    pattern : int32[n]
        Which planted pattern a transfer belongs to; -1 for honest ones.
    kinds : sequence of str
        Each pattern's kind, one of `TYPOLOGIES`.
    service : int8[accounts]
        What an account is, as its place in `SERVICES`; -1 for a wallet.
    """

    edges: Edges
    illicit: NDArray[np.bool_]
    pattern: NDArray[np.int32]
    kinds: Sequence[str]
    service: NDArray[np.int8]


def plant(
    *,
    accounts: int = 3_000,
    honest: int = 20_000,
    patterns: int = 48,
    days: int = 30,
    seed: int = 0,
) -> Planted:
    """Make transfers of some days; the same seed makes the same.

    Parameters
    ----------
    accounts : int
        Accounts that are there from the beginning; new ones come.
    honest : int
        About so many honest transfers.
    patterns : int
        Planted patterns, of each kind in turn.

    Raises BadInput where there are fewer than 200 accounts or less than two days.
    """
    if accounts < 200 or days < 2 or honest < 100 or patterns < 0:
        raise BadInput(
            "Simulated transfers need 200 accounts, 100 honest transfers and two days.", code="watch.planted"
        )
    town = _Town(np.random.default_rng(seed), accounts, days * DAY_S)
    town.everyday(int(honest * 0.7))
    while town.count < honest:
        town.decoy()
    honest_rows = town.count
    kinds = [TYPOLOGIES[number % len(TYPOLOGIES)] for number in range(patterns)]
    lengths = [town.crime(kind) for kind in kinds]
    town.fund(honest_rows)
    rest = town.count - honest_rows - sum(lengths)
    owner = np.concatenate(
        [np.full(honest_rows, -1), np.repeat(np.arange(patterns), lengths).astype(int), np.full(rest, -1)]
    ).astype(np.int32)
    source, target, moment, amount = town.columns()
    order = np.argsort(moment, kind="stable")
    edges = Edges.of(
        source[order].astype(np.int64),
        target[order].astype(np.int64),
        START + moment[order].astype(np.int64),
        amount[order].round(2),
        [f"0x{each:040x}" for each in range(1, town.accounts + 1)],
    )
    service = np.full(town.accounts, -1, dtype=np.int8)
    for at, those in enumerate(town.services):
        service[those] = at
    return Planted(edges, owner[order] >= 0, owner[order], kinds, service)


class _Town:
    """Accounts that pay each other; rows are (payer, payee, second, amount)."""

    def __init__(self, random: np.random.Generator, accounts: int, span_s: int) -> None:
        self.random, self.residents, self.accounts, self.span_s = random, accounts, accounts, span_s
        busy = np.minimum(random.pareto(1.3, accounts) + 0.2, 12.0)
        self.busy = busy / busy.sum()
        self.scale = random.lognormal(5.0, 1.2, accounts)
        self.rows: list[_Row] = []
        self.bulk: list[NDArray[np.float64]] = []
        self.count = 0
        self.services: list[list[int]] = []

    def columns(self) -> tuple[NDArray[np.float64], ...]:
        rows = np.concatenate([*self.bulk, np.array(self.rows, dtype=np.float64).reshape(-1, 4)])
        return rows[:, 0], rows[:, 1], rows[:, 2], np.maximum(rows[:, 3], 0.01)

    def everyday(self, number: int) -> None:
        payer = self.random.choice(self.residents, number, p=self.busy)
        payee = self.random.choice(self.residents, number, p=self.busy)
        payee = np.where(payer == payee, (payee + 1) % self.residents, payee)
        moment = self.random.integers(0, self.span_s, number)
        amount = self.scale[payer] * self.random.lognormal(0.0, 0.9, number)
        self.bulk.append(np.stack([payer, payee, moment, amount], axis=1).astype(np.float64))
        self.count += number

    def pay(self, payer: int, payee: int, moment: float, amount: float) -> None:
        self.rows.append((payer, payee, min(max(0, int(moment)), self.span_s - 1), amount))
        self.count += 1

    def some(self, number: int) -> list[int]:
        """So many different residents, whoever they are."""
        return [int(each) for each in self.random.choice(self.residents, number, replace=False)]

    def hands(self, number: int) -> list[int]:
        """So many accounts: half of the time new ones, else residents."""
        if self.random.random() < 0.5:
            return self.some(number)
        self.accounts += number
        return list(range(self.accounts - number, self.accounts))

    def moment(self, room_s: int) -> float:
        return float(self.random.integers(0, max(1, self.span_s - room_s)))

    def sum(self) -> float:
        return float(self.random.lognormal(6.0, 1.3))

    def times(self, number: int, within_s: int) -> list[float]:
        start = self.moment(within_s)
        return [start + float(each) for each in np.sort(self.random.integers(0, within_s, number))]

    def fund(self, honest_rows: int) -> None:
        """Most accounts that pay before anything came in are given their first money by an exchange, a bridge
        or another wallet; accounts that were made for laundering more often by a bridge."""
        source, target, moment, amount = self.columns()
        first = np.full(self.accounts, -1, dtype=np.int64)
        for row in np.argsort(moment, kind="stable")[::-1].tolist():
            first[int(target[row])] = first[int(source[row])] = row
        planted = {int(each) for each in source[honest_rows:]} - set(range(self.residents))
        self.services = [
            list(range(self.accounts + 4 * at, self.accounts + 4 * at + 4)) for at in range(len(SERVICES))
        ]
        payers = [each for each in range(self.accounts) if first[each] >= 0]
        self.accounts += 4 * len(SERVICES)
        for payer in payers:
            row = int(first[payer])
            if int(source[row]) != payer or (payer < self.residents and self.random.random() < OLD):
                continue
            by = int(self.random.choice(3, p=FUNDED_BY["planted" if payer in planted else "honest"]))
            giver = int(self.random.choice(self.services[by] if by < len(SERVICES) else self.residents))
            if giver != payer:
                before = self.random.integers(0, int(min(moment[row], DAY_S)) + 1)
                self.pay(giver, payer, moment[row] - before, amount[row] * self.random.uniform(1.0, 4.0))

    # ------------------------------------------------------------ honest, and looks otherwise

    def decoy(self) -> None:
        kinds: tuple[Callable[[], None], ...] = (
            self._payroll,
            self._collection,
            self._refund,
            self._circle,
            self._savings,
            self._rents,
            self._newcomer,
        )
        kinds[int(self.random.choice(len(kinds), p=(0.1, 0.1, 0.25, 0.05, 0.15, 0.1, 0.25)))]()

    def _payroll(self) -> None:
        boss, *staff = self.some(int(self.random.integers(7, 25)))
        wage, start = self.sum(), self.moment(HOUR_S)
        for each in staff:
            self.pay(
                boss, each, start + self.random.integers(0, HOUR_S), wage * self.random.uniform(0.7, 1.4)
            )

    def _collection(self) -> None:
        fund, *givers = self.some(int(self.random.integers(7, 25)))
        for each, moment in zip(givers, self.times(len(givers), DAY_S), strict=True):
            self.pay(each, fund, moment, self.sum() / 4)

    def _refund(self) -> None:
        shop, buyer = self.some(2)
        first, second = self.times(2, DAY_S)
        price = self.sum()
        self.pay(buyer, shop, first, price)
        self.pay(shop, buyer, second, price)

    def _circle(self) -> None:
        friends = self.some(int(self.random.integers(3, 5)))
        for at, moment in enumerate(self.times(len(friends), DAY_S)):
            self.pay(friends[at], friends[(at + 1) % len(friends)], moment, self.sum() / 8)

    def _savings(self) -> None:
        first, second, third = self.some(3)
        start, held = self.moment(2 * HOUR_S), self.sum() * 3
        self.pay(first, second, start, held)
        self.pay(second, third, start + self.random.integers(60, 2 * HOUR_S), held * 0.97)

    def _rents(self) -> None:
        landlord, *tenants = self.some(int(self.random.integers(2, 6)))
        for each in tenants:
            self.pay(each, landlord, self.moment(1), THRESHOLD * self.random.uniform(0.8, 1.1))

    def _newcomer(self) -> None:
        """A new wallet: money comes in from one side and goes out to several."""
        self.accounts += 1
        new, (giver, *shops) = self.accounts - 1, self.some(int(self.random.integers(2, 6)))
        held, moments = self.sum(), self.times(len(shops) + 1, DAY_S)
        self.pay(giver, new, moments[0], held)
        for each, moment in zip(shops, moments[1:], strict=True):
            self.pay(new, each, moment, held * 0.95 / len(shops))

    # ------------------------------------------------------------ planted

    def crime(self, kind: str) -> int:
        """Plant one pattern; how many transfers it has."""
        before = self.count
        {
            "fan_in": self._fan_in,
            "fan_out": self._fan_out,
            "gather_scatter": self._gather_scatter,
            "scatter_gather": self._scatter_gather,
            "cycle": self._cycle,
            "peel_chain": self._peel_chain,
            "structuring": self._structuring,
            "pass_through": self._pass_through,
        }[kind]()
        return self.count - before

    def _fan_in(self) -> None:
        sink, *mules = self.hands(int(self.random.integers(10, 18)))
        for each, moment in zip(mules, self.times(len(mules), DAY_S // 2), strict=True):
            self.pay(each, sink, moment, self.sum())

    def _fan_out(self) -> None:
        spring, *mules = self.hands(int(self.random.integers(10, 18)))
        for each, moment in zip(mules, self.times(len(mules), DAY_S // 2), strict=True):
            self.pay(spring, each, moment, self.sum())

    def _gather_scatter(self) -> None:
        count = int(self.random.integers(9, 13))
        middle, *others = self.hands(2 * count + 1)
        moments = self.times(2 * count, DAY_S // 2)
        for at, moment in enumerate(moments):
            if at < count:
                self.pay(others[at], middle, moment, self.sum())
            else:
                self.pay(middle, others[at], moment, self.sum())

    def _scatter_gather(self) -> None:
        first, last, *middles = self.hands(int(self.random.integers(5, 11)))
        moments = self.times(2 * len(middles), DAY_S // 2)
        for at, each in enumerate(middles):
            held = self.sum()
            self.pay(first, each, moments[at], held)
            self.pay(each, last, moments[len(middles) + at], held * self.random.uniform(0.93, 0.99))

    def _cycle(self) -> None:
        ring = self.hands(int(self.random.integers(3, 7)))
        held, moments = self.sum(), self.times(len(ring), DAY_S // 2)
        moments = [moments[0] + at + extra for at, extra in enumerate(np.subtract(moments, moments[0]))]
        for at, moment in enumerate(moments):
            self.pay(ring[at], ring[(at + 1) % len(ring)], moment, held * 0.99**at)

    def _peel_chain(self) -> None:
        steps = int(self.random.integers(4, 8))
        chain = self.hands(2 * steps + 2)
        held, moments = self.sum() * 4, self.times(2 * steps + 1, DAY_S)
        moments = [moment + at for at, moment in enumerate(moments)]
        self.pay(chain[0], chain[1], moments[0], held)
        for step in range(steps):
            part = held * self.random.uniform(0.05, 0.2)
            self.pay(chain[step + 1], chain[steps + 2 + step], moments[2 * step + 1], part)
            held -= part * 1.01
            self.pay(chain[step + 1], chain[step + 2], moments[2 * step + 2], held)

    def _structuring(self) -> None:
        count = int(self.random.integers(5, 9))
        payer, *payees = self.hands(1 + max(1, count // 3))
        for at, moment in enumerate(self.times(count, DAY_S // 2)):
            self.pay(payer, payees[at % len(payees)], moment, THRESHOLD * self.random.uniform(0.82, 0.99))

    def _pass_through(self) -> None:
        chain = self.hands(int(self.random.integers(3, 6)))
        start, held = self.moment(3 * HOUR_S), 1_000 + self.sum()
        for at in range(len(chain) - 1):
            self.pay(
                chain[at], chain[at + 1], start + at * 600 + self.random.integers(0, 500), held * 0.99**at
            )
