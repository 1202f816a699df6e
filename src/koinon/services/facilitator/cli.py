# SPDX-License-Identifier: Apache-2.0
"""``koinon service facilitator``."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from koinon.services.counter import keyring
from koinon.services.facilitator.serve import FacilitatorOptions, run
from koinon.services.prices import to_units
from koinon.serving import loop_factory
from koinon.terminal import Session, json_option

KEY = "facilitator"


@click.command()
@click.option("--port", default=8403, show_default=True, help="Where it listens; 0 for any free port.")
@click.option("--minimum", default="0.0001", show_default=True, help="Least coins of a payment it settles.")
@json_option
@click.pass_obj
def facilitator(session: Session, *, port: int, minimum: str) -> None:
    """Check and settle x402 payments for other people's services until Ctrl-C."""
    with session.node() as node:
        key = keyring(node).open(KEY)
        if node.chain.network.test_money and node.chain.balance(key.address) == 0:
            node.fund(key.address)
        options = FacilitatorOptions(
            host=session.settings.host,
            port=port,
            minimum=max(1, to_units(minimum, int(node.chain.coin.call("decimals")))),
        )

        def say(event: dict[str, Any]) -> None:
            session.terminal.result(
                event,
                lambda terminal: terminal.say(
                    f"The facilitator answers at [bold]{event['url']}[/bold] for {event['network']}; "
                    f"{event['address']} pays the gas. Ctrl-C stops it."
                ),
            )

        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(run(node.chain, key, session.settings.home / KEY, options, say))
