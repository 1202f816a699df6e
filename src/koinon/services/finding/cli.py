# SPDX-License-Identifier: Apache-2.0
"""``koinon service find``, ``rate`` and ``trust``."""

from __future__ import annotations

from typing import Any

import click

from koinon.services.counter import BUYER, keyring, open_counter
from koinon.services.finding.checks import is_validated
from koinon.services.finding.evidence import BEST
from koinon.services.finding.found import Filters, Found, Result
from koinon.services.finding.opening import open_market
from koinon.services.finding.rating import give_mark, give_trust
from koinon.services.prices import to_text, to_units
from koinon.terminal import Session, Terminal, json_option


@click.command()
@click.argument("words", nargs=-1)
@click.option("--max-price", help='Most coins a call may cost, like "0.01".')
@click.option(
    "--max-latency", type=float, help="Milliseconds within which 19 of 20 calls from here came back."
)
@click.option(
    "--min-mark", type=click.FloatRange(0, BEST), help="Least mark of feedback that counts, 0 to 100."
)
@click.option("--validated", is_flag=True, help="Only those whose newest check that counts was passed.")
@click.option("--trust", "trusted", multiple=True, help="ADDRESS of somebody you believe. Repeat it.")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 100), help="How many at most.")
@json_option
@click.pass_obj
def find(
    session: Session,
    *,
    words: tuple[str, ...],
    max_price: str | None,
    max_latency: float | None,
    min_mark: float | None,
    validated: bool,
    trusted: tuple[str, ...],
    limit: int,
) -> None:
    """Find services by WORDS (any that are published, where there are none), the best for you first."""
    with session.node() as node:
        decimals = int(node.chain.coin.call("decimals"))
        filters = Filters(
            max_price=None if max_price is None else to_units(max_price, decimals),
            max_latency_ms=max_latency,
            min_quality=min_mark,
            validated=validated,
        )
        node.index.sync()
        readers = [keyring(node).open(BUYER).address]
        found = open_counter(node).find(
            open_market(node), " ".join(words), filters, readers=readers, trusted=trusted, limit=limit
        )
    session.terminal.result(
        {
            "services": [_told(each, decimals) for each in found.results],
            "matching": found.matching,
            "in_all": found.in_all,
            "without_price": found.without_price,
        },
        lambda terminal: _show(terminal, found, decimals),
    )


@click.command()
@click.argument("work_id", type=int)
@click.argument("mark", type=click.IntRange(0, BEST))
@click.option("--reason", required=True, help="Why, in words; public, for ever.")
@json_option
@click.pass_obj
def rate(session: Session, work_id: int, mark: int, reason: str) -> None:
    """Say what a service you called was worth: MARK from 0 to 100, as the account that pays here."""
    with session.node() as node:
        key = keyring(node).open(BUYER)
        if node.chain.network.test_money:
            node.fund(key.address)
        index = give_mark(node, key, work_id, mark, reason)
    session.terminal.result(
        {"work_id": work_id, "client": key.address, "index": index},
        lambda terminal: terminal.say(f"Your mark stands beside Work {work_id}."),
    )


@click.command()
@click.argument("work_id", type=int)
@click.option("--not", "no_more", is_flag=True, help="Take it back.")
@json_option
@click.pass_obj
def trust(session: Session, work_id: int, no_more: bool) -> None:
    """Believe whoever owns Work WORK_ID: what they paid for counts in your searches from now on."""
    with session.node() as node:
        give_trust(node.chain, node.operator, work_id, believed=not no_more)
    session.terminal.result(
        {"work_id": work_id, "believed": not no_more},
        lambda terminal: terminal.say(
            f"You {'no longer believe' if no_more else 'believe'} the owner of Work {work_id}."
        ),
    )


COMMANDS = (find, rate, trust)


def _told(found: Result, decimals: int) -> dict[str, Any]:
    listed, measured, evidence = found.listed, found.measured, found.evidence
    price = listed.price if listed is not None else None
    return {
        "work_id": found.work_id,
        "name": found.row.name,
        "summary": found.row.summary,
        "price": None if price is None else to_text(price, decimals),
        "gateway": "not asked" if listed is None else listed.state,
        "measured": None
        if measured is None
        else {
            "calls": measured.calls,
            "success": measured.success,
            "p50_ms": measured.p50_ms,
            "p95_ms": measured.p95_ms,
        },
        "claimed": None
        if listed is None or listed.claimed_p95_ms is None
        else {"p50_ms": listed.claimed_p50_ms, "p95_ms": listed.claimed_p95_ms},
        "mark": None if evidence.mean is None else float(evidence.mean),
        "words": len(evidence.words),
        "counted": evidence.counted,
        "weight": to_text(int(evidence.weight), decimals),
        "validated": is_validated(found.verdicts),
        "score": found.score,
    }


def _show(terminal: Terminal, found: Found, decimals: int) -> None:
    if not found.results:
        terminal.say("No service has these words and fulfils these conditions.")
    else:
        terminal.table(
            f"{found.matching} of {found.in_all} services",
            ("Work", "Name", "Price", "p95, ms", "Mark", "Counted", "Checked"),
            [_line(each, decimals) for each in found.results],
            right=(0, 2, 3, 4, 5),
        )
    if found.without_price:
        terminal.note(f"[dim]{found.without_price} with these words have not told their price yet.[/dim]")


def _line(found: Result, decimals: int) -> tuple[object, ...]:
    told = _told(found, decimals)
    measured, mark = told["measured"], told["mark"]
    return (
        told["work_id"],
        told["name"],
        told["price"] or "?",
        f"{measured['p95_ms']:.0f}" if measured else "not called",
        "none" if mark is None else f"{mark:.0f}",
        f"{told['counted']} of {told['words']}",
        "passed" if told["validated"] else "",
    )
