# SPDX-License-Identifier: Apache-2.0
"""``koinon tour``."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.markup import escape

from koinon.errors import SetupError
from koinon.resume import TOUR_UNDERWAY
from koinon.terminal import Session, json_option
from koinon.tour.job import Job
from koinon.up import record


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
    folder = session.settings.home / "tour"
    with _only_tour(folder), session.node() as node:
        (folder / TOUR_UNDERWAY).touch()
        job = Job(node, terminal, folder, calls=calls, price=price, seed=seed)
        job.stages["node"] = time.monotonic() - started
        ledger = job.run()
        (folder / TOUR_UNDERWAY).unlink()
    terminal.result(ledger.to_json(), ledger.show)
    ledger.check()
    there = record.running(session.settings.home)
    if there is None:
        terminal.say("Now you: start the pages with [bold]koinon up[/bold] and open /tour there.")
    else:
        terminal.say(f"Now you: open [bold]{escape(there.console)}/tour[/bold] and ask the model yourself.")


@contextmanager
def _only_tour(folder: Path) -> Iterator[None]:
    """One tour at a time in a data directory: its parties have one key and one gateway each."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(
                "A tour is already under way in this data directory.",
                hint="Wait until it ends, or give this one its own: koinon --home FOLDER tour.",
                code="tour.running",
            ) from None
        yield
