# SPDX-License-Identifier: Apache-2.0
"""``koinon sql`` and ``koinon index``: thin over `EventIndex`."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import click
import orjson

from koinon.chain.index.api import Answer, EventIndex
from koinon.errors import BadInput, SetupError
from koinon.terminal import Session, Terminal, json_option


@click.command()
@click.argument("query")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@click.option(
    "--parquet", type=click.Path(dir_okay=False, path_type=Path), help="Write a Parquet file instead."
)
@click.option("--limit", type=click.IntRange(1), default=1_000, show_default=True, help="Most rows.")
@click.option(
    "--time-limit", type=click.FloatRange(0.001), default=10.0, show_default=True, help="In seconds."
)
@json_option
@click.pass_obj
def sql(
    session: Session, query: str, *, as_csv: bool, parquet: Path | None, limit: int, time_limit: float
) -> None:
    """Ask the chain's events in SQL: koinon sql "select * from coin_transfer limit 5"."""
    with EventIndex.open(session.settings) as index:
        answer = index.query(query, limit=limit, timeout_s=time_limit)
        if index.head() is None:
            session.terminal.note("The index is empty yet. Fill it with: koinon index sync")
    if answer.more:
        session.terminal.note(f"Only the first {limit} rows; --limit gives more.")
    if parquet is not None:
        _write_parquet(answer, parquet)
        session.terminal.result(
            {"file": str(parquet), "rows": len(answer.rows)},
            lambda terminal: terminal.say(f"{len(answer.rows)} rows are in {parquet}."),
        )
    elif as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(answer.columns)
        writer.writerows(answer.rows)
    else:
        session.terminal.result(answer.mappings(), lambda terminal: _show(terminal, answer))


@click.group()
def group() -> None:
    """The index of the chain's events."""


@group.command()
@json_option
@click.pass_obj
def status(session: Session) -> None:
    """Say how far the index is, and which tables it has."""
    with EventIndex.open(session.settings) as index:
        head = index.head()
        sources = index.sources()
        counts = {
            table.name: index.rows(f'SELECT COUNT(*) AS n FROM "{table.name}"')[0]["n"]  # noqa: S608  (our names)
            for source, _ in sources
            for table in source.tables
        }
        place = index.place
    tables = [
        {
            "table": table.name,
            "rows": counts[table.name],
            "columns": [column.name for column in table.columns],
            "through": through,
        }
        for source, through in sources
        for table in source.tables
    ]
    document = {"place": place, "block": head.number if head else None, "tables": tables}

    def show(terminal: Terminal) -> None:
        terminal.say(f"{place} is at block {head.number}." if head else f"{place} is empty.")
        rows = [(each["table"], each["rows"], ", ".join(map(str, each["columns"]))) for each in tables]
        terminal.table("Tables", ("table", "rows", "columns"), rows, right=(1,))
        terminal.say("Every table also has block_number, log_index, transaction_hash and address.")

    session.terminal.result(document, show)


@group.command()
@click.option("--verified", is_flag=True, help="Prove each block's events by its header.")
@json_option
@click.pass_obj
def sync(session: Session, verified: bool) -> None:
    """Catch up with the chain."""
    with (
        session.node() as node,
        EventIndex.open(session.settings, node.chain, verified=verified) as index,
    ):
        index.sync()
        head = index.head()
    _at(session, head.number if head else None)


@group.command()
@click.argument("name")
@click.argument("address")
@click.argument("abi", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--from", "from_block", type=click.IntRange(0), default=0, help="First block to look at.")
@json_option
@click.pass_obj
def add(session: Session, name: str, address: str, abi: Path, from_block: int) -> None:
    """Index any contract's events: NAME for its tables, its ADDRESS, and a JSON file with its ABI."""
    try:
        content: Any = orjson.loads(abi.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        raise BadInput(f"{abi} is not JSON.", hint="Give the contract's ABI.", code="index.abi") from None
    entries = content.get("abi") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise BadInput(f"{abi} holds no ABI.", hint="Give the list that compilers write.", code="index.abi")
    with EventIndex.open(session.settings) as index:
        source = index.add(name, address, entries, from_block)
    names = [table.name for table in source.tables]
    session.terminal.result(
        {"tables": names},
        lambda terminal: terminal.say(f"New tables: {', '.join(names)}. Fill them with: koinon index sync"),
    )


@group.command()
@click.option("--from", "from_block", type=click.IntRange(0), default=0, help="First block to check.")
@json_option
@click.pass_obj
def verify(session: Session, from_block: int) -> None:
    """Prove every block again and compare the rows with what was proven."""
    with session.node() as node, EventIndex.open(session.settings, node.chain) as index:
        number = index.verify(from_block)
    session.terminal.result(
        {"verified_through": number},
        lambda terminal: terminal.say(f"Every event up to block {number} is proven by its block's header."),
    )


def _at(session: Session, number: int | None) -> None:
    session.terminal.result(
        {"block": number}, lambda terminal: terminal.say(f"The index is at block {number}.")
    )


def _show(terminal: Terminal, answer: Answer) -> None:
    right = [
        position
        for position, _ in enumerate(answer.columns)
        if answer.rows and isinstance(answer.rows[0][position], int)
    ]
    terminal.table("", answer.columns, answer.rows, right=right)
    terminal.note(f"[dim]{len(answer.rows)} rows[/dim]")


def _write_parquet(answer: Answer, file: Path) -> None:
    """Numbers that do not fit 64 bits make their column text, so that none is rounded; so do values of
    several types. A column's second of one name gets its position after it."""
    try:
        import pyarrow  # noqa: PLC0415  (an extra)
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as fault:
        raise SetupError(
            "Parquet files need the package pyarrow.",
            hint='Install it with: pip install "koinon[parquet]"',
            code="index.no_pyarrow",
        ) from fault
    columns: dict[str, list[Any]] = {}
    for position, name in enumerate(answer.columns):
        unique = name if name not in columns else f"{name}_{position + 1}"
        columns[unique] = _one_type([row[position] for row in answer.rows])
    table = pyarrow.table(columns)
    try:
        parquet.write_table(table, file)
    except OSError as fault:
        raise BadInput(
            f"{file} cannot be written ({fault.strerror or fault}).",
            hint="Name a file in a folder you may write.",
            code="index.parquet",
        ) from None


def _one_type(values: list[Any]) -> list[Any]:
    """As they are where they have one type that fits, else as texts."""
    kinds = {type(value) for value in values if value is not None}
    large = int in kinds and any(
        isinstance(value, int) and not -(1 << 63) <= value < 1 << 63 for value in values
    )
    if len(kinds) > 1 or large:
        return [None if value is None else str(value) for value in values]
    return values
