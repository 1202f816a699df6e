# SPDX-License-Identifier: Apache-2.0
"""``koinon adopt``: make a Work of what stands elsewhere, without moving it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
import orjson

from koinon.chain.address import checksum
from koinon.errors import BadInput
from koinon.services.adopting.api import Adopted, Adoptions
from koinon.services.adopting.found import KINDS
from koinon.services.adopting.proofs import Proof
from koinon.services.counter import GATEWAY
from koinon.terminal import Session, Terminal, json_option


@click.command()
@click.argument("source", default="")
@click.option("--kind", type=click.Choice(KINDS), help="What it is, where the source does not show it.")
@click.option("--name", default="", help="Its name; its own by default.")
@click.option("--description", default="", help="What it is; its own description by default.")
@click.option(
    "--organization",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Of a SingularityNET service: its organization's metadata.",
)
@click.option("--rpc-url", default="", help="A node of the token's chain, where it is another than this.")
@click.option("--sign-for", metavar="ACCOUNT", help="Sign, as the token's owner, that ACCOUNT may adopt it.")
@click.option("--proof", default="", metavar="JSON", help="What --sign-for gave.")
@click.option("--check", type=int, metavar="WORK", help="Look again whether the Work's owner controls it.")
@json_option
@click.pass_obj
def adopt(
    session: Session,
    *,
    source: str,
    kind: str | None,
    name: str,
    description: str,
    organization: Path | None,
    rpc_url: str,
    sign_for: str | None,
    proof: str,
    check: int | None,
) -> None:
    """Make a Work of SOURCE, which stays where it is.

    SOURCE is a token (eip155:CHAIN:REGISTER/ID, an ERC-8004 agent or any ERC-721), the address of an A2A
    card, of an MCP or HTTP server, or of a SingularityNET or ERC-8004 file, or the path of a model file or of
    SingularityNET metadata. A token's owner signs; a host proves itself by a file that names the Work.
    """
    if (check is None) == (not source):
        raise BadInput(
            "Name one source, or a Work to look at again.",
            hint="koinon adopt SOURCE, or koinon adopt --check WORK",
            code="service.adopt_source",
        )
    given = _proof(proof) if proof else None
    with (
        session.node() as node,
        Adoptions(
            node.chain, node.store, node.settings.home / GATEWAY, node.operator, rpc_url=rpc_url
        ) as adoptions,
    ):
        if sign_for is not None:
            signed = adoptions.sign_for(source, checksum(sign_for)).to_json()
            session.terminal.result(signed, lambda terminal: terminal.say(orjson.dumps(signed).decode()))
            return
        if check is not None:
            found = adoptions.status(check)
        else:
            looked = adoptions.look(source, kind=kind or "", organization=organization)
            found = adoptions.adopt(looked, proof=given, name=name, description=description)
    session.terminal.result(asdict(found), lambda terminal: _show(terminal, found))


def _proof(text: str) -> Proof:
    try:
        return Proof.from_json(orjson.loads(text))
    except ValueError:
        raise BadInput("The proof is not JSON.", hint="Give what --sign-for printed.") from None


def _show(terminal: Terminal, found: Adopted) -> None:
    terminal.say(f"Work {found.work_id} stands for {found.source} ({found.kind}).")
    terminal.say(f"  paid at  {found.till}")
    if found.control.proven:
        terminal.say(f"  proven   {found.control.reason}")
        return
    terminal.say(f"  [yellow]unproven[/yellow] {found.control.reason}")
    if found.well_known is not None:
        terminal.say(
            f"  Show at {found.well_known['path']} of its host, then: koinon adopt --check {found.work_id}"
        )
        terminal.say(f"  {orjson.dumps(found.well_known['document']).decode()}")
