# SPDX-License-Identifier: Apache-2.0
"""``koinon data …`` around downloads: keep shares, promise delivery, complain, exchange without keepers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from koinon.data import keeper_process
from koinon.data.api import Data
from koinon.data.complaint import ComplaintState
from koinon.data.keeper_process import KeeperOptions
from koinon.data.keeper_sale import Backing
from koinon.data.sale import SaleState
from koinon.data.shown import amount, coin_of, moment, read_amount
from koinon.errors import PaymentError
from koinon.terminal import Session, Terminal, json_option

_STATES = {
    ComplaintState.NONE: "There is no complaint.",
    ComplaintState.WAITING: "Keepers still have time to answer.",
    ComplaintState.SERVED: "Enough keepers answered: give --out to write the content.",
    ComplaintState.REFUNDABLE: "Too few keepers answered: take the money back with koinon data money-back.",
    ComplaintState.CLOSED: "The complaint is closed.",
}
_SALES = {
    SaleState.UNKNOWN: "The price is not locked yet.",
    SaleState.LOCKED: "The price is locked; the key is not revealed yet.",
    SaleState.REVEALED: "The key is revealed.",
    SaleState.COMPLETED: "The sale is complete: the price is in the till.",
    SaleState.REFUNDED: "The price went back to the buyer.",
}


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=0, help="[default: any free one]")
@click.option("--certificate", type=click.Path(path_type=Path), help="PEM file, for https.")
@click.option("--private-key", type=click.Path(path_type=Path), help="PEM file, for https.")
@click.option("--depth", default=0, show_default=True, help="How many blocks old a grant must be.")
@click.option(
    "--look", default=30.0, show_default=True, help="Seconds between looks for complaints; 0: none."
)
@json_option
@click.pass_obj
def keep(
    session: Session,
    *,
    host: str,
    port: int,
    certificate: Path | None,
    private_key: Path | None,
    depth: int,
    look: float,
) -> None:
    """Keep shares of keys for owners, give them to who has a grant, and answer complaints on chain."""
    options = KeeperOptions(
        host,
        port,
        depth,
        certificate=str(certificate) if certificate else None,
        private_key=str(private_key) if private_key else None,
        look_s=look,
    )

    def say(event: dict[str, Any]) -> None:
        session.terminal.result(event, lambda terminal: _say(terminal, event))

    with session.node() as node:
        folder = node.settings.home / "data" / "keeper"
        asyncio.run(keeper_process.serve(node.chain, node.operator, folder, options, say))


@click.command()
@click.argument("work_id", type=int)
@click.option("--stake", required=True, help="What is staked on delivery, in coins.")
@click.option("--most", required=True, help="The most that is paid back for one grant, in coins.")
@json_option
@click.pass_obj
def promise(session: Session, *, work_id: int, stake: str, most: str) -> None:
    """Stake on the delivery of what is sealed for WORK_ID: buyers whom keepers fail are paid back from it."""
    with session.node() as node:
        symbol, decimals = coin_of(node)
        backing = Backing(read_amount(stake, decimals), read_amount(most, decimals))
        promise_id = Data.of(node).downloads.promise(work_id, backing)
        covered = Data.of(node).downloads.covered(work_id)
    session.terminal.result(
        {"promise_id": promise_id, "covered": covered},
        lambda terminal: terminal.say(
            f"Promise {promise_id} pays back up to {amount(covered, decimals)} {symbol} for a grant."
        ),
    )


@click.command()
@click.argument("work_id", type=int)
@json_option
@click.pass_obj
def complain(session: Session, *, work_id: int) -> None:
    """Complain on chain that keepers do not serve the download of WORK_ID that you paid for."""
    with session.node() as node:
        downloads = Data.of(node).downloads
        grant_id = downloads.paid_grant(work_id)
        made = downloads.complain(grant_id)
        symbol, decimals = coin_of(node)
    session.terminal.result(
        {"grant_id": grant_id, "cover": made.cover, "answer_until": made.answer_until},
        lambda terminal: terminal.say(
            f"Keepers have until {moment(made.answer_until)} to answer, or "
            f"{amount(made.cover, decimals)} {symbol} come back. See: koinon data complaint {grant_id}"
        ),
    )


@click.command()
@click.argument("grant_id", type=int)
@click.option("--out", type=click.Path(path_type=Path), help="Write the content to this file.")
@json_option
@click.pass_obj
def complaint(session: Session, *, grant_id: int, out: Path | None) -> None:
    """Show where the complaint about a grant is; with --out write the content that the answers open."""
    with session.node() as node:
        downloads = Data.of(node).downloads
        state, found = downloads.complaint(grant_id)
        done = None if out is None else downloads.fetch_answered(grant_id, out)
    answer = {
        "grant_id": grant_id,
        "state": state.value,
        "answers": found.answers if found else 0,
        "answer_until": found.answer_until if found else 0,
        "resolve_until": found.resolve_until if found else 0,
        "size": done.size if done else 0,
    }
    session.terminal.result(
        answer,
        lambda terminal: terminal.say(
            f"{done.size:,} bytes are in {escape(str(done.path))}." if done else _STATES[state]
        ),
    )


@click.command(name="money-back")
@click.argument("grant_id", type=int)
@json_option
@click.pass_obj
def money_back(session: Session, *, grant_id: int) -> None:
    """Give up a grant that keepers did not serve in time, and take the money back."""
    with session.node() as node:
        returned = Data.of(node).downloads.refund(grant_id)
        symbol, decimals = coin_of(node)
    session.terminal.result(
        {"grant_id": grant_id, "returned": returned},
        lambda terminal: terminal.say(f"{amount(returned, decimals)} {symbol} came back."),
    )


@click.group()
def exchange() -> None:
    """Sell a file to somebody who need not trust you, without keepers; buy one."""


@exchange.command()
@click.argument("work_id", type=int)
@click.argument("content", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
@click.pass_obj
def announce(session: Session, *, work_id: int, content: Path) -> None:
    """Seller: write the root of CONTENT on chain, for buyers to check what they get against."""
    with session.node() as node:
        root = Data.of(node).downloads.announce(work_id, content)
    session.terminal.result(
        {"work_id": work_id, "root": root.hex()}, lambda terminal: terminal.say(f"Root: {root.hex()}")
    )


@exchange.command()
@click.argument("work_id", type=int)
@click.argument("content", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("buyer")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def prepare(session: Session, *, work_id: int, content: Path, buyer: str, folder: Path) -> None:
    """Seller: encrypt CONTENT for the account BUYER into FOLDER, at the offer that stands."""
    with session.node() as node:
        sale = Data.of(node).downloads.prepare(work_id, content, buyer, folder)
    session.terminal.result(
        {"work_id": work_id, "buyer": sale.buyer, "price": sale.price, "valid_until": sale.valid_until},
        lambda terminal: terminal.say(
            f"Send sale.json, ciphertext and leaves from {escape(str(folder))} to the buyer, and sale.key to "
            f"nobody. Valid until {moment(sale.valid_until)}."
        ),
    )


@exchange.command()
@click.argument("work_id", type=int)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--most", required=True, help="The most to pay, in coins.")
@json_option
@click.pass_obj
def lock(session: Session, *, work_id: int, folder: Path, most: str) -> None:
    """Buyer: check what is in FOLDER against WORK_ID's root and offer, and lock the price."""
    with session.node() as node:
        downloads, (_, decimals) = Data.of(node).downloads, coin_of(node)
        agreed = downloads.agreed(work_id)
        if agreed.offer.token != node.chain.coin.address or agreed.offer.price > read_amount(most, decimals):
            raise PaymentError(
                f"It costs {agreed.offer.price}; at most {most} was agreed to.",
                hint="Look at its terms again.",
                code="data.price_rose",
            )
        state = downloads.lock(agreed, folder)
    _say_sale(session, state)


@exchange.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--depth", default=0, show_default=True, help="How many blocks old the buyer's lock must be.")
@json_option
@click.pass_obj
def reveal(session: Session, *, folder: Path, depth: int) -> None:
    """Seller: reveal the key once the price is locked, or collect it once the time to dispute is over."""
    with session.node() as node:
        state = Data.of(node).downloads.seller_step(folder, depth=depth)
    _say_sale(session, state)


@exchange.command(name="open")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def open_(session: Session, *, folder: Path, target: Path) -> None:
    """Buyer: write the content to TARGET and pay; dispute a false block; or take the price back."""
    with session.node() as node:
        state = Data.of(node).downloads.buyer_step(folder, target)
    _say_sale(session, state)


def _say_sale(session: Session, state: SaleState) -> None:
    session.terminal.result({"state": state.name.lower()}, lambda terminal: terminal.say(_SALES[state]))


def _say(terminal: Terminal, event: dict[str, Any]) -> None:
    match event["event"]:
        case "ready":
            terminal.say(f"Owners and buyers reach this keeper at [bold]{event['url']}[/bold].")
        case "answered":
            terminal.say(f"Answered the complaint about grant {event['grant_id']}.")
        case "not answered":
            terminal.note(f"[yellow]{escape(event['title'])} Trying again.[/yellow]")
        case _:
            terminal.say("Stopped.")


DOWNLOADS = (keep, promise, complain, complaint, money_back, exchange)
