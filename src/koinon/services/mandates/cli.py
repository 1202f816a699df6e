# SPDX-License-Identifier: Apache-2.0
"""``koinon mandate …``: what a program may spend, on what, until when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from koinon.chain.address import checksum
from koinon.chain.handle import Chain
from koinon.errors import BadInput
from koinon.services.counter import keyring
from koinon.services.mandates.book import Entry, MandateBook, days_from
from koinon.services.mandates.mandate import USES, Mandate
from koinon.services.prices import to_text, to_units
from koinon.terminal import Session, Terminal, json_option


@click.group()
def group() -> None:
    """Say what a program may spend, on what, until when; see what it spent; stop it."""


@group.command()
@click.argument("agent")
@click.option("--per-call", required=True, help="Most coins for one use.")
@click.option("--per-day", required=True, help="Most coins a day (UTC).")
@click.option("--total", required=True, help="Most coins in all.")
@click.option("--per-owner", default="", help="Most coins to one owner of Works; all of them by default.")
@click.option("--days", default=30, show_default=True, help="How long it lasts.")
@click.option("--use", "uses", multiple=True, type=click.Choice(USES), help="For what; calls by default.")
@click.option("--work", "works", multiple=True, type=int, help="Only this Work. Repeat it.")
@click.option("--owner", "owners", multiple=True, help="Only Works of this account. Repeat it.")
@click.option("--verified-lineage", is_flag=True, help="Only Works with a stake on their lineage.")
@click.option("--validation", default=0, help="Least validation, 0 to 100, by the --validator accounts.")
@click.option("--validator", "validators", multiple=True, help="Whose validations count. Repeat it.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("mandate.json"), show_default=True)
@json_option
@click.pass_obj
def give(
    session: Session,
    *,
    agent: str,
    per_call: str,
    per_day: str,
    total: str,
    per_owner: str,
    days: int,
    uses: tuple[str, ...],
    works: tuple[int, ...],
    owners: tuple[str, ...],
    verified_lineage: bool,
    validation: int,
    validators: tuple[str, ...],
    out: Path,
) -> None:
    """Sign a mandate for AGENT (an account, or the name of a key here, such as `buyer`) into a file."""
    with session.node() as node, _book(node) as book:
        decimals = _decimals(node.chain)
        account = checksum(agent) if agent.startswith("0x") else keyring(node).open(agent).address
        now = int(time.time())
        mandate = Mandate(
            owner=node.operator.address,
            agent=account,
            token=node.chain.coin.address,
            per_call=to_units(per_call, decimals),
            per_day=to_units(per_day, decimals),
            total=to_units(total, decimals),
            per_counterparty=to_units(per_owner or total, decimals),
            not_before=now,
            not_after=days_from(now, days),
            uses=uses or ("call",),
            works=works,
            counterparties=tuple(checksum(each) for each in owners),
            verified_lineage=verified_lineage,
            minimum_validation=validation,
            validators=tuple(checksum(each) for each in validators),
        )
        if out.exists():
            raise BadInput(
                f"{out} is there already.", hint="Give another file by --out.", code="mandate.file"
            )
        signed = book.give(node.operator, mandate)
        signed.save(out)
        entry = book.entry(signed.id.hex())
        session.terminal.result(
            {**_document(entry), "file": str(out)},
            lambda terminal: _given(terminal, entry, decimals, out),
        )


@group.command("list")
@json_option
@click.pass_obj
def list_mandates(session: Session) -> None:
    """The mandates given here or spent under here."""
    with session.node() as node, _book(node) as book:
        entries, decimals = book.entries(), _decimals(node.chain)
    session.terminal.result(
        [_document(entry) for entry in entries],
        lambda terminal: terminal.table(
            "Mandates",
            ("Id", "Agent", "State", "Signed away", "Of", "Until"),
            [
                (
                    entry.id[:12],
                    entry.signed.mandate.agent,
                    entry.state,
                    to_text(entry.spent.signed, decimals),
                    to_text(entry.signed.mandate.total, decimals),
                    _date(entry.signed.mandate.not_after),
                )
                for entry in entries
            ],
            right=(3, 4),
        ),
    )


@group.command()
@click.argument("mandate_id")
@json_option
@click.pass_obj
def show(session: Session, mandate_id: str) -> None:
    """What the mandate MANDATE_ID (or its first digits) allows, and what was spent under it."""
    with session.node() as node, _book(node) as book:
        entry, decimals = book.entry(mandate_id), _decimals(node.chain)
    session.terminal.result(_document(entry), lambda terminal: _show(terminal, entry, decimals))


@group.command()
@click.argument("mandate_id")
@json_option
@click.pass_obj
def revoke(session: Session, mandate_id: str) -> None:
    """Stop MANDATE_ID at once: here, and on chain for every machine. There is no way back."""
    with session.node() as node, _book(node) as book:
        entry = book.revoke(node.operator, mandate_id)
    session.terminal.result(
        _document(entry),
        lambda terminal: terminal.say(
            f"Mandate {entry.id[:12]} is revoked. Nothing more is signed under it."
        ),
    )


@contextmanager
def _book(node: Any) -> Iterator[MandateBook]:
    book = MandateBook(node.chain, node.settings.home)
    try:
        yield book
    finally:
        book.close()


def _decimals(chain: Chain) -> int:
    return int(chain.coin.call("decimals"))


def _document(entry: Entry) -> dict[str, Any]:
    """Amounts in the coin's smallest unit."""
    return {
        "id": entry.id,
        "state": entry.state,
        "mandate": entry.signed.mandate.to_json(),
        "spent": {
            "signed": entry.spent.signed,
            "today": entry.spent.today,
            "charged": entry.spent.charged,
            "by_owner": entry.spent.by_owner,
        },
    }


def _given(terminal: Terminal, entry: Entry, decimals: int, out: Path) -> None:
    _show(terminal, entry, decimals)
    terminal.say(f"  file         {out}: give it to the agent, as in `koinon call … --mandate {out}`")


def _show(terminal: Terminal, entry: Entry, decimals: int) -> None:
    mandate, spent = entry.signed.mandate, entry.spent
    terminal.say(f"[bold]Mandate {entry.id[:12]}[/bold]: {entry.state}")
    terminal.say(f"  who          {mandate.agent}, for {mandate.owner}")
    terminal.say(
        f"  how much     {to_text(mandate.per_call, decimals)} a use, "
        f"{to_text(mandate.per_day, decimals)} a day, {to_text(mandate.total, decimals)} in all, "
        f"{to_text(mandate.per_counterparty, decimals)} to one owner"
    )
    terminal.say(f"  on what      {', '.join(mandate.uses)}; {_whose(mandate)}")
    terminal.say(f"  until when   {_date(mandate.not_before)} to {_date(mandate.not_after)}")
    terminal.say(
        f"  spent        {to_text(spent.signed, decimals)} signed away, "
        f"{to_text(spent.today, decimals)} of it today; "
        f"{to_text(spent.charged, decimals)} charged by answered calls"
    )


def _whose(mandate: Mandate) -> str:
    parts = []
    if mandate.works:
        parts.append("Works " + ", ".join(map(str, mandate.works)))
    if mandate.counterparties:
        parts.append("Works of " + ", ".join(mandate.counterparties))
    if mandate.verified_lineage:
        parts.append("verified lineage only")
    if mandate.minimum_validation:
        parts.append(f"validated {mandate.minimum_validation} or better")
    return ", ".join(parts) or "any Work"


def _date(moment: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))
