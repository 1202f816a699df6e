# SPDX-License-Identifier: Apache-2.0
"""``koinon service …`` and ``koinon call``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import orjson

from koinon.chain.keys import Key
from koinon.errors import BadInput
from koinon.services.api import Listing, Services, with_url
from koinon.services.client import Buyer
from koinon.services.counter import keyring, open_counter
from koinon.services.prices import to_text, to_units
from koinon.services.serve import GatewayOptions, check_place
from koinon.settings import Settings
from koinon.terminal import Session, Terminal, json_option
from koinon.works.api import Works
from koinon.works.arguments import read_shares

BUYER = "buyer"
POCKET_MONEY = "5"
"""What a buyer on a test network is given when it has nothing, in coins."""


@click.group()
def group() -> None:
    """Publish a function or model and be paid for every call."""


@group.command()
@click.argument("target")
@click.option("--price", required=True, help='Price of a call in coins, like "0.001".')
@click.option("--share", "shares", multiple=True, help="ADDRESS=30%: who else gets how much. Repeat it.")
@click.option(
    "--name",
    default="",
    help="Its name; the function's by default (an endpoint's address is told to nobody).",
)
@click.option("--description", default="", help="What it does; the docstring by default.")
@click.option("--workers", default=1, show_default=True, help="Processes that run it.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds a call may take.")
@click.option("--no-serve", is_flag=True, help="Only publish; `koinon service serve` sells it.")
@json_option
@click.pass_obj
def publish(
    session: Session,
    *,
    target: str,
    price: str,
    shares: tuple[str, ...],
    name: str,
    description: str,
    workers: int,
    timeout: float,
    no_serve: bool,
) -> None:
    """Publish TARGET (app.py:function, or the URL of an endpoint) as a Work and serve it until Ctrl-C."""
    fractions = read_shares(shares)
    with session.node() as node:
        services = open_counter(node)
        _check_place(session.settings, services, no_serve)
        if target.startswith(("http://", "https://")):
            listing = services.publish_endpoint(
                target,
                price,
                shares=fractions,
                name=name or "A service",
                description=description,
                timeout_s=timeout,
            )
        else:
            listing = services.publish(
                target,
                price,
                shares=fractions,
                name=name,
                description=description,
                workers=workers,
                timeout_s=timeout,
            )
        if no_serve or services.running() is not None:
            session.terminal.result(asdict(listing), lambda terminal: _show(terminal, listing))
            return
        _serve(session, services, listing)


@group.command()
@click.argument("work_id", type=int)
@click.argument("model_file", type=click.Path(path_type=Path))
@click.option("--price", required=True, help='Price of a call in coins, like "0.001".')
@click.option("--no-serve", is_flag=True, help="Only list it; `koinon service serve` sells it.")
@json_option
@click.pass_obj
def offer(session: Session, *, work_id: int, model_file: Path, price: str, no_serve: bool) -> None:
    """Sell Work WORK_ID, a model that was taught already, by its MODEL_FILE (npz), until Ctrl-C."""
    with session.node() as node:
        services = open_counter(node)
        _check_place(session.settings, services, no_serve)
        file = Works(node.chain, node.store, node.operator).registration_of(work_id).registration
        listing = services.offer_model(
            work_id, model_file, price, name=file.name, description=file.description, card=file.card
        )
        if no_serve or services.running() is not None:
            session.terminal.result(asdict(listing), lambda terminal: _show(terminal, listing))
            return
        _serve(session, services, listing)


@group.command()
@json_option
@click.pass_obj
def serve(session: Session) -> None:
    """Sell everything published here until Ctrl-C; settles before it ends."""
    with session.node() as node:
        _serve(session, open_counter(node), None)


@group.command("list")
@json_option
@click.pass_obj
def list_services(session: Session) -> None:
    """What is sold here, at what price, and where."""
    with session.node() as node:
        listings = open_counter(node).listings()
    session.terminal.result(
        [asdict(listing) for listing in listings],
        lambda terminal: terminal.table(
            "Services",
            ("Work", "Name", "Price", "Address"),
            [(listing.work_id, listing.name, listing.price_text, listing.url) for listing in listings],
            right=(0,),
        ),
    )


@group.command()
@json_option
@click.pass_obj
def settle(session: Session) -> None:
    """Bring all vouchers on chain and the money into the tills."""
    with session.node() as node:
        services = open_counter(node)
        report = services.settle()
        decimals = int(node.chain.coin.call("decimals"))
    session.terminal.result(
        report,
        lambda terminal: terminal.say(
            f"Claimed {to_text(report['claimed'], decimals)} from {report['channels']} channels, "
            f"settled {to_text(sum(report['settled'].values()), decimals)}."
        ),
    )


@group.command()
@click.argument("work_id", type=int)
@json_option
@click.pass_obj
def withdraw(session: Session, work_id: int) -> None:
    """Stop selling a Work here; what it earned stays collectable."""
    with session.node() as node:
        open_counter(node).withdraw(work_id)
    session.terminal.result(
        {"withdrawn": work_id}, lambda terminal: terminal.say(f"Work {work_id} is not sold here.")
    )


@click.command()
@click.argument("service")
@click.argument("arguments")
@click.option("--limit", default="1", show_default=True, help="Most coins this call may sign away.")
@click.option("--exact", is_flag=True, help="Pay by one transfer on chain instead of a voucher.")
@json_option
@click.pass_obj
def call(session: Session, service: str, arguments: str, limit: str, exact: bool) -> None:
    """Call SERVICE (an address, or a Work's id sold here) with ARGUMENTS (a JSON object), and pay for it."""
    try:
        body = orjson.loads(arguments)
    except orjson.JSONDecodeError as error:
        raise BadInput(
            f"The arguments are not JSON: {error}.", hint="""Write them like '{"income": 5}'."""
        ) from None
    if not isinstance(body, dict):
        raise BadInput("The arguments are not a JSON object.", hint="""Write them like '{"income": 5}'.""")
    with session.node() as node:
        services = open_counter(node)
        url = f"{services.running() or services.url}/services/{service}" if service.isdigit() else service
        decimals = int(node.chain.coin.call("decimals"))
        key = _buyer(node, decimals)
        with Buyer(node.chain, key, spending_limit=to_units(limit, decimals)) as buyer:
            answer = buyer.call_exact(url, body) if exact else buyer.call(url, body)

    def show(terminal: Terminal) -> None:
        terminal.stdout.print_json(orjson.dumps(answer.result).decode())
        paid = to_text(answer.charged, decimals)
        terminal.note(f"[dim]paid {paid} to Work {answer.evidence['work_id']}[/dim]")

    session.terminal.result(asdict(answer), show)


def _buyer(node: Any, decimals: int) -> Key:
    key = keyring(node).open(BUYER)
    coin = node.chain.coin
    if node.chain.network.test_money and coin.call("balanceOf", key.address) == 0:
        mint = coin.transaction("mint", key.address, to_units(POCKET_MONEY, decimals))
        node.chain.sender(node.operator).send(mint)
    return key


def _check_place(settings: Settings, services: Services, no_serve: bool) -> None:
    """A taken port is said before anything is published."""
    if not no_serve and services.running() is None:
        check_place(GatewayOptions(host=settings.host, port=settings.port))


def _serve(session: Session, services: Services, listing: Listing | None) -> None:
    terminal = session.terminal

    def say(event: dict[str, Any]) -> None:
        if event["event"] == "ready":
            shown = None if listing is None else with_url(listing, event["url"])
            terminal.result(
                {**event, **({} if shown is None else asdict(shown))},
                lambda there: _ready(there, event, shown),
            )
        elif event["event"] == "settled" and event["claimed"]:
            terminal.note(f"[dim]Settled {event['claimed']} units into {len(event['settled'])} tills.[/dim]")

    settings = session.settings
    services.serve(GatewayOptions(host=settings.host, port=settings.port, url=settings.gateway_url), say)


def _ready(terminal: Terminal, event: dict[str, Any], listing: Listing | None) -> None:
    if listing is not None:
        _show(terminal, listing)
    terminal.say(f"The gateway answers at [bold]{event['url']}[/bold]. Ctrl-C settles and stops it.")
    for work_id, fault in event["faults"].items():
        terminal.say(f"[yellow]Work {work_id} cannot be served: {fault}[/yellow]")


def _show(terminal: Terminal, listing: Listing) -> None:
    terminal.say(
        f"[bold]{listing.name}[/bold] is Work {listing.work_id}, sold for {listing.price_text} a call."
    )
    terminal.say(f"  address  {listing.url}")
    terminal.say(f"  paid at  {listing.till}")
    terminal.say(f"  call it  {listing.command}")
