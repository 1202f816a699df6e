# SPDX-License-Identifier: Apache-2.0
"""The node's own index of events as rows that monitors read: coin, pairs, pools, vaults, and what was added.

Nothing is fetched twice: the index holds what the chain said. Tables of other contracts, added by
``koinon index add``, are read where their events are an ERC-20's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from koinon.chain.index import EventIndex
from koinon.chain.index.feed import Cursor, FeedEvent
from koinon.chain.index.schema import quoted
from koinon.chain.index.sources import Source
from koinon.chain.rpc import Rpc
from koinon.markets.history.decoding import Decoder
from koinon.markets.history.facts import Facts, read_decimals, read_market
from koinon.markets.history.protocols import Rule, bound
from koinon.markets.history.rows import EventRow
from koinon.markets.history.saying import Fields

PROTOCOLS: Final[Mapping[str, str]] = {
    "coin": "erc20",
    "pair": "koinon-pair",
    "credit_pool": "koinon-pool",
    "vault": "erc4626",
    "price_feed": "koinon-feed",
}
"""Source in the index → how its events are read; every other as an ERC-20's."""

MONEY: Final = frozenset({"koinon-pool", "erc4626"})
"""Protocols whose contracts owe something to those who put money in."""


@dataclass(frozen=True)
class Reading:
    """How a table's rows are read: the protocol's rule, and the index's column → the rule's."""

    protocol: str
    rule: Rule
    columns: Mapping[str, str]


class OwnChain:
    """Rows of one node's index.

    Parameters
    ----------
    index : EventIndex
    rpc : Rpc
        Asked once of each contract which tokens it is about.
    facts : Facts, optional
        What is known of markets and tokens; what is asked is added.
    """

    def __init__(self, index: EventIndex, rpc: Rpc, facts: Facts | None = None) -> None:
        self._index, self._rpc = index, rpc
        self.facts = facts if facts is not None else Facts()
        self._asked: set[str] = set()
        self._times: dict[int, int] = {}

    def readings(self) -> dict[str, Reading]:
        """The tables that monitors can read → how. Contracts of Koinon that are no market are left out."""
        found: dict[str, Reading] = {}
        for source, _ in self._index.sources():
            protocol = PROTOCOLS.get(source.name, "erc20")
            for key, table in source.by_key.items():
                known = bound(protocol).get(key)
                if known is None:
                    continue
                rule, layout = known
                own, theirs = table.columns, layout.columns
                if len(own) == len(theirs):
                    names = {mine.name: other.name for mine, other in zip(own, theirs, strict=True)}
                    found[table.name] = Reading(protocol, rule, names)
        return found

    def rows(self, events: Iterable[FeedEvent], readings: Mapping[str, Reading]) -> list[EventRow]:
        """Rows of events of the feed, in the chain's order."""
        told: list[tuple[Rule, str, Fields]] = []
        for event in events:
            reading, cursor = readings[event.table], Cursor.parse(event.cursor)
            fields = {**event.row, "block_hash": cursor.hash, "timestamp": self._time(cursor.number)}
            told.append(self._told(reading, fields))
        return Decoder({}, self.facts).rows(told)

    def owing(self) -> list[str]:
        """Addresses of the pools and vaults in the index."""
        found: dict[str, None] = {}
        for source, _ in self._index.sources():
            if PROTOCOLS.get(source.name) in MONEY:
                found |= dict.fromkeys(self._addresses(source))
        return list(found)

    def _addresses(self, source: Source) -> list[str]:
        if source.parent is None:
            return [] if source.address is None else [source.address]
        table, column = source.parent
        rows = self._index.rows(f"SELECT {quoted(column)} AS made FROM {quoted(table)}")  # noqa: S608  (quoted)
        return [str(row["made"]) for row in rows]

    def _told(self, reading: Reading, fields: Mapping[str, Any]) -> tuple[Rule, str, Fields]:
        self._ask(reading.protocol, str(fields["address"]))
        named = {reading.columns.get(name, name): value for name, value in fields.items()}
        return reading.rule, reading.protocol, named

    def _ask(self, protocol: str, address: str) -> None:
        """Which tokens a contract is about, and their decimals; once."""
        if address in self._asked:
            return
        self._asked.add(address)
        tokens = {address} if protocol in ("erc20", "erc4626") else set()
        if protocol != "erc20":
            if address not in self.facts.markets:
                self.facts.markets[address] = read_market(self._rpc, protocol, address)
            market = self.facts.markets[address]
            tokens |= {market.asset, market.asset_2}
        for token in sorted(tokens - {""} - set(self.facts.decimals)):
            decimals = read_decimals(self._rpc, token)
            if decimals is not None:
                self.facts.decimals[token] = decimals

    def _time(self, number: int) -> int:
        if number not in self._times:
            if len(self._times) > 10_000:
                self._times.clear()
            rows = self._index.rows("SELECT timestamp FROM block WHERE number = ?", (number,))
            self._times[number] = int(rows[0]["timestamp"]) if rows else 0
        return self._times[number]
