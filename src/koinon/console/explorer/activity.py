# SPDX-License-Identifier: Apache-2.0
"""The newest events that name an account, over all of the network's contracts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

from koinon.chain.abi import Event
from koinon.chain.events import snake
from koinon.chain.index.sources import network_sources
from koinon.chain.network import Network

_QUERY: Final = (
    "SELECT block_number, log_index, transaction_hash, address FROM {table} WHERE {column} = ?"
    " ORDER BY block_number DESC, log_index DESC LIMIT ?"
)


class Rows(Protocol):
    """What is asked of the index."""

    def rows(self, sql: str, parameters: Any = ()) -> list[dict[str, Any]]: ...


@dataclass(frozen=True)
class Line:
    """An event that names the account in one of its fields. ``timestamp`` Unix seconds, 0 where unknown."""

    block_number: int
    log_index: int
    timestamp: int
    event: str
    field: str
    emitter: str
    transaction_hash: str


def activity(index: Rows, network: Network, account: str, limit: int = 25) -> list[Line]:
    """The newest events whose indexed fields name ``account`` (EIP-55), newest first."""
    found: dict[tuple[int, int], tuple[str, str, dict[str, Any]]] = {}
    for event, table, column in _places(tuple(sorted(network.contracts.items())), network.start_block):
        for row in index.rows(_QUERY.format(table=table, column=column), (account, limit)):
            place = int(row["block_number"]), int(row["log_index"])
            found.setdefault(place, (event, column.strip('"'), row))
    newest = sorted(found, reverse=True)[:limit]
    times = _times(index, {number for number, _ in newest})
    return [
        Line(
            block_number=number,
            log_index=position,
            timestamp=times.get(number, 0),
            event=found[number, position][0],
            field=found[number, position][1],
            emitter=str(found[number, position][2]["address"]),
            transaction_hash=str(found[number, position][2]["transaction_hash"]),
        )
        for number, position in newest
    ]


@lru_cache(maxsize=8)
def _places(contracts: tuple[tuple[str, str], ...], start_block: int) -> tuple[tuple[str, str, str], ...]:
    """(event, table, column) of every field that can name an account and is looked up fast."""
    network = Network("", 0, "", True, dict(contracts), {}, start_block)
    return tuple(_columns(network))


def _columns(network: Network) -> Iterator[tuple[str, str, str]]:
    names = {snake(name): name for name in network.contracts}
    for source in network_sources(network):
        for table in source.tables:
            known = {column.name for column in table.columns if column.indexed}
            for name in (snake(field) for field in _addresses(source.abi, table.layout.event.signature)):
                if name in known:
                    yield (
                        f"{names.get(source.name, source.name)} · {table.layout.event.name}",
                        f'"{table.name}"',
                        f'"{name}"',
                    )


def _addresses(abi: Sequence[Mapping[str, Any]], signature: str) -> Iterator[str]:
    """The indexed address fields of an event."""
    for entry in abi:
        if entry["type"] == "event" and Event(entry).signature == signature:
            for each in entry["inputs"]:
                if each["type"] == "address" and each.get("indexed"):
                    yield str(each["name"])


def _times(index: Rows, numbers: set[int]) -> dict[int, int]:
    if not numbers:
        return {}
    marks = ", ".join("?" * len(numbers))
    found = index.rows(
        f"SELECT number, timestamp FROM block WHERE number IN ({marks})",  # noqa: S608  only question marks
        tuple(numbers),
    )
    return {int(row["number"]): int(row["timestamp"]) for row in found}
