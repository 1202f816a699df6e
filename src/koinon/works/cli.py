# SPDX-License-Identifier: Apache-2.0
"""``koinon works …``: publish a Work, look at one, say who may build on it, collect what its till holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.markup import escape

from koinon.chain.address import checksum
from koinon.errors import BadInput, IntegrityError, NotFound
from koinon.terminal import Session, Terminal, json_option
from koinon.works.agents import Agents
from koinon.works.api import Collection, ParentMode, Published, Works
from koinon.works.arguments import read_parents, read_registration, read_share, read_shares
from koinon.works.erc8004 import export
from koinon.works.ground import Ground
from koinon.works.registration import Registration
from koinon.works.shares import OWNER, WHOLE
from koinon.works.till import ETH

_Value = TypeVar("_Value")
_DAY_S = 86_400


@click.group()
def group() -> None:
    """Publish a Work, look at its shares and its income; collect yours."""


@group.command()
@click.argument("card", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--share", "shares", multiple=True, metavar="ADDRESS=PERCENT", help="Who shares in its income.")
@click.option("--parent", "parents", multiple=True, metavar="ID=PERCENT", help="A Work it was made from.")
@click.option("--permission", "permissions", multiple=True, metavar="ID=HEX", help="What its owner signed.")
@click.option(
    "--royalty",
    type=click.IntRange(0, 10_000),
    default=0,
    metavar="BPS",
    help="What a resale owes, in 1/10,000 of the price.",
)
@json_option
@click.pass_obj
def publish(
    session: Session,
    *,
    card: Path,
    shares: tuple[str, ...],
    parents: tuple[str, ...],
    permissions: tuple[str, ...],
    royalty: int,
) -> None:
    """Publish the Work that CARD describes: JSON with name, description and card."""
    registration = read_registration(card)
    payees = read_shares(shares)
    made_from = read_parents(parents, permissions)
    with session.node() as node:
        published = _works(node).publish(
            registration, parents=made_from, shares=payees or None, royalty_bps=royalty
        )
    session.terminal.result(
        {
            "work_id": published.work_id,
            "till": published.till,
            "uri": published.uri,
            "shares": published.shares.to_json(),
        },
        lambda terminal: _show_published(terminal, registration.name, published),
    )


@group.command()
@click.argument("work_id", type=int)
@json_option
@click.pass_obj
def show(session: Session, work_id: int) -> None:
    """Show a Work: what it is, whose, from what, who shares in it and what waits in its till."""
    with session.node() as node:
        works = _works(node)
        found = describe(works, work_id)
        units = {ETH: ("ETH", 18), **_coin_unit(works)}
    session.terminal.result(found, lambda terminal: _show(terminal, found, units))


@group.command("export-8004")
@click.argument("work_id", type=int)
@json_option
@click.pass_obj
def export_8004(session: Session, work_id: int) -> None:
    """Print Work WORK_ID's ERC-8004 registration file, as any explorer reads it."""
    with session.node() as node:
        document = export(_works(node), work_id)
    session.terminal.result(document, lambda terminal: terminal.stdout.print_json(data=document))


@group.command()
@click.argument("work_ids", type=int, nargs=-1, required=True)
@click.option("--token", metavar="ADDRESS", help='The token to collect, "ETH" for ETH; the coin by default.')
@json_option
@click.pass_obj
def collect(session: Session, work_ids: tuple[int, ...], token: str | None) -> None:
    """Pay out Works and everything they were made from, each payee its part."""
    wanted = None if token is None else ETH if token.upper() == "ETH" else checksum(token)
    with session.node() as node:
        works = _works(node)
        for work_id in work_ids:
            works.owner_of(work_id)  # all exist, before any money moves
        found = [works.collect(work_id, wanted) for work_id in dict.fromkeys(work_ids)]
        account = node.operator.address
        units = {ETH: ("ETH", 18), **_coin_unit(works)}
    document = {
        "account": account,
        "received": sum(collection.received(account) for collection in found),
        "payouts": [
            {
                "work_id": each.work_id,
                "token": each.token,
                "payee": each.payee,
                "receiver": each.receiver,
                "amount": each.amount,
            }
            for collection in found
            for each in collection.payouts
        ],
        "skipped": {
            str(work_id): reason for collection in found for work_id, reason in collection.skipped.items()
        },
    }
    session.terminal.result(document, lambda terminal: _show_collected(terminal, found, units))


@group.command()
@click.argument("work_id", type=int)
@json_option
@click.pass_obj
def finish(session: Session, work_id: int) -> None:
    """Write the shares of a Work whose publishing was cut off."""
    with session.node() as node:
        table = _works(node).finish(work_id)
    session.terminal.result(
        {"work_id": work_id, "shares": table.to_json()},
        lambda terminal: terminal.say(f"Who shares in Work {work_id} is written now, for ever."),
    )


@group.command()
@click.argument("work_id", type=int)
@click.argument("mode", type=click.Choice([mode.name.lower() for mode in ParentMode]))
@click.option("--minimum", metavar="PERCENT", help="For open: the least share a child must promise.")
@json_option
@click.pass_obj
def parents(session: Session, work_id: int, mode: str, minimum: str | None) -> None:
    """Say who may make new Works from WORK_ID: signed (ask me), open, or closed."""
    rule = ParentMode[mode.upper()]
    if minimum is not None and rule is not ParentMode.OPEN:
        raise BadInput(
            f"A minimum share means nothing where the rule is {mode}.",
            hint="Leave out --minimum, or choose open.",
            code="works.minimum",
        )
    least = 0 if minimum is None else read_share(minimum)
    with session.node() as node:
        works = _works(node)
        works.owner_of(work_id)
        works.set_parent_rule(work_id, rule, least)
    session.terminal.result(
        {"work_id": work_id, "mode": mode, "minimum_share": least},
        lambda terminal: terminal.say(
            f"Work {work_id} may now be a parent: {mode}{f' from {_percent(least)} on' if least else ''}."
        ),
    )


@group.command()
@click.argument("work_id", type=int)
@click.argument("publisher")
@click.argument("share", metavar="PERCENT")
@click.option("--days", type=click.IntRange(1, 3_650), default=30, show_default=True, help="How long.")
@json_option
@click.pass_obj
def permit(session: Session, work_id: int, publisher: str, share: str, days: int) -> None:
    """Let PUBLISHER make new Works from WORK_ID that pay it PERCENT of their income."""
    least, account = read_share(share), checksum(publisher)
    with session.node() as node:
        works = _works(node)
        deadline = node.chain.timestamp() + days * _DAY_S
        signed = works.permission(work_id, account, least, deadline)
    document = {
        "work_id": work_id,
        "publisher": account,
        "minimum_share": least,
        "deadline": deadline,
        "permission": "0x" + signed.hex(),
    }
    session.terminal.result(
        document,
        lambda terminal: terminal.say(
            f"{account} may publish with\n"
            f"  --parent {work_id}={escape(share)} --permission {work_id}=0x{signed.hex()}"
        ),
    )


def describe(works: Works, work_id: int) -> dict[str, Any]:
    """Everything a person would ask about a Work, as plain JSON.

    What is not known here is None, with the reason in ``faults``. Shares in 1e-9, balances in the token's
    smallest unit.
    """
    owner, till = works.owner_of(work_id), works.till_of(work_id)
    faults: dict[str, str] = {}

    def known(part: str, read: Callable[[int], _Value]) -> _Value | None:
        try:
            return read(work_id)
        except (NotFound, BadInput, IntegrityError) as fault:
            faults[part] = fault.message
            return None

    file, table = known("registration", works.registration_of), known("shares", works.shares_of)
    return {
        "work_id": work_id,
        "owner": owner,
        "till": till,
        "registration": None if file is None else file.registration.to_json(),
        "signer": None if file is None else file.signer,
        "agent": None if file is None else _agent(works, file.registration, owner),
        "parents": [
            {"work_id": parent, "minimum_share": share, "till": works.till_of(parent)}
            for parent, share in works.parents_of(work_id)
        ],
        "shares": None if table is None else table.to_json(),
        "balances": works.balances(work_id),
        "faults": faults,
    }


def _agent(works: Works, registration: Registration, owner: str) -> dict[str, Any] | None:
    """The Work in ERC-8004's own registry, where this network has one and the same account owns both."""
    if not works.chain.network.canonical:
        return None
    agents = Agents(works.chain)
    agent_id = agents.agent_of(registration, owner)
    if agent_id is None:
        return None
    return {"agent_id": agent_id, "registry": agents.registry, "feedback": len(agents.feedback(agent_id))}


def _works(node: Ground) -> Works:
    return Works(node.chain, node.store, node.operator)


def _percent(share: int) -> str:
    return f"{float(Fraction(share, WHOLE)):.4%}"


def _coin_unit(works: Works) -> dict[str, tuple[str, int]]:
    """The coin's address → its symbol and decimals."""
    coin = works.chain.coin
    return {coin.address: (_line(coin.call("symbol")), int(coin.call("decimals")))}


def _amount(token: str, amount: int, units: dict[str, tuple[str, int]]) -> str:
    symbol, decimals = units.get(token, (f"units of {token}", 0))
    whole, part = divmod(amount, 10**decimals)
    decimal = str(part).rjust(decimals, "0").rstrip("0") if part else ""
    return f"{whole}{'.' if decimal else ''}{decimal} {symbol}"


def _line(text: str) -> str:
    """A stranger's words as one harmless line: no markup, no control characters."""
    return escape("".join(sign if sign.isprintable() else " " for sign in text))


def _show_shares(terminal: Terminal, shares: dict[str, int], names: dict[str, str] | None = None) -> None:
    for payee, share in shares.items():
        terminal.say(f"  {_percent(share):>10}  {_payee(payee, names or {})}")


def _payee(payee: str, names: dict[str, str]) -> str:
    if payee == OWNER:
        return "its owner"
    return f"{names[payee]} (till {payee})" if payee in names else payee


def _show_published(terminal: Terminal, name: str, published: Published) -> None:
    terminal.say(f"[bold]{_line(name)}[/bold] is Work {published.work_id}.")
    terminal.say(f"  Whatever is paid to its till, {published.till}, is shared among:")
    _show_shares(terminal, published.shares.to_json())


def _show(terminal: Terminal, found: dict[str, Any], units: dict[str, tuple[str, int]]) -> None:
    file = found["registration"]
    terminal.say(f"[bold]Work {found['work_id']}[/bold] {_line(file['name']) if file else ''}".rstrip())
    if file:
        terminal.say(f"  {_line(file['description'])}")
    terminal.say(f"  owner {found['owner']}\n  till  {found['till']}")
    for parent in found["parents"]:
        least = parent["minimum_share"]
        promise = f", which gets {_percent(least)} or more" if least else ""
        terminal.say(f"  made from Work {parent['work_id']}{promise}")
    if found["shares"]:
        terminal.say("  income is shared among")
    tills = {parent["till"]: f"Work {parent['work_id']}" for parent in found["parents"]}
    _show_shares(terminal, found["shares"] or {}, tills)
    for token, amount in found["balances"].items():
        terminal.say(f"  {_amount(token, amount, units)} waiting")
    for fault in dict.fromkeys(found["faults"].values()):
        terminal.note(f"[yellow]{_line(fault)}[/yellow]")


def _show_collected(
    terminal: Terminal, found: Sequence[Collection], units: dict[str, tuple[str, int]]
) -> None:
    rows = [
        (each.work_id, each.receiver, _amount(each.token, each.amount, units))
        for collection in found
        for each in collection.payouts
    ]
    if rows:
        terminal.table("Paid out", ["from Work", "to", "amount"], rows, right=[0, 2])
    else:
        terminal.say("Nothing was due.")
    for collection in found:
        for work_id, reason in collection.skipped.items():
            terminal.note(f"[yellow]Work {work_id} was passed over: {_line(reason)}[/yellow]")
