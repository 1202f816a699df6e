# SPDX-License-Identifier: Apache-2.0
"""``koinon lending pool create`` and ``koinon lending revoke``: how a pool begins, how a score ends."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Final

import click
from rich.markup import escape

from koinon.errors import BadInput
from koinon.lending.api import Lending
from koinon.lending.offer_file import read_json, write_json
from koinon.lending.pool_file import EXAMPLE, read_plan
from koinon.lending.pool_shown import show_pool
from koinon.lending.quote_cli import only_pool
from koinon.lending.revoking import Revocation
from koinon.terminal import Session, Terminal, json_option

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.command(epilog="An example:\n\n\b\n" + EXAMPLE.replace("\n\n", "\n\n\b\n"))
@click.argument("terms", type=_FILE)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@json_option
@click.pass_obj
def create(session: Session, *, terms: Path, yes: bool) -> None:
    """Create a pool on the TERMS of a TOML file; nobody can ever change them."""
    with session.node() as node:
        lending = Lending.of(node)
        plan = read_plan(terms, coin=node.chain.coin.address)
        if not yes:
            question = "Create this pool? Its terms stay for ever."
            if session.terminal.json_output:
                raise BadInput(f"{question} Say so with --yes.", code="lending.unconfirmed")
            click.confirm(question, abort=True, err=True)
        state = lending.open_pool(plan, secrets.token_bytes(32))
    session.terminal.result(state.to_dict(), lambda terminal: show_pool(terminal, state))


@click.command()
@click.argument("wallet", metavar="ADDRESS")
@click.option("--pool", "address", default="", help="Whose scores; where there is one pool, its.")
@click.option("--with", "begun", type=_FILE, help="What other issuers signed: sign it too.")
@click.option("--out", type=_FILE, help="Write what is signed so far here, for the next issuer.")
@json_option
@click.pass_obj
def revoke(session: Session, *, wallet: str, address: str, begun: Path | None, out: Path | None) -> None:
    """As an issuer: take the score of ADDRESS back, once enough have signed. Nothing brings it back."""
    before = None if begun is None else Revocation.from_json(read_json(begun))
    with session.node() as node:
        lending = Lending.of(node)
        state = lending.pool(address or only_pool(lending))
        made = lending.begin_revocation(state.address, wallet, before)
        enough = len(made.signed) >= state.threshold
        if not enough and out is None:
            raise BadInput(
                "Other issuers must sign as well.",
                hint="Write it to a file with --out, and have them sign it with --with.",
                code="lending.more_issuers",
            )
        if enough:
            lending.revoke_score(made)
    if out is not None:
        write_json(out, made.to_json())
    value: dict[str, Any] = {"revoked": enough, "uid": "0x" + made.uid.hex(), "signed": len(made.signed)}

    def show(terminal: Terminal) -> None:
        done = f"The score of {made.subject} is taken back: it borrows nothing new until it has another one."
        terminal.say(escape(done if enough else f"{len(made.signed)} signed so far: {out}"))

    session.terminal.result(value, show)
