# SPDX-License-Identifier: Apache-2.0
"""Plans carried out: pools read as of one block, a plan, a check by a call, then transactions with a floor.

On a development chain nobody competes for the same trades: what is earned there says nothing about other
networks, and every result says so (`Execution.local`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.chain.receipts import Receipt
from koinon.errors import TransactionFailed
from koinon.markets.pairs import PATIENCE_S, at_least
from koinon.markets.routing.arbitrage import arbitrage
from koinon.markets.routing.orders import order
from koinon.markets.routing.plan import Plan, Step
from koinon.markets.routing.pools import PairPool, Pool
from koinon.markets.routing.states import PoolReader
from koinon.markets.tokens import leave_for

AT_ONCE: Final = 16
"""Cycles or paths in one transaction: what ``Router.vy`` takes."""
FLOOR_BPS: Final = 10
"""By how much less than planned a transaction may bring, in 1e-4, before it undoes itself."""


@dataclass(frozen=True)
class Execution:
    """What a plan said and what became of it.

    ``brought`` are whole units by token as the receipts tell, ``carried_out`` how many steps were,
    ``refused`` why the rest was not, if so. ``local`` says that the money is a test chain's.
    """

    plan: Plan
    brought: Mapping[str, int]
    carried_out: int
    transactions: tuple[str, ...]
    gas_used: int
    local: bool
    refused: str = ""

    @property
    def as_planned(self) -> bool:
        """Whether everything came to the unit as planned."""
        return self.carried_out == len(self.plan.steps) and dict(self.brought) == dict(self.plan.gains)


class Executor:
    """Plans and carries out arbitrage and orders on one network.

    Parameters
    ----------
    chain : Chain
    pools : sequence of str
        Addresses of pools besides the factory's pairs.
    """

    def __init__(self, chain: Chain, pools: Sequence[str] = ()) -> None:
        self.chain = chain
        self.reader = PoolReader(chain, pools)
        self.router = chain.contract("Router")

    def pools(self) -> list[Pool]:
        """All pools as of the latest block."""
        return self.reader.read()

    def gas_price(self, eth_price: float) -> float:
        """What a unit of gas costs now, where a wei is worth ``eth_price``."""
        return int(self.chain.rpc.call("eth_gasPrice"), 16) * eth_price

    def plan_arbitrage(self, worth: Mapping[str, float], *, eth_price: float = 0.0) -> Plan:
        """The most that bringing pools in line earns; see `arbitrage`. ``eth_price`` is a wei's worth."""
        return arbitrage(self.pools(), worth, gas_price=self.gas_price(eth_price))

    def plan_order(self, token_in: str, token_out: str, amount: int, *, eth_price: float = 0.0) -> Plan:
        """How to split an order; see `order`. ``eth_price`` is a wei's worth in ``token_out``'s units."""
        return order(self.pools(), token_in, token_out, amount, gas_price=self.gas_price(eth_price))

    def execute(self, account: Account, plan: Plan, *, floor_bps: int = FLOOR_BPS) -> Execution:
        """Sends a plan's steps, each transaction checked by a call first, and with a floor beneath it.

        It stops at the first that would be refused; what was sent before stays. Nothing is risked but gas: a
        transaction that would bring less than its floor undoes itself.
        """
        done = Execution(plan, {}, 0, (), 0, self.chain.network.test_money)
        for steps in batches(plan.steps):
            try:
                receipt, came = self._send(account, plan.pools, steps, floor_bps)
            except TransactionFailed as error:
                return replace(done, refused=error.reason or error.message)
            tokens = {*done.brought, *came}
            sums = {token: done.brought.get(token, 0) + came.get(token, 0) for token in tokens}
            done = replace(
                done,
                brought={token: amount for token, amount in sums.items() if amount},
                carried_out=done.carried_out + len(steps),
                transactions=(*done.transactions, receipt.transaction_hash),
                gas_used=done.gas_used + receipt.gas_used,
            )
        return done

    def rehearse(self, sender: str, plan: Plan, *, floor_bps: int = FLOOR_BPS) -> int:
        """What a plan's first transaction of cycles would bring ``sender`` now, by a call that sends nothing.

        In the smallest unit of their token; TransactionFailed with the router's reason where it would undo
        itself, or may not take money that is needed.
        """
        steps = next(batches(plan.steps))
        name, arguments = self._call(plan.pools, steps, floor_bps, sender)
        return int(self.router.call(name, *arguments, sender=sender))

    def keep_in_line(
        self,
        account: Account,
        worth: Mapping[str, float],
        *,
        least: float = 0.0,
        eth_price: float = 0.0,
        go_on: Callable[[], bool],
    ) -> Iterator[Execution]:
        """Arbitrage whenever it earns over ``least`` after gas, until ``go_on``, which waits, says no."""
        while True:
            plan = self.plan_arbitrage(worth, eth_price=eth_price)
            if plan.steps and plan.profit > least:
                yield self.execute(account, plan)
            if not go_on():
                return

    def _send(
        self, account: Account, pools: Sequence[Pool], steps: Sequence[Step], floor_bps: int
    ) -> tuple[Receipt, dict[str, int]]:
        first = steps[0]
        paid = sum(step.amount_in for step in steps if not flash(pools, step))
        sender = self.chain.sender(account)
        leave = leave_for(self.chain, account, first.token_in, self.router.address, paid) if paid else []
        if leave:
            sender.send_all(leave)
        name, arguments = self._call(pools, steps, floor_bps, account.address)
        self.router.call(name, *arguments, sender=account.address)
        receipt = sender.send(self.router.transaction(name, *arguments))
        if first.cycle:
            (event,) = self.router.logs(receipt, "Arbitraged")
            return receipt, {first.token_in: int(event["profit"])}
        (event,) = self.router.logs(receipt, "Routed")
        return receipt, {
            first.token_in: -int(event["amount_in"]),
            first.token_out: int(event["amount_out"]),
        }

    def _call(
        self, pools: Sequence[Pool], steps: Sequence[Step], floor_bps: int, to: str
    ) -> tuple[str, tuple[Any, ...]]:
        first = steps[0]
        ways = [[_hop(pools[hop.pool], hop.coin_in) for hop in step.hops] for step in steps]
        if first.cycle:
            cycles = [
                (step.amount_in, way, flash(pools, step)) for step, way in zip(steps, ways, strict=True)
            ]
            profit = sum(step.amount_out - step.amount_in for step in steps)
            return "arbitrage", (cycles, at_least(profit, floor_bps), first.token_in)
        deadline = self.chain.next_timestamp() + PATIENCE_S
        least = at_least(sum(step.amount_out for step in steps), floor_bps)
        if len(steps) == 1:
            return "swap_along", (ways[0], first.amount_in, least, deadline, to)
        routes = [(step.amount_in, way) for step, way in zip(steps, ways, strict=True)]
        return "swap_split", (routes, least, deadline, to)


def batches(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    """Steps in order, those together that one transaction can carry out: same first and last token."""
    for _, group in groupby(steps, key=lambda step: (step.token_in, step.token_out)):
        together = tuple(group)
        for first in range(0, len(together), AT_ONCE):
            yield together[first : first + AT_ONCE]


def flash(pools: Sequence[Pool], step: Step) -> bool:
    """Whether a cycle needs no money of one's own: its first pool is a pair, which lends."""
    return step.cycle and len(step.hops) > 1 and isinstance(pools[step.hops[0].pool], PairPool)


def _hop(pool: Pool, coin_in: int) -> tuple[str, str, str, int]:
    """A swap as the router takes it."""
    fee = pool.fee_ppm if isinstance(pool, PairPool) else 0
    return pool.address, pool.tokens[coin_in], pool.tokens[1 - coin_in], fee
