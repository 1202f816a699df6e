# SPDX-License-Identifier: Apache-2.0
"""``koinon works …``: publish a Work, look at one, collect what its till holds."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import orjson

from koinon.errors import BadInput, NotFound
from koinon.terminal import Session, Terminal, json_option
from koinon.works.api import Collection, Parent, ParentMode, Published, Works
from koinon.works.ground import Ground
from koinon.works.json_fields import JsonFields
from koinon.works.registration import Registration, read_card
from koinon.works.shares import OWNER, WHOLE, parse_share


@click.group()
def group() -> None:
    """Publish a Work, look at its shares and its income; collect yours."""


@group.command()
@click.argument("card", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--share", "shares", multiple=True, metavar="ADDRESS=PERCENT", help="Who shares in its income.")
@click.option("--parent", "parents", multiple=True, metavar="ID=PERCENT", help="A Work it was made from.")
@click.option("--royalty", default=0, metavar="BPS", help="What a resale owes, in 1/10,000 of the price.")
@json_option
@click.pass_obj
def publish(
    session: Session, card: Path, shares: tuple[str, ...], parents: tuple[str, ...], royalty: int
) -> None:
    """Publish the Work that CARD describes: JSON with name, description and card."""
    registration = read_registration(card)
    with session.node() as node:
        published = _works(node).publish(
            registration,
            parents=[_parent(text) for text in parents],
            shares=dict(parse_share(text) for text in shares) or None,
            royalty_bps=royalty,
        )
    session.terminal.result(
        {"work_id": published.work_id, "till": published.till, "uri": published.uri},
        lambda terminal: _show_published(terminal, registration.name, published),
    )


@group.command()
@click.argument("work_id", type=int)
@json_option
@click.pass_obj
def show(session: Session, work_id: int) -> None:
    """Show a Work: what it is, whose, from what, who shares in it and what waits in its till."""
    with session.node() as node:
        found = describe(_works(node), work_id)
    session.terminal.result(found, lambda terminal: _show(terminal, found))


@group.command()
@click.argument("work_ids", type=int, nargs=-1, required=True)
@json_option
@click.pass_obj
def collect(session: Session, work_ids: tuple[int, ...]) -> None:
    """Pay out Works and everything they were made from, each payee its part."""
    with session.node() as node:
        works = _works(node)
        found = {work_id: works.collect(work_id) for work_id in work_ids}
        account = node.operator.address
    document = {
        "account": account,
        "received": sum(collection.received(account) for collection in found.values()),
        "payouts": [
            {"work_id": each.work_id, "payee": each.payee, "receiver": each.receiver, "amount": each.amount}
            for collection in found.values()
            for each in collection.payouts
        ],
        "skipped": {
            str(work_id): reason
            for collection in found.values()
            for work_id, reason in collection.skipped.items()
        },
    }
    session.terminal.result(document, lambda terminal: _show_collected(terminal, found))


@group.command()
@click.argument("work_id", type=int)
@click.argument("mode", type=click.Choice([mode.name.lower() for mode in ParentMode]))
@click.option("--minimum", default="0%", help="For open: the least share a child must promise.")
@click.pass_obj
def parents(session: Session, work_id: int, mode: str, minimum: str) -> None:
    """Say who may make new Works from WORK_ID: signed (ask me), open, or closed."""
    least = 0 if minimum in ("0", "0%") else int(parse_share(f"{OWNER}={minimum}")[1] * WHOLE)
    with session.node() as node:
        _works(node).set_parent_rule(work_id, ParentMode[mode.upper()], least)
    session.terminal.say(f"Work {work_id} may now be a parent: {mode}.")


def read_registration(path: Path) -> Registration:
    """Name, description and card from a JSON file; NotFound, BadInput."""
    try:
        content = orjson.loads(path.read_bytes())
    except OSError:
        raise NotFound(f"There is no card at {path}.", code="works.card") from None
    except ValueError as error:
        raise BadInput(f"{path.name} is not JSON: {error}.", code="works.card") from None
    fields = JsonFields(content, "")
    return Registration(
        name=fields.text("name"),
        description=fields.text("description"),
        card=read_card(fields.child("card")),
        image=fields.text("image", ""),
    )


def describe(works: Works, work_id: int) -> dict[str, Any]:
    """Everything a person would ask about a Work, as plain JSON; parts not known here are None."""
    owner, till = works.owner_of(work_id), works.till_of(work_id)
    try:
        file: dict[str, Any] | None = works.registration_of(work_id).registration.to_json()
    except (NotFound, BadInput):
        file = None
    try:
        shares: dict[str, int] | None = works.shares_of(work_id).to_json()
    except NotFound:
        shares = None
    return {
        "work_id": work_id,
        "owner": owner,
        "till": till,
        "registration": file,
        "parents": [
            {"work_id": parent, "minimum_share": share} for parent, share in works.parents_of(work_id)
        ],
        "shares": shares,
        "balances": works.balances(work_id),
    }


def _works(node: Ground) -> Works:
    return Works(node.chain, node.store, node.operator)


def _parent(text: str) -> Parent:
    work, _, share = text.partition("=")
    if not work.strip().isdecimal():
        raise BadInput(
            f"{text!r} is not a parent.", hint="Write ID=PERCENT, such as 7=20%.", code="works.parent"
        )
    return Parent(int(work), int(parse_share(f"{OWNER}={share}")[1] * WHOLE))


def _percent(share: int) -> str:
    return f"{float(Fraction(share, WHOLE)):.4%}"


def _show_published(terminal: Terminal, name: str, published: Published) -> None:
    terminal.say(f"[bold]{name}[/bold] is Work {published.work_id}.")
    terminal.say(f"  Whatever is paid to its till, {published.till}, is shared among:")
    for payee, share in published.shares.items():
        terminal.say(f"  {_percent(share):>10}  {'its owner' if payee == OWNER else payee}")


def _show(terminal: Terminal, found: dict[str, Any]) -> None:
    file = found["registration"]
    terminal.say(f"[bold]Work {found['work_id']}[/bold] {file['name'] if file else '(its file is not here)'}")
    if file:
        terminal.say(f"  {file['description']}")
    terminal.say(f"  owner {found['owner']}\n  till  {found['till']}")
    for parent in found["parents"]:
        terminal.say(f"  made from Work {parent['work_id']}")
    for payee, share in (found["shares"] or {}).items():
        terminal.say(f"  {_percent(share):>10}  {'its owner' if payee == OWNER else payee}")
    for token, amount in found["balances"].items():
        terminal.say(f"  {amount} waiting in {'ETH (wei)' if token == OWNER else token}")


def _show_collected(terminal: Terminal, found: dict[int, Collection]) -> None:
    rows = [
        (each.work_id, each.receiver, each.amount)
        for collection in found.values()
        for each in collection.payouts
    ]
    if not rows:
        terminal.say("Nothing was due.")
    else:
        terminal.table("Paid out", ["from Work", "to", "amount"], rows, right=[0, 2])
    for collection in found.values():
        for work_id, reason in collection.skipped.items():
            terminal.note(f"[yellow]Work {work_id} was passed over: {reason}[/yellow]")
