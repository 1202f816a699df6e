# SPDX-License-Identifier: Apache-2.0
"""A plan that was made without a price of gas, as it is with one: what does not pay for its own falls out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from koinon.markets.routing.books import Books
from koinon.markets.routing.plan import Plan, Step, value_of

ROOM: Final = 4
"""A cycle that shares no pool with another any more is sized anew, up to so many times its amount."""


def after_gas(plan: Plan, coin: str, gas_price: float) -> Plan:
    """The steps of a plan that pay for their gas, replayed with the pools' own formulas.

    Costs no look for an optimum, so that one plan serves every price of gas; where gas eats most of what
    there is to gain, planning anew for its price would find some more.

    Parameters
    ----------
    plan : Plan
        Made by `arbitrage` with ``coin`` as all that is worth something, a smallest unit of it 1.
    gas_price : float
        Value of a unit of gas, in smallest units of the coin.
    """
    steps: Sequence[Step] = plan.steps
    while True:
        walked, short = _walk(plan, steps, coin, gas_price)
        if not short:
            break
        # the worst quarter first: what they leave in the pools may make others pay
        gone = set(sorted(short, key=lambda place: short[place])[: 1 + len(short) // 4])
        steps = [step for place, step in enumerate(steps) if place not in gone]
    left = replace(
        plan,
        steps=tuple(walked),
        value=value_of(walked, {coin: 1.0}),
        gas_value=gas_price * sum(step.gas for step in walked),
    )
    return left if left.profit > 0 else replace(left, steps=(), value=0.0, gas_value=0.0)


def _walk(
    plan: Plan, steps: Sequence[Step], coin: str, gas_price: float
) -> tuple[list[Step], dict[int, float]]:
    """The steps that pay, one after another, and what each of the others (by its place) is short of that."""
    books, worth = Books(plan.pools), _worth(steps, coin)
    uses = Counter(hop.pool for step in steps for hop in step.hops)
    fewer = len(steps) < len(plan.steps)
    held: dict[str, int] = defaultdict(int)
    walked, short = [], {}
    for place, step in enumerate(steps):
        amount = step.amount_in if step.cycle else min(step.amount_in, held[step.token_in])
        if fewer and step.cycle and all(uses[hop.pool] == 1 for hop in step.hops):
            amount = books.best_size(step.hops, amount * ROOM)
        out = books.quote(step.hops, amount) if amount > 0 else 0
        gain = (out - amount if step.cycle else out) * worth.get(step.token_out, 0.0)
        if gain <= gas_price * step.gas:
            short[place] = gain - gas_price * step.gas
            continue
        books.swap(step.hops, amount)
        held[step.token_in] -= amount
        held[step.token_out] += out
        walked.append(replace(step, amount_in=amount, amount_out=out))
    return walked, short


def _worth(steps: Sequence[Step], coin: str) -> dict[str, float]:
    """What a smallest unit of each token is worth: the coin itself, and what the steps sell for it."""
    given: dict[str, int] = defaultdict(int)
    got: dict[str, int] = defaultdict(int)
    for step in steps:
        if not step.cycle and step.token_out == coin:
            given[step.token_in] += step.amount_in
            got[step.token_in] += step.amount_out
    return {coin: 1.0} | {token: got[token] / amount for token, amount in given.items()}
