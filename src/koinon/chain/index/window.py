# SPDX-License-Identifier: Apache-2.0
"""A range of blocks as the node tells it: their headers, and the logs somebody asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol

from koinon.chain.rpc import Rpc, RpcError, redact
from koinon.errors import IntegrityError, NodeUnavailable

Log = Mapping[str, Any]

TIP_BLOCKS: Final = 8
"""So few blocks are asked for one by one, by their hash: an answer then cannot be of another fork."""

_MOST_ADDRESSES: Final = 1_000


class Moved(Exception):
    """The chain changed while it was read; ask again."""


@dataclass(frozen=True)
class Header:
    """What the index keeps of a block."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int


@dataclass(frozen=True)
class Filter:
    """Logs of any of these addresses (lower case) with any of these first topics."""

    addresses: frozenset[str]
    topics: frozenset[str]

    def keeps(self, log: Log) -> bool:
        topics = log["topics"]
        return bool(topics) and topics[0] in self.topics and log["address"].lower() in self.addresses

    def query(self) -> dict[str, Any]:
        """For eth_getLogs. Very many addresses are not named: what is not asked for is left out here."""
        query: dict[str, Any] = {"topics": [sorted(self.topics)]}
        if len(self.addresses) <= _MOST_ADDRESSES:
            query["address"] = sorted(self.addresses)
        return query


class Window(Protocol):
    """Blocks ``start`` to ``end``."""

    start: int
    end: int

    def logs(self, wanted: Filter) -> list[Log]:
        """In the chain's order."""
        ...

    def seal(self) -> dict[int, Header]:
        """Headers of the blocks whose logs were given, of the last block, and of every block that may still
        be replaced; `Moved` where the logs are of other blocks than the headers."""
        ...


class PlainWindow:
    """What the node says, held against itself: logs against headers, headers against each other.

    ``parent_hash`` what the first block must build on (None: not known), ``final`` whether the blocks can no
    longer be replaced.
    """

    def __init__(self, rpc: Rpc, start: int, end: int, *, parent_hash: str | None, final: bool) -> None:
        self.start, self.end = start, end
        self._rpc = rpc
        self._logs: list[Log] = []
        wanted = {start, end} if final else range(start, end + 1)
        self._headers = read_headers(rpc, wanted)
        check_links(self._headers, parent_hash)
        self._by_hash = not final and len(self._headers) <= TIP_BLOCKS

    def logs(self, wanted: Filter) -> list[Log]:
        if not wanted.addresses or not wanted.topics:
            return []
        query = wanted.query()
        if self._by_hash:
            answers = self._rpc.batch(
                [
                    ("eth_getLogs", [{**query, "blockHash": self._headers[number].hash}])
                    for number in range(self.start, self.end + 1)
                ],
                raise_errors=False,
            )
            if any(isinstance(answer, RpcError) for answer in answers):
                self._must_still_be()
                raise next(answer for answer in answers if isinstance(answer, RpcError))
        else:
            span = {"fromBlock": hex(self.start), "toBlock": hex(self.end)}
            answers = [self._rpc.call("eth_getLogs", {**query, **span})]
        found = tidy(self._rpc, answers, self.start, self.end, wanted)
        self._logs += found
        return found

    def seal(self) -> dict[int, Header]:
        missing = {int(log["blockNumber"], 16) for log in self._logs} - set(self._headers)
        self._headers.update(read_headers(self._rpc, missing))
        if any(log["blockHash"] != self._headers[int(log["blockNumber"], 16)].hash for log in self._logs):
            raise Moved
        if not self._by_hash:
            self._must_still_be()
        return self._headers

    def _must_still_be(self) -> None:
        if read_headers(self._rpc, [self.end])[self.end].hash != self._headers[self.end].hash:
            raise Moved


def read_headers(rpc: Rpc, numbers: Iterable[int]) -> dict[int, Header]:
    """Headers by number; `Moved` where the chain has become shorter."""
    ordered = sorted(numbers)
    answers = rpc.batch([("eth_getBlockByNumber", [hex(number), False]) for number in ordered])
    if None in answers:
        raise Moved
    return {number: header_of(rpc, answer, number) for number, answer in zip(ordered, answers, strict=True)}


def header_of(rpc: Rpc, answer: Any, number: int | None = None) -> Header:
    """The header in a node's answer, which must be of block ``number`` where one was asked for."""
    try:
        header = Header(
            int(answer["number"], 16),
            str(answer["hash"]).lower(),
            str(answer["parentHash"]).lower(),
            int(answer["timestamp"], 16),
        )
    except (KeyError, TypeError, ValueError):
        raise nonsense(rpc, "a block without number, hash, parent and time") from None
    if number is not None and header.number != number:
        raise IntegrityError(
            f"Asked for block {number}, the node at {redact(rpc.url)} gave block {header.number}.",
            hint="Do not trust this node; use another one.",
            code="index.other_block",
        )
    return header


def check_links(headers: Mapping[int, Header], parent_hash: str | None) -> None:
    """`Moved` unless each block builds on the one before it."""
    previous: Header | None = None
    for number in sorted(headers):
        header = headers[number]
        expected = previous.hash if previous is not None and previous.number == number - 1 else parent_hash
        if (previous is None or previous.number == number - 1) and expected not in (None, header.parent_hash):
            raise Moved
        previous = header


def tidy(rpc: Rpc, answers: Sequence[Any], start: int, end: int, wanted: Filter) -> list[Log]:
    """Logs of several answers, in order, each checked to be of the blocks that were asked for."""
    placed = []
    try:
        for log in (log for answer in answers for log in answer):
            number, index = int(log["blockNumber"], 16), int(log["logIndex"], 16)
            if not start <= number <= end:
                raise nonsense(rpc, f"a log of block {number} that nobody asked for")
            if wanted.keeps(log) and not log.get("removed"):
                placed.append(((number, index), log))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise nonsense(rpc, "a log without block, position, address and topics") from None
    placed.sort(key=lambda pair: pair[0])
    if any(before[0] == after[0] for before, after in pairwise(placed)):
        raise nonsense(rpc, "two logs at one place")
    return [log for _, log in placed]


def nonsense(rpc: Rpc, what: str) -> NodeUnavailable:
    return NodeUnavailable(
        f"The node at {redact(rpc.url)} gave {what}.", hint="Use another node.", code="index.node_answer"
    )
