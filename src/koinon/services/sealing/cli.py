# SPDX-License-Identifier: Apache-2.0
"""``koinon service seal``: to whom calls of a Work are sealed."""

from __future__ import annotations

import click

from koinon.chain.address import to_bytes
from koinon.services.counter import GATEWAY, keyring
from koinon.services.sealing.calls import METADATA_KEY
from koinon.terminal import Session, json_option


@click.command()
@click.argument("work_id", type=int)
@click.option("--off", is_flag=True, help="Take calls in the open from now on.")
@json_option
@click.pass_obj
def seal(session: Session, work_id: int, off: bool) -> None:
    """Name this node's gateway on chain as the one to whom calls of WORK_ID are sealed."""
    with session.node() as node:
        account = keyring(node).open(GATEWAY).address
        value = b"" if off else to_bytes(account)
        works = node.chain.contract("Works")
        node.chain.sender(node.operator).send(works.transaction("setMetadata", work_id, METADATA_KEY, value))
    session.terminal.result(
        {"work_id": work_id, "sealed_to": "" if off else account},
        lambda terminal: terminal.say(
            f"Calls of Work {work_id} are taken in the open."
            if off
            else f"Calls of Work {work_id} are sealed to {account}."
        ),
    )
