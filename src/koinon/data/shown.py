# SPDX-License-Identifier: Apache-2.0
"""What ``koinon data`` says to people, and to programs."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from rich.markup import escape

from koinon.data.api import Dataset
from koinon.data.budget import MILLION
from koinon.data.job_orders import JobProgress
from koinon.data.policy_file import units
from koinon.errors import BadInput
from koinon.terminal import Terminal
from koinon.works.terms import SignedConsent

LONGEST_SCHEMA: Final = 65_536
LONGEST_CONSENT: Final = 4_096


def read_amount(text: str, decimals: int) -> int:
    """Coins as people write them, in the smallest unit; BadInput otherwise."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount < 10**12:
        raise BadInput(f"{text!r} is no amount.", hint="Write it like 0.25.", code="data.amount")
    return units(amount, decimals)


def coin_of(node: Any) -> tuple[str, int]:
    """The symbol and the decimals of a node's coin."""
    coin = node.chain.coin
    return str(coin.call("symbol")), int(coin.call("decimals"))


def amount(units_: int, decimals: int) -> str:
    """Coins as people read them."""
    whole, part = divmod(units_, 10**decimals)
    return f"{whole:,}.{part:0{decimals}}".rstrip("0").rstrip(".") if decimals else f"{whole:,}"


def moment(second: int) -> str:
    """Unix seconds as people read them."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(second))


def read_schema_file(path: Path) -> str:
    """What a program's results are declared to be; BadInput where it cannot be read."""
    try:
        if path.stat().st_size > LONGEST_SCHEMA:
            raise BadInput(f"{path} has more than {LONGEST_SCHEMA} bytes.", code="data.schema_size")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({error}).", code="data.schema_file") from None


def read_consent(told: str) -> SignedConsent | None:
    """An owner's signed consent from a file or as it is; None of nothing. BadInput when it is none."""
    if not told:
        return None
    if told.strip().startswith("0x"):
        return SignedConsent.from_text(told)
    try:
        with Path(told).open("rb") as stream:
            return SignedConsent.from_text(stream.read(LONGEST_CONSENT).decode("ascii"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{told[:80]} cannot be read ({error}).", code="data.consent_file") from None


def described_dataset(found: Dataset) -> dict[str, Any]:
    """A dataset for programs."""
    return {
        "work_id": found.work_id,
        "name": found.registration.name,
        "owner": found.owner,
        "till": found.till,
        "columns": list(found.document.columns),
        "statistics": found.document.statistics,
        "sample": found.document.sample,
        "terms": found.document.terms,
        "offers": {use.name.lower(): offer.price for use, offer in found.offers.items()},
        "budget": {"total": found.budget.total / MILLION, "spent": found.budget.spent / MILLION},
        "here": found.here,
    }


def show_dataset(terminal: Terminal, found: Dataset, coin: tuple[str, int]) -> None:
    """A dataset for people."""
    symbol, decimals = coin
    terminal.say(f"[bold]{escape(found.registration.name)}[/bold] (Work {found.work_id})")
    terminal.say(f"{escape(found.registration.description)} Columns: {', '.join(found.document.columns)}.")
    left = (found.budget.total - found.budget.spent) / MILLION
    terminal.say(f"Epsilon {left:g} of {found.budget.total / MILLION:g} is left.")
    told = found.document.statistics
    if told is not None:
        terminal.table(
            f"About {told['rows']:,} rows, with noise of epsilon {told['epsilon']:g}",
            ("Column", "Mean", "From", "To"),
            [
                (name, f"{one['mean']:.4g}", f"{one['edges'][0]:g}", f"{one['edges'][-1]:g}")
                for name, one in told["columns"].items()
            ],
            right=(1, 2, 3),
        )
    rows = [
        (use.name.lower(), amount(offer.price, decimals), offer.period_s // 86_400 or "for ever")
        for use, offer in found.offers.items()
    ]
    terminal.table("For sale", ("Use", f"Price, {symbol}", "Days"), rows, right=(1, 2))
    compute = found.document.terms.get("compute")
    if compute is not None:
        terminal.say(
            f"A second of computing costs {amount(compute['price_per_second'], decimals)} {symbol}, "
            f"at most {compute['max_seconds']} s and epsilon {compute['epsilon_per_job']:g} a job."
        )


def say_event(terminal: Terminal, event: dict[str, Any]) -> None:
    """What a dataset's node tells of itself."""
    match event["event"]:
        case "ready":
            terminal.say(f"Buyers reach this node at [bold]{event['url']}[/bold].")
            if event["unavailable"]:
                terminal.note(f"[red]It takes no jobs: {escape(event['unavailable'])}[/red]")
        case "serving":
            terminal.say(f"Datasets served: {', '.join(map(str, event['works'])) or 'none'}.")
        case "not served":
            terminal.note(f"[yellow]Work {event['work_id']} is not served: {escape(event['title'])}[/yellow]")
        case "trouble":
            terminal.note(f"[yellow]{escape(event['title'])} Trying again.[/yellow]")
        case _:
            terminal.say("Stopped.")


def told_progress(found: JobProgress) -> dict[str, Any]:
    """Where a job stands, for programs."""
    return {
        "job_id": found.order.job_id,
        "work_id": found.order.work_id,
        "state": found.word,
        "why": found.order.why,
        "paid": found.chain.paid,
        "locked": found.chain.locked,
        "seconds": found.chain.seconds,
        "deadline": found.chain.deadline,
    }


def sentence(found: JobProgress, paid: str) -> str:
    """Where a job stands, for people."""
    sentences: dict[str, Callable[[], str]] = {
        "unsent": lambda: "The dataset's node does not have it yet; asking again hands it in.",
        "silent": lambda: (
            f"The dataset's node is silent. Until {moment(found.chain.deadline)} it may answer."
        ),
        "waiting": lambda: f"It waits; {max(0, found.waiting - 1)} others do.",
        "running": lambda: "It runs, or its slot is not over.",
        "released": lambda: f"Released; {paid} was paid for {found.chain.seconds} s.",
        "failed": lambda: "It gave no result; everything that was locked came back.",
        "refused": lambda: f"Refused; all that was locked came back. {escape(found.order.why)}",
        "overdue": lambda: f"The owner let the deadline pass: koinon data refund {found.order.job_id}",
        "refunded": lambda: "The owner let the deadline pass, and the money came back.",
    }
    return sentences[found.word]().strip()
