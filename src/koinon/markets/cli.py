# SPDX-License-Identifier: Apache-2.0
"""``koinon markets …``: pairs, liquidity, swaps, prices; the other tools here bring their own commands."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any, Final

import click
from rich.markup import escape

from koinon.chain.address import checksum
from koinon.errors import BadInput
from koinon.markets.api import SLIPPAGE_BPS, Markets
from koinon.markets.feeds import Price
from koinon.markets.pairs import Pair, at_least
from koinon.markets.tokens import Token
from koinon.terminal import Session, Terminal, json_option

_SLIPPAGE: Final = click.option(
    "--slippage",
    type=click.IntRange(0, 9_999),
    default=SLIPPAGE_BPS,
    show_default=True,
    metavar="BPS",
    help="By how much the price may move meanwhile, in 1/10,000.",
)


@click.group()
def group() -> None:
    """Pairs, prices and routes; a market to try things on."""


@group.command()
@json_option
@click.pass_obj
def pairs(session: Session) -> None:
    """List the network's pairs and what they hold."""
    with session.node() as node:
        found = Markets(node.chain).list_pairs()
    session.terminal.result([_document(pair) for pair in found], lambda terminal: _show_all(terminal, found))


@group.command()
@click.argument("address")
@json_option
@click.pass_obj
def pair(session: Session, address: str) -> None:
    """Show the pair at ADDRESS: its coins, reserves, price and shares."""
    with session.node() as node:
        found = Markets(node.chain).pairs.read(checksum(address))
    session.terminal.result(_document(found), lambda terminal: _show_all(terminal, [found]))


@group.group()
def liquidity() -> None:
    """Put coins into a pair and earn its fees; take them out."""


@liquidity.command("add")
@click.argument("token_a")
@click.argument("amount_a")
@click.argument("token_b")
@click.argument("amount_b")
@_SLIPPAGE
@json_option
@click.pass_obj
def add(session: Session, *, token_a: str, amount_a: str, token_b: str, amount_b: str, slippage: int) -> None:
    """Put at most AMOUNT_A of TOKEN_A and AMOUNT_B of TOKEN_B into their pair.

    Amounts are whole coins; a token is its address, or "coin". Where there is no such pair yet it is created,
    and this is its first price.
    """
    with session.node() as node:
        markets = Markets(node.chain)
        first, second = _token(markets, token_a), _token(markets, token_b)
        found, added = markets.provide(
            node.operator,
            first,
            first.units(amount_a),
            second,
            second.units(amount_b),
            slippage_bps=slippage,
        )
    document = {
        "pair": found.address,
        "amount0": added.amount0,
        "amount1": added.amount1,
        "shares": added.shares,
    }
    session.terminal.result(
        document,
        lambda terminal: _say(
            terminal,
            f"{found.token0.text(added.amount0)} and {found.token1.text(added.amount1)} went into "
            f"{found.address}, for {added.shares} shares.",
        ),
    )


@liquidity.command("remove")
@click.argument("address")
@click.argument("percent", type=click.FloatRange(0, 100, min_open=True))
@_SLIPPAGE
@json_option
@click.pass_obj
def remove(session: Session, address: str, percent: float, slippage: int) -> None:
    """Take PERCENT of your shares out of the pair at ADDRESS."""
    with session.node() as node:
        markets = Markets(node.chain)
        found = markets.pairs.read(checksum(address))
        held = int(markets.pairs.contract(found.address).call("balanceOf", node.operator.address))
        taken = markets.withdraw(
            node.operator, found, held * round(percent * 10_000) // 1_000_000, slippage_bps=slippage
        )
    document = {"amount0": taken.amount0, "amount1": taken.amount1, "shares": taken.shares}
    session.terminal.result(
        document,
        lambda terminal: _say(
            terminal, f"{found.token0.text(taken.amount0)} and {found.token1.text(taken.amount1)} came out."
        ),
    )


@group.command()
@click.argument("amount")
@click.argument("token_in")
@click.argument("token_out")
@click.option(
    "--minimum", metavar="AMOUNT", help="Least to accept; by default what is quoted less --slippage."
)
@click.option("--quote", is_flag=True, help="Only say what it would bring.")
@_SLIPPAGE
@json_option
@click.pass_obj
def swap(
    session: Session,
    *,
    amount: str,
    token_in: str,
    token_out: str,
    minimum: str | None,
    quote: bool,
    slippage: int,
) -> None:
    """Swap AMOUNT (whole coins) of TOKEN_IN for TOKEN_OUT in their pair."""
    with session.node() as node:
        markets = Markets(node.chain)
        given, wanted = _token(markets, token_in), _token(markets, token_out)
        paid = given.units(amount)
        if paid == 0:
            raise BadInput("There is nothing to swap.", code="markets.nothing_to_swap")
        hops, expected = markets.quote(given, wanted, paid)
        least = at_least(expected, slippage) if minimum is None else wanted.units(minimum)
        got = None if quote else markets.swap(node.operator, hops, paid, least)
    document = {"amount_in": paid, "quoted": expected, "minimum": least, "amount_out": got}
    sentence = (
        f"{given.text(paid)} would bring {wanted.text(expected)}."
        if got is None
        else f"{given.text(paid)} brought {wanted.text(got)}."
    )
    session.terminal.result(document, lambda terminal: _say(terminal, sentence))


@group.command()
@click.argument("feed")
@click.option("--feeders", is_flag=True, help="The feeders' price alone, whatever the market says.")
@json_option
@click.pass_obj
def price(session: Session, feed: str, feeders: bool) -> None:
    """Read the price feed at the address FEED; says why where it has no price."""
    with session.node() as node:
        found = Markets(node.chain).feed(feed)
        answer = found.latest_from_feeders() if feeders else found.latest()
        description = str(found.contract.call("description"))
    session.terminal.result(
        {
            "price": str(answer.whole),
            "answer": str(answer.value),
            "decimals": answer.decimals,
            "updated_at": answer.updated_at,
            "round": answer.round_id,
        },
        lambda terminal: _show_price(terminal, description, answer),
    )


def _token(markets: Markets, name: str) -> Token:
    return markets.token(None if name.lower() == "coin" else name)


def _document(pair: Pair) -> dict[str, Any]:
    return {
        "address": pair.address,
        "token0": {"address": pair.token0.address, "symbol": pair.token0.symbol, "reserve": pair.reserve0},
        "token1": {"address": pair.token1.address, "symbol": pair.token1.symbol, "reserve": pair.reserve1},
        "shares": pair.shares,
    }


def _show_all(terminal: Terminal, found: list[Pair]) -> None:
    if not found:
        terminal.say("There are no pairs yet. Create one: koinon markets liquidity add")
        return
    terminal.table(
        "",
        ("pair", "holds", "and", "shares"),
        [
            (pair.address, pair.token0.text(pair.reserve0), pair.token1.text(pair.reserve1), pair.shares)
            for pair in found
        ],
        right=(1, 2, 3),
    )


def _show_price(terminal: Terminal, description: str, answer: Price) -> None:
    _say(terminal, f"{description}: {answer.whole} (round {answer.round_id}, {answer.updated_at} Unix time)")


def _say(terminal: Terminal, sentence: str) -> None:
    """Symbols and descriptions are whatever somebody wrote on the chain: never markup."""
    terminal.say(escape(sentence))


def _mount() -> None:
    """The commands of the markets' other tools, which live beside what they drive."""
    for module in ("history.cli", "simulation.cli", "feeding.cli", "routing_cli"):
        with contextlib.suppress(ModuleNotFoundError):
            tool = importlib.import_module(f"koinon.markets.{module}")
            for command in getattr(tool, "COMMANDS", None) or (tool.command,):
                group.add_command(command)


_mount()
