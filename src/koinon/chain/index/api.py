# SPDX-License-Identifier: Apache-2.0
"""EventIndex: the chain's events as SQL tables that always equal what the chain says now.

Reading, in any process, while one process follows::

    index = EventIndex.open(settings, chain)     # or Node.index
    index.rows("SELECT * FROM works_registered WHERE owner = ? ORDER BY block_number DESC LIMIT 20", (owner,))
    index.head()                                 # Cursor(number, hash, timestamp) or None; str() is its text
    index.wait(after=index.head(), timeout_s=10) # the new head once it differs from ``after``, or None
    for event in index.feed(after=None):         # FeedEvent(kind, cursor, table, row, undone)
        ...                                      # kind "event" or "undone"; event.cursor resumes after it

Writing::

    index.sync()                 # catch up with the chain's head and return
    index.follow(stop)           # until the threading.Event is set; one process does, others stand by
    index.add(name, address, abi, from_block)
    index.verify()               # read every block again, prove it, compare the rows

Tables (parameters are ``?`` on SQLite and PostgreSQL alike):

- ``block(number, hash, parent_hash, timestamp, finalized, events)``: every block with events, and every block
  that is not final. Join it on ``block_number`` for an event's time.
- one table an event, ``<contract>_<event>`` (``works_registered``, ``coin_transfer``, ``till_released``):
  ``block_number, log_index, transaction_hash, address`` and the event's fields in snake_case (write
  ``"from"``, ``"to"`` and ``"index"`` in quotes); arrays in ``<table>_<field>(block_number, log_index,
  position, …)``. ``column = ? ORDER BY block_number DESC, log_index DESC LIMIT n`` on an ABI-indexed field,
  or on ``address`` of the till tables, is one walk down an index.
- ``head(number, hash, timestamp)``, ``source(name, address, abi, from_block, through, …)``, ``undone``,
  ``undecoded`` (logs whose data does not fit their event).

Values: int of any size, bool, str; addresses in EIP-55, bytes as ``0x…`` in lower case. ``sum_uint(x)`` is
the exact sum, and like SQL's own ``sum()`` NULL where there are no rows (``COALESCE(sum_uint(x), 0)``);
SQLite's own overflows at 63 bits. Larger numbers compare rightly with parameters, not with literals.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from koinon.chain.address import checksum
from koinon.chain.handle import Chain
from koinon.chain.index import ledger
from koinon.chain.index.audit import audit
from koinon.chain.index.engine import Answer, Engine
from koinon.chain.index.feed import Cursor, FeedEvent, read_page
from koinon.chain.index.follower import Follower, Policy
from koinon.chain.index.setup import engine_at, prepare
from koinon.chain.index.sources import Source, check_tables
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc
from koinon.errors import BadInput, ChainError, NodeUnavailable
from koinon.settings import Settings

__all__ = ["Answer", "Cursor", "EventIndex", "FeedEvent"]

FILE_NAME: Final = "index.sqlite"
_PATIENCE_S: Final = 60.0


class EventIndex:
    """The index of one network. Safe to share between threads; close it or use it as a context manager.

    Parameters
    ----------
    engine : Engine
    network : Network
    rpc : Rpc or None
        The node to follow; reading needs none.
    policy : Policy
    """

    def __init__(
        self, engine: Engine, network: Network, rpc: Rpc | None = None, policy: Policy | None = None
    ) -> None:
        self._engine, self._network, self._rpc = engine, network, rpc
        self._policy = policy or Policy(strict=not network.test_money)
        prepare(engine, network)

    @classmethod
    def open(
        cls,
        where: Settings | Path | str,
        chain: Chain | None = None,
        *,
        network: Network | None = None,
        verified: bool = False,
        finality_blocks: int | None = None,
    ) -> Self:
        """The index of a data directory (``index.sqlite``, or the setting ``index_url``), or one at a path or
        ``postgresql://`` URL. Makes it where there is none.

        Without ``chain`` it can only be read, and the network is the one given or the settings' own.

        Raises
        ------
        SetupError
            The database cannot be reached or used.
        NotFound, BadInput
            There is no network description yet, or it is damaged.
        """
        if isinstance(where, Settings):
            url: Path | str = where.index_url or where.home / FILE_NAME
            network = chain.network if chain is not None else network or Network.load(where.network)
        else:
            url = where
            network = chain.network if chain is not None else network
        if network is None:
            raise BadInput("An index belongs to a network.", hint="Name it.", code="index.network")
        policy = Policy(verified, finality_blocks, strict=not network.test_money)
        return cls(engine_at(url, network), network, chain.rpc if chain is not None else None, policy)

    @property
    def place(self) -> str:
        """Where the database is, without passwords."""
        return self._engine.place

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """What a SELECT finds, as column → value; `BadInput` for SQL that is wrong or would write."""
        return self._engine.query(sql, parameters, limit=None, timeout_s=None).mappings()

    def query(
        self, sql: str, parameters: Sequence[Any] = (), *, limit: int = 1_000, timeout_s: float = 10.0
    ) -> Answer:
        """Somebody's own SELECT, with a limit on rows and time."""
        return self._engine.query(sql, parameters, limit=limit, timeout_s=timeout_s)

    def keep(self, statements: Sequence[tuple[str, Sequence[Sequence[Any]]]]) -> None:
        """Keep a room's own notes in tables beside the index's, in one transaction.

        Each statement is SQL with ``?`` and the rows of parameters it runs with (``[()]`` for none). For
        views that can be made anew, never for what a user could lose; the event tables are the follower's.
        """
        with self._engine.write() as writer:
            for sql, rows in statements:
                for parameters in rows:
                    writer.execute(sql, parameters)

    def head(self) -> Cursor | None:
        """The last block whose events are in."""
        with self._engine.read() as reader:
            header = ledger.read_head(reader)
        return None if header is None else Cursor(header.number, header.hash, header.timestamp)

    def sources(self) -> list[tuple[Source, int | None]]:
        """Every source, and the last block of it that is in."""
        with self._engine.read() as reader:
            return [(each.source, each.through) for each in ledger.read_sources(reader, {})]

    def add(self, name: str, address: str, abi: Sequence[Mapping[str, Any]], from_block: int = 0) -> Source:
        """Index another contract's events from a block on; whoever follows fetches its past.

        Raises
        ------
        BadInput
            The name or address is wrong, the ABI has no events, or a table of that name exists.
        """
        if from_block < 0:
            raise BadInput("A block's number is not negative.", code="index.block")
        try:
            source = Source(name, list(abi), checksum(address), from_block)
            check_tables((), source)
        except (KeyError, TypeError, AttributeError) as fault:
            raise BadInput(
                "This is not a JSON ABI.", hint="Give the list that compilers write.", code="index.abi"
            ) from fault
        with self._engine.write() as writer:
            known = [each.source for each in ledger.read_sources(writer, {})]
            check_tables(known, source)
            ledger.create(writer, self._engine, source, None)
        return source

    def sync(self) -> None:
        """Until the index is where the chain is now. Where another process follows, wait for it.

        Raises
        ------
        NodeUnavailable
            The node does not answer, or the process that follows does not get there.
        IntegrityError
            The node lies, contradicts itself or replaced a final block; nothing of that was written.
        """
        follower = self._follower()
        end = time.monotonic() + _PATIENCE_S
        wanted: int | None = None
        while True:
            with self._engine.follower() as mine:
                if mine:
                    follower.sync()
                    return
            if wanted is None:
                wanted = int(follower.rpc.call("eth_blockNumber"), 16)
            head = self.head()
            level = head is not None and all(through == head.number for _, through in self.sources())
            if head is not None and head.number >= wanted and level:
                return
            if time.monotonic() > end:
                raise NodeUnavailable(
                    "Another process follows the chain for this index and does not get on.",
                    hint="Look at that process, or end it.",
                    code="index.stuck",
                )
            self._engine.wait(0.2)

    def follow(self, stop: threading.Event, *, every_s: float = 0.25) -> None:
        """Keep up with the chain until ``stop`` is set. Waits while another process does, and while the node
        does not answer; errors as in `sync` where the node lies."""
        follower = self._follower()
        while not stop.is_set():
            with self._engine.follower() as mine:
                pause = every_s
                while mine and not stop.wait(pause if follower.latest is not None else 0):
                    try:
                        follower.sync()
                        pause = every_s
                    except ChainError:
                        follower.latest = -1
                        pause = min(pause * 2, 10.0)
            stop.wait(1.0)

    def feed(
        self,
        after: str | Cursor | None = None,
        *,
        tables: Sequence[str] | None = None,
        stop: threading.Event | None = None,
        endless: bool = True,
    ) -> Iterator[FeedEvent]:
        """Events after a cursor in the chain's order, then new ones as they come, until ``stop`` is set
        (looked at several times a second). ``tables`` only these; ``endless=False`` ends at the head instead
        of waiting.

        Sources that are added later do not appear in a feed that is past their blocks.
        """
        cursor = Cursor.parse(after) if isinstance(after, str) else after
        known: dict[str, Source] = {}
        at_the_end: object = None
        while stop is None or not stop.is_set():
            with self._engine.read() as reader:
                state = ledger.read_state(reader)
                page: list[FeedEvent] = []
                if state != at_the_end:
                    known = {each.source.name: each.source for each in ledger.read_sources(reader, known)}
                    every = [table.name for source in known.values() for table in source.tables]
                    page = read_page(reader, tables or every, cursor)
            for event in page:
                yield event
                cursor = Cursor.parse(event.cursor)
            if not page:
                if not endless:
                    return
                at_the_end = state
                self._engine.wait(0.2)

    def wait(self, after: Cursor | str | None = None, timeout_s: float = 30.0) -> Cursor | None:
        """The head, as soon as it is another block than ``after``'s; None when time is up."""
        known = Cursor.parse(after) if isinstance(after, str) else after
        end = time.monotonic() + timeout_s
        while True:
            head = self.head()
            if head is not None and (known is None or head.hash != known.hash):
                return head
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._engine.wait(min(left, 1.0))

    def verify(self, from_block: int = 0) -> int:
        """Prove every block from ``from_block`` on again and compare the rows; the last block checked.

        Raises
        ------
        IntegrityError
            The node lies now, or the rows are not what the chain proves.
        NotFound
            There is nothing to check yet.
        """
        follower = self._follower()
        return audit(self._engine, follower.rpc, max(from_block, follower.first_block))

    def close(self) -> None:
        """Close the database."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _follower(self) -> Follower:
        if self._rpc is None:
            raise NodeUnavailable(
                "This index was opened for reading only.", hint="Open it with a chain.", code="index.no_node"
            )
        return Follower(self._engine, self._rpc, self._policy, max(self._network.start_block, 0))
