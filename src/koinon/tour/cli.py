# SPDX-License-Identifier: Apache-2.0
"""``koinon tour``."""

from __future__ import annotations

import time

import click

from koinon.terminal import Session, json_option
from koinon.tour.job import Job


@click.command()
@click.option("--calls", default=3000, show_default=True, help="Calls the buyer pays for.")
@click.option("--price", default="0.001", show_default=True, help="Of one call, in coins.")
@click.option("--seed", default=1, show_default=True, help="Of the split and the training.")
@json_option
@click.pass_obj
def command(session: Session, calls: int, price: str, seed: int) -> None:
    """Five lenders teach one model without showing their customers; it is sold and all are paid."""
    terminal = session.terminal
    started = time.monotonic()
    with session.node() as node:
        job = Job(node, terminal, session.settings.home / "tour", calls=calls, price=price, seed=seed)
        job.stages["node"] = time.monotonic() - started
        ledger = job.run()
    terminal.result(ledger.to_json(), ledger.show)
    ledger.check()
