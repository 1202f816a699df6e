# SPDX-License-Identifier: Apache-2.0
"""Plans of transfers: typologies of laundering, and benign patterns that look like them.

A plan is written before its first transfer and carried out by its members' accounts at the times it names.
Typologies after Suzumura and Kanezashi's AMLSim and Altman et al., Realistic Synthetic Financial Transactions
for Anti-Money Laundering Models (2023).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from koinon.markets.simulation.accounts import Person

HOUR_S: Final = 3_600
DAY_S: Final = 86_400
REPORTED: Final = 10_000.0
"""Whole dollars from which a payment would be reported where the simulated people live."""


@dataclass(frozen=True)
class Transfer:
    """``after_s`` seconds from the plan's beginning, ``sender`` and ``receiver`` places among its members,
    ``money`` in whole dollars."""

    after_s: float
    sender: int
    receiver: int
    money: float


Plan = tuple[int, float, list[Transfer]]
"""How many members, what the first of them (or each, see `funded`) needs, and the transfers."""

Maker = Callable[[np.random.Generator], Plan]


def fan_out(chance: np.random.Generator) -> Plan:
    """One account spreads money over many within a day or two."""
    count, total = int(chance.integers(6, 14)), float(chance.lognormal(10.6, 0.5))
    parts = chance.dirichlet(np.full(count, 6.0)) * total
    gaps = np.sort(chance.uniform(0, 1.5 * DAY_S, count))
    return count + 1, total, [Transfer(float(gaps[i]), 0, i + 1, float(parts[i])) for i in range(count)]


def fan_in(chance: np.random.Generator) -> Plan:
    """Many accounts bring money to one."""
    count, total = int(chance.integers(6, 14)), float(chance.lognormal(10.6, 0.5))
    parts = chance.dirichlet(np.full(count, 6.0)) * total
    gaps = np.sort(chance.uniform(0, 1.5 * DAY_S, count))
    return count + 1, total, [Transfer(float(gaps[i]), i + 1, 0, float(parts[i])) for i in range(count)]


def cycle(chance: np.random.Generator) -> Plan:
    """Money goes round through three to six accounts, back to where it came from, a little less each time."""
    count, amount = int(chance.integers(3, 7)), float(chance.lognormal(9.8, 0.6))
    transfers, at, left = [], 0.0, amount
    for place in range(count):
        at += float(chance.uniform(0.5, 8)) * HOUR_S
        transfers.append(Transfer(at, place, (place + 1) % count, left))
        left *= float(chance.uniform(0.97, 0.999))
    return count, amount, transfers


def scatter_gather(chance: np.random.Generator) -> Plan:
    """One account scatters over several, which all pass on to one other."""
    count, total = int(chance.integers(5, 10)), float(chance.lognormal(10.6, 0.5))
    parts = chance.dirichlet(np.full(count, 8.0)) * total
    transfers = []
    for place in range(count):
        out = float(chance.uniform(0, DAY_S))
        back = out + float(chance.uniform(2, 36)) * HOUR_S
        kept = float(chance.uniform(0.96, 0.995))
        transfers.append(Transfer(out, 0, place + 2, float(parts[place])))
        transfers.append(Transfer(back, place + 2, 1, float(parts[place]) * kept))
    return count + 2, total, sorted(transfers, key=lambda each: each.after_s)


def peel_chain(chance: np.random.Generator) -> Plan:
    """A large sum moves from account to account; at each a small part is peeled off."""
    hops, amount = int(chance.integers(6, 12)), float(chance.lognormal(11.0, 0.4))
    transfers, at, left = [], 0.0, amount
    for hop in range(hops):
        at += float(chance.uniform(0.6, 5)) * HOUR_S
        peeled = left * float(chance.uniform(0.03, 0.1))
        transfers.append(Transfer(at, hop, hops + 1 + hop, peeled))
        transfers.append(Transfer(at + 0.4 * HOUR_S, hop, hop + 1, left - peeled))
        left -= peeled
    return 2 * hops + 1, amount, transfers


def structuring(chance: np.random.Generator) -> Plan:
    """A sum is brought over in parts, each just below what would be reported."""
    count = int(chance.integers(6, 14))
    parts = REPORTED * chance.uniform(0.9, 0.995, count)
    at, transfers = 0.0, []
    for part in parts:
        at += float(chance.uniform(0.5, 14)) * HOUR_S
        transfers.append(Transfer(at, 0, 1, float(part)))
    return 2, float(parts.sum()), transfers


def payroll(chance: np.random.Generator) -> Plan:
    """An employer pays the same people every two weeks."""
    count = int(chance.integers(6, 15))
    wages = chance.lognormal(7.6, 0.4, count)
    transfers = [
        Transfer(run * 14 * DAY_S + float(chance.uniform(0, 3 * HOUR_S)), 0, place + 1, float(wages[place]))
        for run in range(5)
        for place in range(count)
    ]
    return count + 1, float(wages.sum()) * 5, sorted(transfers, key=lambda each: each.after_s)


def refunds(chance: np.random.Generator) -> Plan:
    """Customers pay a shop; some are paid back a few days later."""
    count, transfers, total = int(chance.integers(8, 18)), [], 0.0
    for place in range(count):
        at, price = float(chance.uniform(0, 12 * DAY_S)), float(chance.lognormal(6.6, 0.9))
        total += price
        transfers.append(Transfer(at, place + 1, 0, price))
        if chance.random() < 0.4:
            transfers.append(Transfer(at + float(chance.uniform(0.3, 5)) * DAY_S, 0, place + 1, price * 0.98))
    return count + 1, total, sorted(transfers, key=lambda each: each.after_s)


def collection(chance: np.random.Generator) -> Plan:
    """A firm's branches send their takings to its treasury once a week."""
    count = int(chance.integers(5, 11))
    transfers = [
        Transfer(
            week * 7 * DAY_S + float(chance.uniform(0, 5 * HOUR_S)),
            place + 1,
            0,
            float(chance.lognormal(8.2, 0.5)),
        )
        for week in range(5)
        for place in range(count)
    ]
    return count + 1, sum(each.money for each in transfers), sorted(transfers, key=lambda each: each.after_s)


def rent(chance: np.random.Generator) -> Plan:
    """Somebody pays the same landlord a large rent, below what would be reported, again and again."""
    price = REPORTED * float(chance.uniform(0.85, 0.99))
    count = int(chance.integers(4, 10))
    return 2, price * count, [Transfer(place * 7 * DAY_S, 0, 1, price) for place in range(count)]


def market_maker(chance: np.random.Generator) -> Plan:
    """A maker settles with the same few counterparties, there and back, many times."""
    count, transfers = int(chance.integers(3, 6)), []
    for _ in range(int(chance.integers(14, 26))):
        other, at = int(chance.integers(1, count + 1)), float(chance.uniform(0, 10 * DAY_S))
        money = float(chance.lognormal(8.6, 0.5))
        there = chance.random() < 0.5
        transfers.append(Transfer(at, 0 if there else other, other if there else 0, money))
        transfers.append(
            Transfer(at + 2 * HOUR_S, other if there else 0, 0 if there else other, money * 0.999)
        )
    return count + 1, 250_000.0, sorted(transfers, key=lambda each: each.after_s)


def savings_circle(chance: np.random.Generator) -> Plan:
    """Friends put the same amount into a pot once a week; another of them gets it each time."""
    count, amount = int(chance.integers(4, 7)), float(chance.lognormal(7.0, 0.3))
    transfers = [
        Transfer(week * 7 * DAY_S + place * HOUR_S, place, week, amount)
        for week in range(count)
        for place in range(count)
        if place != week
    ]
    return count, amount * count * count, transfers


LAUNDERING: Final[dict[str, Maker]] = {
    "fan-in": fan_in,
    "fan-out": fan_out,
    "cycle": cycle,
    "scatter-gather": scatter_gather,
    "peel-chain": peel_chain,
    "structuring": structuring,
}

BENIGN: Final[dict[str, Maker]] = {
    "payroll": payroll,
    "refunds": refunds,
    "collection": collection,
    "rent": rent,
    "market-maker": market_maker,
    "savings-circle": savings_circle,
}


def needs(transfers: Sequence[Transfer], members: int) -> list[float]:
    """What each member must have at the beginning, so that no transfer of the plan ever lacks money."""
    balance, lowest = [0.0] * members, [0.0] * members
    for each in sorted(transfers, key=lambda one: one.after_s):
        balance[each.sender] -= each.money
        lowest[each.sender] = min(lowest[each.sender], balance[each.sender])
        balance[each.receiver] += each.money
    return [-each for each in lowest]


def length_s(transfers: Sequence[Transfer]) -> float:
    """From the beginning to the last transfer, in seconds."""
    return max(each.after_s for each in transfers)


def named(members: Sequence[Person], transfer: Transfer) -> tuple[Person, Person]:
    """Who pays whom."""
    return members[transfer.sender], members[transfer.receiver]
