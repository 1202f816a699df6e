# SPDX-License-Identifier: Apache-2.0
"""``koinon markets route | arbitrage | depth``: split orders, keep pools in line, see what a market takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import click
from rich.markup import escape

from koinon.errors import BadInput
from koinon.markets.api import Markets
from koinon.markets.depth import CURVE, Depth, best_price, depth_curve
from koinon.markets.routing.executor import FLOOR_BPS, Execution, Executor
from koinon.markets.routing.plan import Plan
from koinon.markets.tokens import Token
from koinon.terminal import Session, Terminal, json_option

LOCAL: Final = "local: nobody competes for these trades on a test chain"
WEI: Final = 10**18

_POOLS: Final = click.option(
    "--pool", "pools", multiple=True, metavar="ADDRESS", help="A weighted or stable pool, besides all pairs."
)
_ETH: Final = click.option(
    "--eth",
    "eth",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    metavar="PRICE",
    help="What a whole ETH is worth in the coin counted in, so that gas counts.",
)


@click.command("route")
@click.argument("token_in")
@click.argument("token_out")
@click.argument("amount")
@click.option("--execute", is_flag=True, help="Send it; otherwise it is only shown.")
@click.option(
    "--slippage",
    type=click.IntRange(0, 9_999),
    default=FLOOR_BPS,
    show_default=True,
    metavar="BPS",
    help="By how much less than planned it may bring, in 1/10,000.",
)
@_ETH
@_POOLS
@json_option
@click.pass_obj
def route(
    session: Session,
    *,
    token_in: str,
    token_out: str,
    amount: str,
    execute: bool,
    slippage: int,
    eth: float,
    pools: tuple[str, ...],
) -> None:
    """Split AMOUNT (whole coins) of TOKEN_IN over all pools so that it brings most TOKEN_OUT.

    A token is its address, or "coin".
    """
    with session.node() as node:
        markets, executor = Markets(node.chain), Executor(node.chain, pools)
        given, wanted = _token(markets, token_in), _token(markets, token_out)
        plan = executor.plan_order(
            given.address, wanted.address, given.units(amount), eth_price=_wei(eth, wanted)
        )
        done = executor.execute(node.operator, plan, floor_bps=slippage) if execute else None
        names = _names(markets, plan)
    session.terminal.result(
        _document(plan, done), lambda terminal: _show(terminal, plan, done, names, wanted)
    )


@click.command("arbitrage")
@click.option("--in", "numeraire", default="coin", show_default=True, help="The token to count in and keep.")
@click.option("--execute", is_flag=True, help="Send it; otherwise it is only shown.")
@click.option("--watch", is_flag=True, help="Go on: look again and again, and send whatever pays.")
@click.option(
    "--every",
    type=click.FloatRange(0.1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How often --watch looks.",
)
@click.option("--looks", type=click.IntRange(1), metavar="COUNT", help="With --watch: stop after so many.")
@click.option("--least", default="0", show_default=True, help="Least profit, in whole coins.")
@_ETH
@_POOLS
@json_option
@click.pass_obj
def arbitrage(
    session: Session,
    *,
    numeraire: str,
    execute: bool,
    watch: bool,
    every: float,
    looks: int | None,
    least: str,
    eth: float,
    pools: tuple[str, ...],
) -> None:
    """Bring pools in line and keep the difference, each transaction with a floor beneath its profit."""
    with session.node() as node:
        markets, executor = Markets(node.chain), Executor(node.chain, pools)
        token = _token(markets, numeraire)
        worth, eth_price = {token.address: 1.0}, _wei(eth, token)
        floor = float(token.units(least))
        if watch:
            go_on = _looking(every, looks)
            for done in executor.keep_in_line(
                node.operator, worth, least=floor, eth_price=eth_price, go_on=go_on
            ):
                names = _names(markets, done.plan)
                _tell(session.terminal, done.plan, done, names, token)
            return
        plan = executor.plan_arbitrage(worth, eth_price=eth_price)
        pays = bool(plan.steps) and plan.profit >= floor
        done_once = executor.execute(node.operator, plan) if execute and pays else None
        names = _names(markets, plan)
    _tell(session.terminal, plan, done_once, names, token)


@click.command("depth")
@click.argument("token_in")
@click.argument("token_out")
@click.option(
    "--fall",
    "falls",
    type=click.FloatRange(0, 100, min_open=True, max_open=True),
    multiple=True,
    metavar="PERCENT",
    help="By how much the price may fall; several by default.",
)
@_POOLS
@json_option
@click.pass_obj
def depth(
    session: Session, *, token_in: str, token_out: str, falls: tuple[float, ...], pools: tuple[str, ...]
) -> None:
    """How much TOKEN_IN can be sold for TOKEN_OUT, over all routes, until its price has fallen."""
    with session.node() as node:
        markets, executor = Markets(node.chain), Executor(node.chain, pools)
        given, wanted = _token(markets, token_in), _token(markets, token_out)
        if given == wanted:
            raise BadInput("A depth lies between two different tokens.", code="markets.depth")
        found = executor.pools()
        first = best_price(found, given.address, wanted.address)
        curve = depth_curve(
            found, given.address, wanted.address, tuple(fall / 100 for fall in falls) or CURVE
        )
    document = {
        "token_in": given.address,
        "token_out": wanted.address,
        "price": _whole_price(first, given, wanted),
        "curve": [
            {"fall": each.fall, "amount_in": int(each.amount), "amount_out": int(each.brings)}
            for each in curve
        ],
    }
    session.terminal.result(document, lambda terminal: _show_depth(terminal, first, curve, given, wanted))


def _token(markets: Markets, name: str) -> Token:
    return markets.token(None if name.lower() == "coin" else name)


def _wei(eth: float, token: Token) -> float:
    """What a wei is worth, in a token's smallest units."""
    return eth * 10.0**token.decimals / WEI


def _looking(every_s: float, looks: int | None) -> Callable[[], bool]:
    """Waits between looks; says no after the last."""
    made = 1

    def go_on() -> bool:
        nonlocal made
        if looks is not None and made >= looks:
            return False
        made += 1
        time.sleep(every_s)
        return True

    return go_on


def _names(markets: Markets, plan: Plan) -> dict[str, Token]:
    tokens = {token for step in plan.steps for hop in step.hops for token in plan.pools[hop.pool].tokens}
    return {token: markets.token(token) for token in sorted(tokens)}


def _document(plan: Plan, done: Execution | None) -> dict[str, Any]:
    return {
        "predicted": int(plan.predicted),
        "planned": int(plan.value),
        "gas": int(plan.gas_value),
        "share": round(plan.share, 6),
        "steps": [
            {
                "token_in": step.token_in,
                "token_out": step.token_out,
                "amount_in": step.amount_in,
                "amount_out": step.amount_out,
                "pools": [plan.pools[hop.pool].address for hop in step.hops],
            }
            for step in plan.steps
        ],
        "executed": None
        if done is None
        else {
            "brought": dict(done.brought),
            "as_planned": done.as_planned,
            "gas_used": done.gas_used,
            "transactions": list(done.transactions),
            "refused": done.refused or None,
            "local": done.local,
        },
    }


def _tell(
    terminal: Terminal, plan: Plan, done: Execution | None, names: dict[str, Token], token: Token
) -> None:
    terminal.result(_document(plan, done), lambda shown: _show(shown, plan, done, names, token))


def _show(
    terminal: Terminal, plan: Plan, done: Execution | None, names: dict[str, Token], token: Token
) -> None:
    if not plan.steps:
        terminal.say("The pools are in line: nothing pays for its gas.")
        return
    rows = []
    for step in plan.steps:
        way = [names[step.token_in].symbol]
        for hop in step.hops:
            way.append(names[plan.pools[hop.pool].tokens[1 - hop.coin_in]].symbol)
        given, got = names[step.token_in], names[step.token_out]
        rows.append((" → ".join(way), given.text(step.amount_in), got.text(step.amount_out)))
    terminal.table("", ("way", "in", "out"), rows, right=(1, 2))
    gas = f", {token.text(int(plan.gas_value))} of it for gas" if plan.gas_value else ""
    planned = token.text(int(plan.value))
    terminal.say(escape(f"Planned {planned}{gas}: {plan.share:.2%} of what the convex optimum promises."))
    if done is None:
        return
    for address, amount in done.brought.items():
        terminal.say(escape(f"Executed: {names[address].text(amount)}, {done.gas_used:,} gas."))
    if done.refused:
        left = len(plan.steps) - done.carried_out
        terminal.say(escape(f"{left} steps were not sent: {done.refused}."))
    if done.local:
        terminal.say(f"[dim]{LOCAL}[/dim]")


def _whole_price(price: float, given: Token, wanted: Token) -> float:
    return price * 10.0**given.decimals / 10.0**wanted.decimals


def _show_depth(terminal: Terminal, first: float, curve: list[Depth], given: Token, wanted: Token) -> None:
    if not first:
        terminal.say("No pools lead from the one token to the other.")
        return
    price = f"{_whole_price(first, given, wanted):,.6g}"
    terminal.say(escape(f"The first {given.symbol} brings {price} {wanted.symbol}."))
    rows = [
        (
            f"{each.fall:.2%}",
            given.text(int(each.amount)),
            wanted.text(int(each.brings)),
            f"{_whole_price(each.price, given, wanted):,.6g}",
        )
        for each in curve
    ]
    terminal.table("", ("price falls by", "sold", "brings", "on average"), rows, right=(1, 2, 3))


COMMANDS: Final = (route, arbitrage, depth)
