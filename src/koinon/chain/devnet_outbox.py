# SPDX-License-Identifier: Apache-2.0
"""The outbox of a development chain: every account's transactions, and the order in which they were mined.

An anvil that is killed forgets all blocks since it was last saved. So everyone who sends on a development
chain of this machine does so through one outbox in the chain's folder, and a transaction is acknowledged only
when three things are on the disk: its bytes (before it is sent), and the number, time and contents of every
block up to the one it is in, including transactions that others sent. With the newest saved copy of the chain
this is enough to mine the very same blocks again (see `replay`), so that nothing acknowledged is lost even if
anvil and all of Koinon's processes are killed at once, at any instruction.

What this cannot do: a program that sends to anvil directly (a wallet, another library) is told of its receipt
by anvil, not by us. Its transaction is safe once the supervisor has looked, five times a second, or once
anything that was mined after it is acknowledged. Changes of anvil's state by hand (``anvil_setBalance``, say)
are safe once the chain is saved.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from koinon.chain.receipts import Receipt
from koinon.chain.rpc import BATCH, Rpc
from koinon.chain.sqlite_outbox import SqliteOutbox, _drop_rivals
from koinon.chain.transactions import SignedTransaction
from koinon.errors import NodeUnavailable

STRANGER = ""
"""Sender of a transaction that somebody gave to anvil directly."""


class MinedBlock(NamedTuple):
    """A block to mine again: ``hash`` 0x-hex, ``timestamp`` Unix seconds, raw transactions in order."""

    number: int
    hash: str
    timestamp: int
    transactions: list[bytes]


class _LookAgain(Exception):
    """Another process changed the file between our look at it and our writing."""


class DevnetOutbox(SqliteOutbox):
    """See the module; `SetupError` as in `SqliteOutbox`."""

    def mined(
        self, transactions: Sequence[tuple[SignedTransaction, Receipt]], rpc: Rpc
    ) -> list[SignedTransaction]:
        """Keep all blocks up to theirs. Returns what is not in the block its receipt names."""
        if not transactions:
            return []
        self.reach(max(receipt.block_number for _, receipt in transactions), rpc)
        lost = self._misplaced(transactions)
        if lost:  # the chain was restarted or taken back: where does it stand now?
            self._realign(rpc)
            self.follow(rpc)
            lost = self._misplaced(transactions)
        return lost

    def reach(self, block_number: int, rpc: Rpc) -> None:
        """Keep all blocks up to this one, as far as the chain has them."""
        self._extend(rpc, block_number)

    def follow(self, rpc: Rpc) -> int:
        """Keep all blocks there are; the number of the newest."""
        block = rpc.call("eth_getBlockByNumber", "latest", False)
        latest, head = int(block["number"], 16), self.head()
        if head is not None and (latest < head[0] or (latest == head[0] and block["hash"] != head[1])):
            self._realign(rpc)
        self._extend(rpc, latest)
        return latest

    def head(self) -> tuple[int, str] | None:
        """Number and hash of the newest block kept."""
        with self._reading() as database:
            row = database.execute(
                "SELECT number, hash FROM blocks WHERE chain = ? ORDER BY number DESC LIMIT 1", (self.chain,)
            ).fetchone()
        return None if row is None else (int(row[0]), str(row[1]))

    def first(self) -> int | None:
        """The oldest block kept: a copy of the chain as of then, or of any later block, can be completed."""
        with self._reading() as database:
            row = database.execute("SELECT min(number) FROM blocks WHERE chain = ?", (self.chain,)).fetchone()
        return None if row[0] is None else int(row[0])

    def after(self, number: int) -> list[MinedBlock]:
        """The blocks after this one, in order."""
        with self._reading() as database:
            blocks = database.execute(
                "SELECT number, hash, timestamp FROM blocks WHERE chain = ? AND number > ? ORDER BY number",
                (self.chain, number),
            ).fetchall()
            rows = database.execute(
                "SELECT block, raw FROM transactions WHERE chain = ? AND block > ? ORDER BY block, position",
                (self.chain, number),
            ).fetchall()
        contents: dict[int, list[bytes]] = {}
        for block, raw in rows:
            contents.setdefault(block, []).append(bytes(raw))
        return [MinedBlock(at, digest, time, contents.get(at, [])) for at, digest, time in blocks]

    def begin(self, block: dict[str, Any]) -> None:
        """The chain starts, or starts again, at this block (as the node describes it): nothing is known of
        what came before, unless it is among the blocks kept."""
        number, digest = int(block["number"], 16), block["hash"]
        with self._writing() as database:
            known = database.execute(
                "SELECT hash FROM blocks WHERE chain = ? AND number = ?", (self.chain, number)
            ).fetchone()
            if known is not None and known[0] == digest:
                return
            database.execute("DELETE FROM blocks WHERE chain = ?", (self.chain,))
            database.execute("DELETE FROM transactions WHERE chain = ? AND block <= ?", (self.chain, number))
            database.execute(
                "INSERT INTO blocks VALUES (?, ?, ?, ?)",
                (self.chain, number, digest, int(block["timestamp"], 16)),
            )

    def renamed(self, hashes: dict[int, str]) -> None:
        """These blocks were mined again and came out with other hashes."""
        with self._writing() as database:
            database.executemany(
                "UPDATE blocks SET hash = ? WHERE chain = ? AND number = ?",
                [(digest, self.chain, number) for number, digest in hashes.items()],
            )

    def saved(self, number: int) -> None:
        """Copies of the chain as of this block or later are all that will ever be gone back to: forget what
        was mined up to it."""
        with self._writing() as database:
            database.execute("DELETE FROM blocks WHERE chain = ? AND number < ?", (self.chain, number))
            database.execute("DELETE FROM transactions WHERE chain = ? AND block <= ?", (self.chain, number))

    def drop(self, raws: Sequence[bytes]) -> None:
        """Forget transactions that can never be mined."""
        with self._writing() as database:
            database.executemany(
                "DELETE FROM transactions WHERE chain = ? AND raw = ? AND block IS NULL",
                [(self.chain, raw) for raw in raws],
            )

    # Following the chain

    def _extend(self, rpc: Rpc, through: int) -> None:
        while True:
            head = self.head()
            start = 0 if head is None else head[0] + 1
            if start > through:
                return
            numbers = range(start, min(through, start + BATCH - 1) + 1)
            blocks = rpc.batch([("eth_getBlockByNumber", [hex(number), False]) for number in numbers])
            while blocks and blocks[-1] is None:  # lost meanwhile, or not yet there
                blocks.pop()
            if not blocks:
                return
            if None in blocks:
                raise NodeUnavailable("The development chain is being restarted.", hint="Try again.")
            if (head is not None and blocks[0]["parentHash"] != head[1]) or not _linked(blocks):
                self._realign(rpc)
                continue
            strangers = self._fetch_unknown(rpc, blocks)
            with contextlib.suppress(_LookAgain):
                self._keep(head, blocks, strangers)
                if len(blocks) < len(numbers):
                    return

    def _fetch_unknown(self, rpc: Rpc, blocks: Sequence[dict[str, Any]]) -> dict[str, bytes]:
        """The bytes of transactions that nobody recorded here."""
        hashes = [transaction for block in blocks for transaction in block["transactions"]]
        with self._reading() as database:
            unknown = [
                each
                for each in hashes
                if database.execute(
                    "SELECT 1 FROM transactions WHERE chain = ? AND hash = ?",
                    (self.chain, bytes.fromhex(each[2:])),
                ).fetchone()
                is None
            ]
        raws = rpc.batch([("eth_getRawTransactionByHash", [each]) for each in unknown])
        if None in raws:
            raise NodeUnavailable("The development chain is being restarted.", hint="Try again.")
        return {each: bytes.fromhex(raw[2:]) for each, raw in zip(unknown, raws, strict=True)}

    def _keep(
        self, head: tuple[int, str] | None, blocks: Sequence[dict[str, Any]], strangers: dict[str, bytes]
    ) -> None:
        with self._writing() as database:
            if self.head() != head:
                raise _LookAgain  # another process was faster
            for block in blocks:
                number = int(block["number"], 16)
                database.execute(
                    "INSERT INTO blocks VALUES (?, ?, ?, ?)",
                    (self.chain, number, block["hash"], int(block["timestamp"], 16)),
                )
                for position, each in enumerate(block["transactions"]):
                    self._place(database, bytes.fromhex(each[2:]), number, position, strangers.get(each))

    def _place(
        self,
        database: sqlite3.Connection,
        transaction_hash: bytes,
        number: int,
        position: int,
        stranger: bytes | None,
    ) -> None:
        if stranger is not None:
            database.execute(
                "INSERT OR IGNORE INTO transactions (chain, hash, sender, nonce, raw) VALUES (?, ?, ?, ?, ?)",
                (self.chain, transaction_hash, STRANGER, 0, stranger),
            )
        row = database.execute(
            "UPDATE transactions SET block = ?, position = ? WHERE chain = ? AND hash = ?"
            " RETURNING sender, nonce",
            (number, position, self.chain, transaction_hash),
        ).fetchone()
        if row is None:
            raise _LookAgain  # another process has forgotten it meanwhile
        sender, nonce = row
        if sender != STRANGER:
            _drop_rivals(database, self.chain, sender, nonce)

    def _realign(self, rpc: Rpc) -> None:
        """Let go of blocks the chain no longer has. Their transactions wait to be mined again."""
        with self._reading() as database:
            kept = database.execute(
                "SELECT number, hash FROM blocks WHERE chain = ? ORDER BY number DESC", (self.chain,)
            ).fetchall()
        common: int | None = None
        for start in range(0, len(kept), BATCH):
            part = kept[start : start + BATCH]
            blocks = rpc.batch([("eth_getBlockByNumber", [hex(number), False]) for number, _ in part])
            common = next(
                (
                    number
                    for (number, digest), block in zip(part, blocks, strict=True)
                    if block is not None and block["hash"] == digest
                ),
                None,
            )
            if common is not None:
                break
        latest = None if common is not None else rpc.call("eth_getBlockByNumber", "latest", False)
        with self._writing() as database:
            database.execute(
                "UPDATE transactions SET block = NULL, position = NULL WHERE chain = ? AND block > ?",
                (self.chain, -1 if common is None else common),
            )
            database.execute(
                "DELETE FROM blocks WHERE chain = ? AND number > ?",
                (self.chain, -1 if common is None else common),
            )
            if latest is not None:
                database.execute(
                    "INSERT INTO blocks VALUES (?, ?, ?, ?)",
                    (self.chain, int(latest["number"], 16), latest["hash"], int(latest["timestamp"], 16)),
                )

    def _misplaced(
        self, transactions: Sequence[tuple[SignedTransaction, Receipt]]
    ) -> list[SignedTransaction]:
        first = self.first()
        found = []
        with self._reading() as database:
            for each, receipt in transactions:
                row = database.execute(
                    "SELECT block FROM transactions WHERE chain = ? AND hash = ?", (self.chain, each.hash)
                ).fetchone()
                forgotten = row is None and first is not None and receipt.block_number <= first  # saved
                if not forgotten and (row is None or row[0] != receipt.block_number):
                    found.append(each)
        return found


def _linked(blocks: Sequence[dict[str, Any]]) -> bool:
    return all(later["parentHash"] == earlier["hash"] for earlier, later in pairwise(blocks))
