# SPDX-License-Identifier: Apache-2.0
"""Sending cycles from the explorer: planned anew, reviewed, in one transaction with a floor beneath it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from koinon.chain.account import Account
from koinon.errors import BadInput, PaymentError, TransactionFailed
from koinon.markets.board import Board
from koinon.markets.exploring import eth_price, plan_now, rows_of
from koinon.markets.forms import board_of, text_of, unit_of
from koinon.markets.pairs import at_least
from koinon.markets.routing.books import Books
from koinon.markets.routing.executor import FLOOR_BPS, Executor, flash
from koinon.markets.routing.flows import Hop
from koinon.markets.routing.plan import Plan, Step
from koinon.markets.routing.pools import Pool
from koinon.markets.tokens import Token, cut
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext, ngettext
from koinon.web import marked as _
from koinon.works.forms import acting, read_amount

BACK: Final = "/arbitrage"
LOCAL: Final = _(
    "On a test chain nobody competes for it: what is earned here says nothing about other networks."
)


def single(board: Board, pools: Sequence[Pool], name: str) -> Plan:
    """A plan of one cycle along named pools, of the size that earns most now; `BadInput` for no cycle."""
    start, *addresses = name.split(",")
    numbers = {pool.address: number for number, pool in enumerate(pools)}
    hops: list[Hop] = []
    token = start
    for address in addresses:
        number = numbers.get(address)
        if number is None or token not in pools[number].tokens:
            hops = []
            break
        coin_in = pools[number].tokens.index(token)
        hops.append(Hop(number, coin_in))
        token = pools[number].tokens[1 - coin_in]
    if not hops or token != start or len({hop.pool for hop in hops}) < len(hops):
        raise BadInput(
            gettext("The form names no cycle."),
            hint=gettext("Load the page again: pools have changed."),
            code="markets.cycle",
        )
    books = Books(pools)
    most = pools[hops[0].pool].reserves[hops[0].coin_in] // 2
    amount = books.best_size(hops, most)
    out = books.quote(hops, amount)
    steps = (Step(start, start, tuple(hops), amount, out),) if out > amount else ()
    worth = float(out - amount) if start == board.chain.coin.address else 0.0
    return Plan(tuple(pools), steps, predicted=worth, value=worth)


@dataclass(frozen=True)
class Wish:
    """What a form asks for, as pools are now. ``least`` and ``profit`` in the smallest unit of ``token``."""

    plan: Plan
    token: Token
    profit: int
    least: int

    @property
    def floor_bps(self) -> int:
        """By how much less than planned it may bring, so that never less than ``least`` comes."""
        return max(0, min(9_999, (self.profit - self.least) * 10_000 // self.profit))


def _wish(board: Board, fields: Fields) -> Wish:
    coin = board.token(board.chain.coin.address)
    name = fields.get("cycle", "")
    _block, pools = board.pools()
    if name:
        plan = single(board, pools, name)
    else:
        _block, plan = plan_now(board, eth_price(fields.get("eth", ""), coin))
        cycles = [step for step in plan.steps if step.cycle and step.token_in == coin.address]
        plan = replace(plan, steps=tuple(cycles))
    if not plan.steps:
        raise PaymentError(
            gettext("The pools agree by now: there is nothing to gain."),
            hint=gettext("Somebody else was there before you. Load the page again."),
            code="markets.in_line",
        )
    token = board.token(plan.steps[0].token_in)
    profit = sum(step.amount_out - step.amount_in for step in plan.steps)
    text = fields.get("least", "").strip()
    least = read_amount(text, unit_of(token), text) if text else at_least(profit, FLOOR_BPS)
    if profit < least:
        raise PaymentError(
            gettext(
                "By now it would bring %(profit)s, less than your floor of %(least)s.",
                profit=text_of(profit, token),
                least=text_of(least, token),
            ),
            hint=gettext("Load the page again, or name a lower floor."),
            code="markets.floor",
        )
    return Wish(plan, token, profit, least)


def _prepare(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    board, me = board_of(ground), acting(visitor)
    wish = _wish(board, fields)
    result = {
        " → ".join(each.symbol for each in row.way): gettext(
            "%(given)s in, %(got)s out",
            given=text_of(row.step.amount_in, row.way[0]),
            got=text_of(row.step.amount_out, row.way[-1]),
        )
        for row in rows_of(board, wish.plan)
    }
    result[gettext("Profit before gas")] = text_of(wish.profit, wish.token)
    result[gettext("Tried by a call just now")] = _tried(board, wish, me)
    own = [row for row in rows_of(board, wish.plan) if row.needs_money]
    changes = [
        gettext("All swaps happen in one transaction or not at all, and you get what is left over."),
        gettext(
            "It undoes itself where it would bring less than %(least)s.",
            least=text_of(wish.least, wish.token),
        ),
    ]
    if own:
        changes.append(gettext("Your own money goes in and comes back within the transaction."))
    else:
        changes.append(gettext("It takes none of your money: the first pool lends what goes in."))
    gas = sum(step.gas for step in wish.plan.steps)
    return Review(
        title=ngettext(
            "Send one cycle for %(profit)s?",
            "Send %(num)s cycles for %(profit)s?",
            len(wish.plan.steps),
            profit=text_of(wish.profit, wish.token),
        ),
        button=gettext("Send it"),
        changes=tuple(changes),
        costs=(gettext("Gas, about %(gas)s units of it, also where it undoes itself.", gas=f"{gas:,}"),),
        risks=(
            gettext("Whoever is faster takes the difference; then you have paid gas for nothing."),
            *([gettext(LOCAL)] if board.chain.network.test_money else []),
        ),
        result=result,
    )


def _tried(board: Board, wish: Wish, me: str) -> str:
    executor = Executor(board.chain)
    if not all(flash(wish.plan.pools, step) for step in wish.plan.steps):
        return gettext("only once the router may take your money; amounts are counted by the pools' formulas")
    try:
        brings = executor.rehearse(me, wish.plan, floor_bps=wish.floor_bps)
    except TransactionFailed as refusal:
        return gettext("refused: %(reason)s", reason=cut(refusal.reason or refusal.message))
    return gettext("it brings %(profit)s", profit=text_of(brings, wish.token))


def _run(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    board = board_of(ground)
    wish = _wish(board, fields)
    say(gettext("Sending the cycle"))
    done = Executor(board.chain).execute(account, wish.plan, floor_bps=wish.floor_bps)
    if not done.carried_out:
        raise PaymentError(
            gettext("It was not sent: %(reason)s.", reason=cut(done.refused or "?")),
            hint=gettext("Pools have moved. Load the explorer again."),
            code="markets.refused",
        )
    brought = done.brought.get(wish.token.address, 0)
    return Outcome(
        gettext("It brought %(profit)s.", profit=text_of(brought, wish.token)),
        BACK,
        {
            gettext("Planned"): text_of(wish.profit, wish.token),
            gettext("Gas used"): f"{done.gas_used:,}",
            gettext("To the unit as planned"): gettext("yes") if done.as_planned else gettext("no"),
        },
        link=gettext("Look for more"),
    )


ARBITRAGE: Final = Action("markets.arbitrage", _prepare, _run, back=BACK)
