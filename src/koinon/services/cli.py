# SPDX-License-Identifier: Apache-2.0
"""``koinon service …``."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from koinon.errors import BadInput
from koinon.services.api import Services
from koinon.services.counter import open_counter
from koinon.services.facilitator.cli import facilitator
from koinon.services.finding.cli import COMMANDS as FINDING
from koinon.services.gateway.serve import GatewayOptions, check_place
from koinon.services.models.files.conversion import GRAPH, PICKLES
from koinon.services.prices import to_text, to_units
from koinon.services.sealing.cli import seal
from koinon.services.selling.listing import Listing, with_url
from koinon.services.selling.promise_options import promise_options, read_promises
from koinon.services.selling.versions_cli import COMMANDS as VERSIONS
from koinon.services.targets.cli import read_options, standing_options
from koinon.services.verification.cli import COMMANDS as VERIFICATION
from koinon.settings import Settings
from koinon.terminal import Session, Terminal, json_option
from koinon.works.api import Works
from koinon.works.arguments import read_shares

MODEL_FILES = (".npz", GRAPH, *PICKLES)


@click.group()
def group() -> None:
    """Publish a function or model and be paid for every call."""


@group.command()
@click.argument("target", default="")
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
@promise_options
@click.option("--version-of", type=int, metavar="WORK", help="A Work sold here that this is a version of.")
@click.option("--as-version", default="", help="The version's name; the next number by default.")
@standing_options
@json_option
@click.pass_obj
def publish(
    session: Session,
    /,
    *,
    target: str,
    price: str,
    shares: tuple[str, ...],
    name: str,
    description: str,
    workers: int,
    timeout: float,
    no_serve: bool,
    version_of: int | None,
    as_version: str,
    **standing: Any,
) -> None:
    """Publish TARGET as a Work and serve it until Ctrl-C: app.py:function, the URL of an endpoint, or a
    model file (.npz, .onnx, .joblib, .pkl, .pt2; what is pickled is opened in the sandbox only).

    --mcp sells the tools of an MCP server, --openai a model behind an OpenAI-compatible endpoint.
    --version-of stages it as another version of a Work (see `koinon service rollout`), or, with --share,
    makes it a new Work that the old one names as its successor.
    """
    fractions = read_shares(shares)
    promises = read_promises(standing)
    newer: dict[str, Any] = {"version_of": version_of, "version": as_version, "promises": promises}
    asked = read_options(target, name=name, description=description, **standing)
    with session.node() as node:
        services = open_counter(node)
        _check_place(session.settings, services, no_serve)
        if asked is not None:
            if version_of is not None:
                raise BadInput(
                    "What stands already has no versions here.",
                    hint="Publish it as a service of its own, and retire the old one.",
                    code="service.version",
                )
            listings = [
                services.publish_standing(
                    each,
                    price,
                    shares=fractions,
                    timeout_s=timeout,
                    unit=asked.unit,
                    most_units=asked.most_units,
                    promises=promises,
                )
                for each in asked.standing
            ]
            _sell(session, services, listings, no_serve)
            return
        if target.startswith(("http://", "https://")):
            listing = services.publish_endpoint(
                target,
                price,
                shares=fractions,
                name=name or "A service",
                description=description,
                timeout_s=timeout,
                **newer,
            )
        elif Path(target).suffix in MODEL_FILES:
            listing = services.publish_model(
                Path(target),
                price,
                shares=fractions,
                name=name,
                description=description,
                workers=workers,
                timeout_s=timeout,
                **newer,
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
                **newer,
            )
        if version_of is not None and not shares:
            session.terminal.result(asdict(listing), lambda terminal: _staged(terminal, version_of))
            return
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
    """Sell Work WORK_ID, a model that was taught already, by its MODEL_FILE, until Ctrl-C."""
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
@click.option("--ether-price", default="", help="What an ETH costs in coins: gas is kept to 5 % of income.")
@click.option("--facilitate", default="", help="Settle others' x402 payments from so many coins on.")
@json_option
@click.pass_obj
def serve(session: Session, *, ether_price: str, facilitate: str) -> None:
    """Sell everything published here until Ctrl-C; settles before it ends."""
    with session.node() as node:
        decimals = int(node.chain.coin.call("decimals"))
        _serve(
            session,
            open_counter(node),
            None,
            coins_per_ether=to_units(ether_price, decimals) if ether_price else None,
            facilitate_from=to_units(facilitate, decimals) if facilitate else 0,
        )


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


for _command in (*FINDING, *VERIFICATION, *VERSIONS, facilitator, seal):
    group.add_command(_command)


def _sell(session: Session, services: Services, listings: list[Listing], no_serve: bool) -> None:
    """Show what was published, and serve it unless a gateway does or shall not."""
    if len(listings) == 1 and not no_serve and services.running() is None:
        _serve(session, services, listings[0])
        return
    for listing in listings:
        session.terminal.result(asdict(listing), partial(_shown, listing))
    if not no_serve and services.running() is None:
        _serve(session, services, None)


def _shown(listing: Listing, terminal: Terminal) -> None:
    _show(terminal, listing)


def _check_place(settings: Settings, services: Services, no_serve: bool) -> None:
    """A taken port is said before anything is published."""
    if not no_serve and services.running() is None:
        check_place(GatewayOptions(host=settings.host, port=settings.port))


def _serve(
    session: Session,
    services: Services,
    listing: Listing | None,
    *,
    coins_per_ether: int | None = None,
    facilitate_from: int = 0,
) -> None:
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
    options = GatewayOptions(
        host=settings.host,
        port=settings.port,
        url=settings.gateway_url,
        coins_per_ether=coins_per_ether,
        facilitate_from=facilitate_from,
    )
    services.serve(options, say)


def _ready(terminal: Terminal, event: dict[str, Any], listing: Listing | None) -> None:
    if listing is not None:
        _show(terminal, listing)
    terminal.say(f"The gateway answers at [bold]{event['url']}[/bold]. Ctrl-C settles and stops it.")
    for work_id, fault in event["faults"].items():
        terminal.say(f"[yellow]Work {work_id} cannot be served: {fault}[/yellow]")


def _staged(terminal: Terminal, work_id: int) -> None:
    terminal.say(f"Another version of Work {work_id} is staged. It answers nobody yet.")
    terminal.say(f"  try it on a tenth of the payers  koinon service rollout {work_id} --share 10%")


def _show(terminal: Terminal, listing: Listing) -> None:
    terminal.say(
        f"[bold]{listing.name}[/bold] is Work {listing.work_id}, sold for {listing.price_text} a call."
    )
    terminal.say(f"  address  {listing.url}")
    terminal.say(f"  paid at  {listing.till}")
    terminal.say(f"  call it  {listing.command}")
