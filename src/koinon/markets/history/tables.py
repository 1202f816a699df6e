# SPDX-License-Identifier: Apache-2.0
"""Tables of real chains' events, from CSV or Parquet, as rows.

Four shapes are recognised by their columns, whatever names explorers and warehouses give them:

- ``rows``: what `koinon.markets.history.files.write_rows` wrote.
- ``logs``: raw logs, with ``address``, ``data`` and topics in one column or in ``topic0`` to ``topic3``.
- ``transfers``: ERC-20 transfers, as Etherscan, BigQuery and Dune export them.
- ``events``: one decoded event of one protocol a file, a column a field (Dune's ``evt_…`` tables); the caller
  says which.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from koinon.errors import BadInput
from koinon.markets.history import cells
from koinon.markets.history.decoding import Decoder, check_protocol
from koinon.markets.history.facts import Facts
from koinon.markets.history.files import load
from koinon.markets.history.protocols import ERC20, Rule, bound
from koinon.markets.history.rows import AMOUNTS, COLUMNS, KINDS, NUMBERS, EventRow
from koinon.markets.history.saying import Fields

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "block_number": ("blockno", "block", "evt_block_number", "block_height"),
    "log_index": ("evt_index", "event_index", "log_position"),
    "timestamp": (
        *("block_timestamp", "unixtimestamp", "evt_block_time", "block_time"),
        *("datetime_utc", "datetime", "time", "date"),
    ),
    "transaction_hash": ("evt_tx_hash", "tx_hash", "hash"),
    "block_hash": ("evt_block_hash",),
    "address": ("contract_address", "token_address", "token"),
    "from": ("from_address", "sender", "evt_from"),
    "to": ("to_address", "receiver", "recipient", "evt_to"),
    "value": ("amount_raw", "raw_amount", "amount", "quantity_raw", "wad"),
    "whole_value": ("tokenvalue", "quantity", "tokenamount"),
    "decimals": ("tokendecimal", "token_decimals"),
}
"""Our name → what others call it; capitals, blanks and underscores make no difference."""

_FILE_STEP: Final = 1_000_000
"""Between the made-up positions of one file's rows and the next one's, where tables name none."""


@dataclass(frozen=True)
class Reading:
    """How to read tables.

    ``columns`` our name → theirs, where the aliases do not find it; ``protocol`` and ``event`` of ``events``
    tables; ``contracts`` address → protocol for ``logs``; ``asset`` the token of a transfers table without a
    column for it.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    protocol: str = ""
    event: str = ""
    contracts: Mapping[str, str] = field(default_factory=dict)
    asset: str = ""


def read_rows(
    paths: Sequence[Path], facts: Facts | None = None, reading: Reading | None = None
) -> list[EventRow]:
    """Every row of some tables, in the chain's order.

    Raises
    ------
    BadInput
        A file is unreadable, its columns fit no shape, or a cell is not what it must be (file, row from 1
        after the header, column).
    SetupError
        Parquet without ``pyarrow``.
    """
    facts, reading = facts if facts is not None else Facts(), reading or Reading()
    rows: list[EventRow] = []
    for number, path in enumerate(paths):
        rows += _Table(path, reading, facts, number * _FILE_STEP).rows()
    return sorted(rows, key=lambda row: row.place)


class _Table:
    """One file."""

    def __init__(self, path: Path, reading: Reading, facts: Facts, first_index: int) -> None:
        self._path, self._reading, self._facts, self._first_index = path, reading, facts, first_index
        self._names, self._body = load(path)
        self._by_name = {_plain(name): name for name in self._names}
        self._seen: dict[int, int] = {}

    def rows(self) -> Iterator[EventRow]:
        if {"kind", "protocol", "blocknumber", "account"} <= set(self._by_name):
            return self._each(self._own_row)
        if self._reading.event:
            return self._events()
        if self._has("data") and (self._has("topics") or self._has("topic0")):
            return self._logs()
        if self._has("from") and self._has("to") and (self._has("value") or self._has("whole_value")):
            return self._transfers()
        raise BadInput(
            f"{self._path.name}: its columns are those of no table of events.",
            hint=f"It has: {', '.join(self._names)}. Name columns with --column ours=theirs, or say which "
            "event it holds with --protocol and --event.",
            code="history.columns",
        )

    def _each(self, read: Callable[[Mapping[str, Any], int], Any]) -> Iterator[Any]:
        for number, row in enumerate(self._body, start=1):
            yield read(row, number)

    def _own_row(self, row: Mapping[str, Any], number: int) -> EventRow:
        values: dict[str, Any] = {}
        for name in COLUMNS:
            if name in NUMBERS or name in AMOUNTS:
                values[name] = self._cell(row, number, name, cells.integer)
            else:
                cell = row.get(self._by_name.get(_plain(name), ""))
                values[name] = "" if cell is None else str(cell)
        if values["kind"] not in KINDS:
            raise self._wrong(number, "kind", values["kind"], f"is none of {', '.join(KINDS)}")
        return EventRow(**values)

    def _logs(self) -> Iterator[EventRow]:
        logs, times = [], {}
        for number, row in enumerate(self._body, start=1):
            place = self._place(row, number)
            times[place["block_number"]] = place["timestamp"]
            logs.append(
                {
                    "address": self._cell(row, number, "address", cells.address),
                    "topics": self._topics(row, number),
                    "data": self._cell(row, number, "data", cells.hexadecimal) or "0x",
                    "blockNumber": hex(place["block_number"]),
                    "logIndex": hex(place["log_index"]),
                    "transactionHash": place["transaction_hash"],
                    "blockHash": place["block_hash"],
                }
            )
        yield from Decoder(self._reading.contracts, self._facts, any_token=True).decode(logs, times).rows

    def _topics(self, row: Mapping[str, Any], number: int) -> list[str]:
        if not self._has("topics"):
            found = [
                self._cell(row, number, f"topic{each}", cells.hexadecimal)
                for each in range(4)
                if self._has(f"topic{each}")
            ]
        else:
            cell = row[self._theirs("topics") or ""]
            parts = re.findall(r"0[xX][0-9a-fA-F]+", cell) if isinstance(cell, str) else cell or []
            try:
                found = [cells.hexadecimal(part) for part in parts]
            except ValueError as fault:
                raise self._wrong(number, "topics", cell, str(fault)) from None
        found = [topic for topic in found if topic]
        wrong = next((topic for topic in found if len(topic) != 66), None)
        if wrong is not None:
            raise self._wrong(number, "topics", wrong, "is not 32 bytes")
        return found

    def _transfers(self) -> Iterator[EventRow]:
        decoder = Decoder({}, self._facts)
        return iter(decoder.rows([self._transfer(row, at) for at, row in enumerate(self._body, start=1)]))

    def _transfer(self, row: Mapping[str, Any], number: int) -> tuple[Rule, str, Fields]:
        place = self._place(row, number)
        token = (
            self._cell(row, number, "address", cells.address)
            if self._has("address")
            else cells.address(self._reading.asset)
            if self._reading.asset
            else ""
        )
        if self._has("value"):
            value = self._cell(row, number, "value", cells.integer)
        else:
            decimals = (
                self._cell(row, number, "decimals", cells.integer)
                if self._has("decimals")
                else self._facts.decimals.get(token)
            )
            if decimals is None:
                raise BadInput(
                    f"{self._path.name}: row {number} gives whole tokens of {token or 'an unnamed token'}, "
                    "whose decimals are not known.",
                    hint="Name its decimals in the file given with --facts.",
                    code="history.decimals",
                )
            value = self._cell(
                row, number, "whole_value", lambda cell: cells.whole_units(cell, int(decimals))
            )
        fields = {
            **place,
            "address": token,
            "from": self._cell(row, number, "from", cells.address),
            "to": self._cell(row, number, "to", cells.address),
            "value": value,
        }
        return ERC20[0], "erc20", fields

    def _events(self) -> Iterator[EventRow]:
        protocol = check_protocol(self._reading.protocol)
        pairs = [pair for pair in bound(protocol).values() if pair[0].name == self._reading.event]
        if not pairs:
            known = sorted({rule.name for rule, _ in bound(protocol).values()})
            raise BadInput(
                f"{self._reading.event!r} is no event of {protocol} that is read.",
                hint=f"They are: {', '.join(known)}.",
                code="history.event",
            )
        rule, layout = pairs[0]
        readers = {"integer": cells.integer, "boolean": _boolean, "text": _text}
        events = []
        for number, row in enumerate(self._body, start=1):
            fields = self._place(row, number)
            fields["address"] = self._cell(row, number, "address", cells.address)
            for column in layout.columns:
                fields[column.name] = self._cell(row, number, column.name, readers[column.kind])
            events.append((rule, protocol, fields))
        return iter(Decoder({}, self._facts).rows(events))

    def _place(self, row: Mapping[str, Any], number: int) -> dict[str, Any]:
        block = self._cell(row, number, "block_number", cells.integer)
        if self._has("log_index"):
            index = self._cell(row, number, "log_index", cells.integer)
        else:  # in the order of the file: tables of transfers often leave it out
            index = self._first_index + self._seen.get(block, 0)
            self._seen[block] = self._seen.get(block, 0) + 1
        return {
            "block_number": block,
            "log_index": index,
            "timestamp": self._cell(row, number, "timestamp", cells.moment),
            "transaction_hash": self._cell(row, number, "transaction_hash", cells.hexadecimal)
            if self._has("transaction_hash")
            else "",
            "block_hash": self._cell(row, number, "block_hash", cells.hexadecimal)
            if self._has("block_hash")
            else "",
        }

    def _theirs(self, name: str) -> str | None:
        """What this table calls a column."""
        given = self._reading.columns.get(name)
        if given is not None:
            if given not in self._names:
                raise BadInput(
                    f"{self._path.name} has no column {given!r}.",
                    hint=f"It has: {', '.join(self._names)}.",
                    code="history.columns",
                )
            return given
        for candidate in map(_plain, (name, *ALIASES.get(name, ()))):
            if candidate in self._by_name:
                return self._by_name[candidate]
        return None

    def _has(self, name: str) -> bool:
        return self._theirs(name) is not None

    def _cell(self, row: Mapping[str, Any], number: int, name: str, read: Callable[[Any], Any]) -> Any:
        theirs = self._theirs(name)
        if theirs is None:
            raise BadInput(
                f"{self._path.name} has no column for {name}.",
                hint=f"It has: {', '.join(self._names)}. Name it with --column {name}=theirs.",
                code="history.columns",
            )
        try:
            return read(row[theirs])
        except (ValueError, OverflowError) as fault:
            raise self._wrong(number, theirs, row[theirs], str(fault)) from None

    def _wrong(self, number: int, column: str, cell: Any, why: str) -> BadInput:
        return BadInput(
            f"{self._path.name}: row {number}, column {column!r}: {str(cell)[:50]!r} {why}.",
            hint="Rows count from 1 after the header. Correct the table, or name the right column.",
            code="history.cell",
        )


def _plain(name: str) -> str:
    """``DateTime (UTC)`` → datetimeutc, ``onBehalfOf`` and ``on_behalf_of`` → onbehalfof."""
    return re.sub(r"[^a-z0-9]+", "", name.lower())


def _boolean(cell: Any) -> bool:
    text = str(cell).strip().lower()
    if text not in ("true", "false", "1", "0", "t", "f"):
        raise ValueError("is neither true nor false")
    return text in ("true", "1", "t")


def _text(cell: Any) -> str:
    """An address as EIP-55, other bytes as hex."""
    if (isinstance(cell, bytes) and len(cell) == 20) or len(str(cell).strip()) == 42:
        return cells.address(cell)
    return cells.hexadecimal(cell)
