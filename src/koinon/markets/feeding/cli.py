# SPDX-License-Identifier: Apache-2.0
"""``koinon markets feed``: make a price feed, and keep one alive."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import orjson
from rich.markup import escape

from koinon.chain import testnode
from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.errors import BadInput, NodeUnavailable, SetupError, WrongNetwork
from koinon.markets.api import Markets
from koinon.markets.feeding.loop import Feeding, Turn
from koinon.markets.feeding.sources import Source, of_file, of_service, of_url
from koinon.markets.feeding.words import Words
from koinon.markets.feeds import Feed, Terms
from koinon.markets.simulation.accounts import Accounts
from koinon.terminal import Session, Terminal, json_option

FOLDER: Final = Path("markets") / "feeding"
MOST_FEEDERS: Final = 64
"""Of a simulation: four a feed, whatever tokens there are."""

_PATH: Final = click.Path(path_type=Path)


@click.group("feed")
def command() -> None:
    """Make a price feed; keep one alive."""


@command.command()
@click.argument("pair")
@click.argument("base")
@click.option("--feeder", "feeders", multiple=True, metavar="ADDRESS", help="[default: this node's operator]")
@click.option("--threshold", type=click.IntRange(1), help="How many sign. [default: more than half]")
@click.option("--decimals", type=click.IntRange(0, 18), default=8, show_default=True)
@click.option("--max-age-s", type=click.IntRange(1), default=3_600, show_default=True)
@click.option("--window-s", type=click.IntRange(8), default=1_800, show_default=True)
@click.option("--deviation", type=click.IntRange(1, 9_999), default=300, show_default=True, metavar="BPS")
@json_option
@click.pass_obj
def create(
    session: Session,
    *,
    pair: str,
    base: str,
    feeders: Sequence[str],
    threshold: int | None,
    decimals: int,
    max_age_s: int,
    window_s: int,
    deviation: int,
) -> None:
    """Make a feed of the price of BASE in the other token of PAIR, which confirms what feeders sign."""
    with session.node() as node:
        markets = Markets(node.chain)
        market = markets.pairs.read(checksum(pair))
        market.hop(checksum(base))  # BASE is in it
        signers = tuple(checksum(each) for each in feeders) or (node.operator.address,)
        base_token, quote_token = market.token0, market.token1
        if base_token.address != checksum(base):
            base_token, quote_token = quote_token, base_token
        terms = Terms(
            market.address,
            base_token.address,
            decimals,
            f"{base_token.symbol} / {quote_token.symbol}"[:64],
            signers,
            threshold or len(signers) // 2 + 1,
            max_age_s,
            window_s,
            deviation,
        )
        feed = markets.create_feed(node.operator, terms)
    session.terminal.result(
        {"feed": feed.address, "feeders": list(signers), "threshold": terms.threshold},
        lambda terminal: terminal.say(
            f"The feed {feed.address} takes {terms.threshold} of {len(signers)} signatures. "
            f"Keep it alive: koinon markets feed run {feed.address} --file PRICE"
        ),
    )


@command.command()
@click.argument("feed")
@click.option("--file", "file", type=_PATH, help="Read the price from this file, anew each time.")
@click.option("--url", help="Or from this web address.")
@click.option("--service", help="Or buy it from the service at this address, each look a paid call.")
@click.option("--ask", default="{}", metavar="JSON", help="What the service is asked.")
@click.option("--limit", default="1", show_default=True, metavar="COINS", help="Most to spend on it.")
@click.option("--mandate", type=_PATH, help="Spend under an owner's mandate instead.")
@click.option("--field", default="", help="Where the price is in what they say, such as data.0.last.")
@click.option("--words", type=_PATH, help="A folder where the feeders' signed prices meet.")
@click.option("--heartbeat", type=click.IntRange(1), metavar="S", help="[default: half of the feed's age]")
@click.option("--deviation", type=click.IntRange(1, 9_999), default=50, show_default=True, metavar="BPS")
@click.option("--every", type=click.FloatRange(0.1), default=30.0, show_default=True, metavar="S")
@click.option("--once", is_flag=True, help="Look once, and end.")
@click.option("--no-observe", is_flag=True, help="Leave it to others to observe the pair.")
@click.option("--simulated", type=click.IntRange(0), metavar="SEED", help="Sign for a filling's feeders.")
@json_option
@click.pass_obj
def run(session: Session, /, *, feed: str, every: float, once: bool, **options: Any) -> None:
    """Sign and post prices to FEED until it is stopped. Run it again, and it goes on where it stopped."""
    with session.node() as node:
        found = Markets(node.chain).feed(feed)
        with _source(session, node, options) as ask:
            feeding = _feeding(session, node, found, ask, options)
            while True:
                try:
                    turn = feeding.look()
                except NodeUnavailable as fault:
                    if once:
                        raise
                    session.terminal.error(fault)
                else:
                    if once or turn.signed or turn.posted or turn.observed or turn.faults:
                        _tell(session, turn)
                if once:
                    return
                time.sleep(every)


def _feeding(session: Session, node: Any, feed: Feed, ask: Source, options: dict[str, Any]) -> Feeding:
    signers: list[Account] = [node.operator]
    if options["simulated"] is not None:
        signers = _simulated(node, feed, options["simulated"])
    shared = options["words"]
    return Feeding(
        feed,
        signers,
        node.operator,
        ask,
        Words(session.settings.home / FOLDER / str(node.chain.chain_id), feed.address),
        shared=None if shared is None else Words(shared, feed.address),
        heartbeat_s=options["heartbeat"],
        deviation_bps=options["deviation"],
        observes=not options["no_observe"],
    )


def _simulated(node: Any, feed: Feed, seed: int) -> list[Account]:
    """A filling's feeders of this feed; everybody who knows the seed has their keys."""
    testnode.refuse_remote(node.chain.rpc)
    if not node.chain.network.test_money:
        raise WrongNetwork(
            f"{node.chain.network.name} is no test network: simulated feeders sign for test money only.",
            code="markets.not_a_devnet",
        )
    known = set(feed.terms().feeders)
    people = Accounts(seed).several(MOST_FEEDERS, "feeder")
    found: list[Account] = [each.key for each in people if each.address in known]
    if not found:
        raise BadInput(
            f"No filling of seed {seed} made the feed {feed.address}.",
            hint="`koinon markets fill` says which feeds it made, and of which seed.",
            code="markets.not_a_feeder",
        )
    return found


@contextmanager
def _source(session: Session, node: Any, options: dict[str, Any]) -> Iterator[Source]:
    """Where the price comes from; what pays for it is closed at the end."""
    named = [name for name in ("file", "url", "service") if options[name]]
    if len(named) != 1:
        raise BadInput(
            "A price comes from one place.",
            hint="Give one of --file, --url and --service.",
            code="markets.price_source",
        )
    field = options["field"]
    if named == ["file"]:
        yield of_file(options["file"], field)
    elif named == ["url"]:
        yield of_url(options["url"], field)
    else:
        open_buyer = session.bring("buyer")
        if open_buyer is None:
            raise SetupError("Nothing can be bought here.", code="markets.no_buyer")
        with open_buyer(node, options["limit"], options["mandate"]) as buyer:
            yield of_service(buyer, options["service"], _arguments(options["ask"]), field)


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BadInput(
            "What a service is asked is a JSON object.",
            hint="""Such as --ask '{"symbol": "ETH"}'.""",
            code="markets.price_source",
        )
    return found


def _tell(session: Session, turn: Turn) -> None:
    posted = turn.posted
    document = {
        "round": turn.round_id,
        "price": None if turn.price is None else str(turn.price),
        "signed": list(turn.signed),
        "missing": turn.missing,
        "posted": None if posted is None else str(posted.whole),
        "observed": turn.observed,
        "faults": list(turn.faults),
    }
    session.terminal.result(document, partial(_show, turn=turn))


def _show(terminal: Terminal, *, turn: Turn) -> None:
    for fault in turn.faults:
        terminal.say(escape(fault))
    if turn.posted is not None:
        terminal.say(f"Round {turn.round_id}: {turn.posted.whole} is posted.")
    elif turn.signed:
        terminal.say(f"Round {turn.round_id}: {turn.price} is signed; {turn.missing} more feeders must sign.")
    elif turn.observed:
        terminal.say("The pair was observed.")
    elif not turn.faults:
        terminal.say(f"Round {turn.round_id} is not due: the last price still holds.")
