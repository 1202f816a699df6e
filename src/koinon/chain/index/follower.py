# SPDX-License-Identifier: Apache-2.0
"""Follows the chain: reads ranges that grow and shrink with the node, writes each with its rows, undoes what
a reorganisation took out, and lets sources that were added later catch up on their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from koinon.chain.index import ledger
from koinon.chain.index.engine import Engine, Writer
from koinon.chain.index.ledger import Additions, Tracked
from koinon.chain.index.sources import Source
from koinon.chain.index.verified import VerifiedWindow, header_hash
from koinon.chain.index.window import Filter, Header, Log, Moved, PlainWindow, Window, header_of
from koinon.chain.rpc import Rpc, RpcError, redact
from koinon.errors import ChainError, IntegrityError

_FIRST_SPAN: Final = 256
_LONGEST_SPAN: Final = 10_000
_LONGEST_VERIFIED: Final = 250
_MANY_LOGS: Final = 20_000
_LOOK_BACK: Final = 64
_TRIES: Final = 20
DEPTH: Final = 64
"""Blocks after which a chain that knows no finality is taken to be final."""


@dataclass(frozen=True)
class Policy:
    """``verified``: prove every block; ``finality_blocks``: the depth to use instead of asking the node;
    ``strict``: refuse to undo a final block (development chains do lose them)."""

    verified: bool = False
    finality_blocks: int | None = None
    strict: bool = False


class Follower:
    """One pass after another over one chain. Hold `Engine.follower` while using it."""

    def __init__(self, engine: Engine, rpc: Rpc, policy: Policy, first_block: int) -> None:
        self.engine, self.rpc, self.policy = engine, rpc, policy
        self.first_block = first_block
        self._known: dict[str, Source] = {}
        self._span = _FIRST_SPAN
        self.latest: int | None = None

    def sync(self) -> None:
        """Until the index is where the chain was when this began, and every source has caught up.

        Raises
        ------
        NodeUnavailable, RpcError
            The node does not answer, or keeps refusing.
        IntegrityError
            A block is not genuine, or a final block was replaced.
        """
        tries = 0
        while True:
            try:
                if not self._advance() and not self._catch_up():
                    return
                tries = 0
            except Moved:
                tries += 1
                if tries == _TRIES:
                    raise IntegrityError(
                        f"The node at {redact(self.rpc.url)} contradicts itself about its newest blocks.",
                        hint="Use another node.",
                        code="index.contradiction",
                    ) from None

    def _advance(self) -> bool:
        """One range after the head; False where there is none."""
        tracked, head = self._state()
        latest = self._header("latest")
        if latest is None:
            raise Moved
        self.latest = latest.number
        if head is not None and not self._stands(head, latest):
            self._undo([each.source for each in tracked])
            return True
        start = self.first_block if head is None else head.number + 1
        if start > latest.number:
            return False
        final = self._final(latest.number)
        joined = [each for each in tracked if each.through == (head.number if head else None)]
        end = min(latest.number, start + self._longest() - 1)
        if start <= final < end:
            end = final  # what can still be replaced is read block by block
        self._take(joined, start, end, final, parent=head, moves_head=True)
        return True

    def _catch_up(self) -> bool:
        """One range for a source that was added later; False where all are level."""
        tracked, head = self._state()
        if head is None:
            return False
        for each in tracked:
            if each.through != head.number:
                start = each.source.from_block if each.through is None else each.through + 1
                end = min(head.number, start + self._longest() - 1)
                if end < start:  # it begins after the head
                    with self.engine.write() as writer:
                        self._mark([each], head.number, writer)
                    return True
                self._take([each], start, end, self._final(head.number), parent=None, moves_head=False)
                return True
        return False

    def _take(
        self,
        tracked: Sequence[Tracked],
        start: int,
        end: int,
        final: int,
        *,
        parent: Header | None,
        moves_head: bool,
    ) -> None:
        """Read blocks ``start`` to ``end`` for these sources and write what they hold; shrinks on refusal."""
        while True:
            try:
                window = self._window(start, end, parent, final)
                additions = self._collect(window, [each.source for each in tracked])
                headers = window.seal()
                break
            except ChainError:
                if end == start:
                    raise
                end = start + (end - start) // 2
                self._span = end - start + 1
        counts = additions.count()
        with self.engine.write() as writer:
            if not moves_head:
                self._must_agree(writer, headers)
            ledger.write_events(writer, additions)
            ledger.write_blocks(writer, headers, counts, final)
            if moves_head:
                ledger.move_head(writer, headers[end])
            self._mark(tracked, end, writer)
            head = ledger.read_head(writer)
            ledger.finalize(writer, min(final, head.number if head else 0), head.number if head else 0)
        if end - start + 1 >= self._span:
            shrink = sum(counts.values()) > _MANY_LOGS
            self._span = max(1, self._span // 2) if shrink else min(self._span * 2, _LONGEST_SPAN)

    def _collect(self, window: Window, sources: Sequence[Source]) -> Additions:
        additions = Additions()
        placed = [source for source in sources if source.address is not None]
        if placed:
            self._sort(additions, window, {str(source.address).lower(): [] for source in placed}, placed)
        for source in sources:
            if source.parent is not None:
                with self.engine.read() as reader:
                    known = ledger.read_clones(reader, source) | _named(additions, source.parent)
                logs = window.logs(Filter(frozenset(known), frozenset(key[0] for key in source.by_key)))
                additions.add(source, logs)
        return additions

    def _sort(
        self,
        additions: Additions,
        window: Window,
        by_address: dict[str, list[Source]],
        sources: Sequence[Source],
    ) -> None:
        for source in sources:
            by_address[str(source.address).lower()].append(source)
        topics = frozenset(key[0] for source in sources for key in source.by_key)
        grouped: dict[str, list[Log]] = {}
        for log in window.logs(Filter(frozenset(by_address), topics)):
            grouped.setdefault(log["address"].lower(), []).append(log)
        for address, logs in grouped.items():
            for source in by_address[address]:
                additions.add(source, logs)

    def _window(self, start: int, end: int, parent: Header | None, final: int) -> Window:
        parent_hash = parent.hash if parent is not None else None
        if self.policy.verified:
            return VerifiedWindow(self.rpc, start, end, parent_hash=parent_hash)
        return PlainWindow(self.rpc, start, end, parent_hash=parent_hash, final=end <= final)

    def _state(self) -> tuple[list[Tracked], Header | None]:
        with self.engine.read() as reader:
            tracked = ledger.read_sources(reader, self._known)
            head = ledger.read_head(reader)
        self._known = {each.source.name: each.source for each in tracked}
        return tracked, head

    def _stands(self, head: Header, latest: Header) -> bool:
        """Whether the chain still has our head."""
        if latest.number < head.number:
            return False
        now = latest if latest.number == head.number else self._header(hex(head.number))
        return now is not None and now.hash == head.hash

    def _undo(self, sources: Sequence[Source]) -> None:
        below: int | None = None
        ancestor: Header | None = None
        while ancestor is None:
            with self.engine.read() as reader:
                rows = reader.select(
                    "SELECT number, hash, parent_hash, timestamp, finalized FROM block WHERE number < ? "
                    "ORDER BY number DESC LIMIT ?",
                    (1 << 62 if below is None else below, _LOOK_BACK),
                ).rows
            if not rows:
                break
            answers = self.rpc.batch([("eth_getBlockByNumber", [hex(row[0]), False]) for row in rows])
            for row, answer in zip(rows, answers, strict=True):
                if answer is not None and self._genuine(answer, row[0]).hash == row[1]:
                    ancestor = Header(*row[:4])
                    break
                if row[4] and self.policy.strict:
                    raise IntegrityError(
                        f"The node at {redact(self.rpc.url)} has another block {row[0]} than the final one "
                        "that is in the index.",
                        hint="Use another node. If this one is right, move the index away: it is made again.",
                        code="index.final_replaced",
                    )
            below = rows[-1][0]
        with self.engine.write() as writer:
            ledger.undo(writer, sources, ancestor)

    def _header(self, tag: str) -> Header | None:
        answer = self.rpc.call("eth_getBlockByNumber", tag, False)
        return None if answer is None else self._genuine(answer, int(tag, 16) if tag[:2] == "0x" else None)

    def _genuine(self, answer: dict[str, object], number: int | None) -> Header:
        header = header_of(self.rpc, answer, number)
        if self.policy.verified:
            try:
                fits = header_hash(answer) == header.hash
            except (KeyError, TypeError, ValueError):
                fits = False
            if not fits:
                raise IntegrityError(
                    f"Block {header.number} from the node at {redact(self.rpc.url)} is not genuine: its "
                    "header does not have the hash the node gives it.",
                    hint="Nothing of it was written. Use another node.",
                    code="index.lying_node",
                )
        return header

    def _final(self, latest: int) -> int:
        """The last block that cannot be replaced any more; -1 where there is none."""
        depth = self.policy.finality_blocks
        if depth is None:
            try:
                answer = self.rpc.call("eth_getBlockByNumber", "finalized", False)
            except RpcError:
                answer = None
            if answer is not None:
                return min(header_of(self.rpc, answer).number, latest)
            depth = DEPTH
        return max(latest - depth, -1)

    def _longest(self) -> int:
        return min(self._span, _LONGEST_VERIFIED) if self.policy.verified else self._span

    @staticmethod
    def _must_agree(writer: Writer, headers: dict[int, Header]) -> None:
        """Blocks that were read for a late source are the ones the index has."""
        rows = writer.select(
            "SELECT number, hash FROM block WHERE number BETWEEN ? AND ?", (min(headers), max(headers))
        ).rows
        if any(number in headers and headers[number].hash != block_hash for number, block_hash in rows):
            raise Moved

    @staticmethod
    def _mark(tracked: Sequence[Tracked], through: int, writer: Writer) -> None:
        for each in tracked:
            writer.execute("UPDATE source SET through = ? WHERE name = ?", (through, each.source.name))


def _named(additions: Additions, parent: tuple[str, str]) -> set[str]:
    """Addresses (lower case) that a parent's events in this range name as new clones."""
    name, column = parent
    if name not in additions.logs:
        return set()
    _, table = additions.tables[name]
    position = [each.name for each in table.columns].index(column)
    return {row[position].lower() for row in table.layout.decode(additions.logs[name]).rows}
