# SPDX-License-Identifier: Apache-2.0
"""An outbox on disk, shared by every process of a data directory.

One SQLite file in WAL mode with ``synchronous = FULL``: when `SqliteOutbox.record` returns, the transactions
survive a kill of any process and a loss of power. All transactions of a call are one commit, so a batch of
250 costs one wait for the disk. A transaction leaves when the block it is in is final.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from koinon.chain.receipts import Receipt
from koinon.chain.rpc import Rpc, RpcError
from koinon.chain.transactions import SignedTransaction
from koinon.chain.wal import use_wal
from koinon.errors import SetupError

FILE_NAME: Final = "outbox.sqlite"
FINAL_DEPTH: Final = 64
"""Blocks after which a transaction counts as final where the node does not say which block is."""

_LOOK_EVERY_S: Final = 30.0
_BUSY_S: Final = 60.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS transactions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    chain TEXT NOT NULL,
    hash BLOB NOT NULL,
    sender TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    raw BLOB NOT NULL,
    block INTEGER,
    position INTEGER,
    UNIQUE (chain, hash)
);
CREATE INDEX IF NOT EXISTS transactions_by_sender ON transactions (chain, sender, nonce);
CREATE INDEX IF NOT EXISTS transactions_by_block ON transactions (chain, block, position);
CREATE TABLE IF NOT EXISTS blocks (
    chain TEXT NOT NULL,
    number INTEGER NOT NULL,
    hash TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    PRIMARY KEY (chain, number)
) WITHOUT ROWID;
"""


class SqliteOutbox:
    """Transactions of one chain in a file. Safe to share between threads; any number of processes may use the
    file at once, for the same chain or for others.

    Parameters
    ----------
    path : Path
        Made, for its owner's eyes only, when the first transaction is recorded.
    chain : str
        Which chain: see `chain_name`.
    clock : callable, optional
        Seconds now.

    Raises
    ------
    SetupError
        From every method, code ``chain.outbox``: the file cannot be read or written. Nothing was half done.
    """

    def __init__(self, path: Path, chain: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path, self.chain = path, chain
        self._clock = clock
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._looked_at = clock()

    def record(self, transactions: Sequence[SignedTransaction]) -> None:
        """Keep signed transactions: one commit, on the disk when this returns."""
        rows = [
            (self.chain, each.hash, each.sender, each.transaction.nonce, each.raw) for each in transactions
        ]
        with self._writing() as database:
            database.executemany(
                "INSERT OR IGNORE INTO transactions (chain, hash, sender, nonce, raw) VALUES (?, ?, ?, ?, ?)",
                rows,
            )

    def forget(self, transactions: Sequence[SignedTransaction]) -> None:
        """They can never be mined."""
        with self._writing() as database:
            database.executemany(
                "DELETE FROM transactions WHERE chain = ? AND hash = ?",
                [(self.chain, each.hash) for each in transactions],
            )

    def mined(
        self, transactions: Sequence[tuple[SignedTransaction, Receipt]], rpc: Rpc
    ) -> list[SignedTransaction]:
        """Note the blocks they are in. They stay until those blocks are final: now and then this looks which
        are, and sends again what a reorganisation dropped."""
        with self._writing() as database:
            for each, receipt in transactions:
                database.execute(
                    "UPDATE transactions SET block = ? WHERE chain = ? AND hash = ?",
                    (receipt.block_number, self.chain, each.hash),
                )
                _drop_rivals(database, self.chain, each.sender, each.transaction.nonce)
        if self._clock() - self._looked_at >= _LOOK_EVERY_S:
            self.forget_final(rpc)
        return []

    def reach(self, block_number: int, rpc: Rpc) -> None:
        """What others sent is theirs to keep."""

    def waiting(self, sender: str | None = None) -> list[bytes]:
        """Transactions not known to be mined, oldest nonce first; in the order they were recorded for all."""
        if self._connection is None and not self.path.exists():
            return []
        with self._reading() as database:
            if sender is None:
                rows = database.execute(
                    "SELECT raw FROM transactions WHERE chain = ? AND block IS NULL ORDER BY sequence",
                    (self.chain,),
                )
            else:
                rows = database.execute(
                    "SELECT raw FROM transactions WHERE chain = ? AND sender = ? AND block IS NULL"
                    " ORDER BY nonce, sequence",
                    (self.chain, sender),
                )
            return [bytes(row[0]) for row in rows]

    def forget_final(self, rpc: Rpc) -> None:
        """Drop what is in final blocks; send again what was mined and is no longer."""
        self._looked_at = self._clock()
        try:
            final = int(rpc.call("eth_getBlockByNumber", "finalized", False)["number"], 16)
        except (RpcError, TypeError):
            final = int(rpc.call("eth_blockNumber"), 16) - FINAL_DEPTH
        with self._reading() as database:
            rows = database.execute(
                "SELECT hash, raw, block FROM transactions WHERE chain = ? AND block IS NOT NULL",
                (self.chain,),
            ).fetchall()
        found = rpc.batch([("eth_getTransactionReceipt", ["0x" + row[0].hex()]) for row in rows])
        gone, lost = [], []
        for (transaction_hash, raw, _), receipt in zip(rows, found, strict=True):
            if receipt is None:
                lost.append((transaction_hash, raw))
            elif int(receipt["blockNumber"], 16) <= final:
                gone.append((self.chain, transaction_hash))
        with self._writing() as database:
            database.executemany("DELETE FROM transactions WHERE chain = ? AND hash = ?", gone)
            database.executemany(
                "UPDATE transactions SET block = NULL WHERE chain = ? AND hash = ?",
                [(self.chain, transaction_hash) for transaction_hash, _ in lost],
            )
        rpc.batch([("eth_sendRawTransaction", ["0x" + raw.hex()]) for _, raw in lost], raise_errors=False)

    def close(self) -> None:
        """Close the file; it opens again when it is needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    # The file

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make_file(self.path)
            database = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S
            )
            try:
                use_wal(database, _BUSY_S)
                database.executescript(_SCHEMA)
            except BaseException:
                database.close()
                raise
            self._connection = database
        return self._connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._open()
            except (sqlite3.Error, OSError) as error:
                raise self._fault(error) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on the disk afterwards, or nothing."""
        with self._reading() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    def _fault(self, error: sqlite3.Error | OSError) -> SetupError:
        return SetupError(
            f"The outbox {self.path} cannot be used: {error}.",
            hint="Make room on the disk and try again; nothing is sent, and nothing acknowledged, meanwhile.",
            code="chain.outbox",
        )


def _make_file(path: Path) -> None:
    """Readable by its owner only, as SQLite's other files then are too.

    Never by opening ``path`` itself: closing any descriptor of a file drops all locks this process has on it
    (POSIX), and with them what keeps SQLite's other connections safe.
    """
    if path.exists():
        return
    empty = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    os.close(os.open(empty, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        os.link(empty, path)
    except FileExistsError:
        pass  # another process was faster
    finally:
        empty.unlink()


def chain_name(chain_id: int, genesis_hash: str) -> str:
    """How an outbox names a chain: its id, and its genesis block where that is known (development chains are
    born again under one id)."""
    return f"{chain_id}:{genesis_hash}"


def _drop_rivals(database: sqlite3.Connection, chain: str, sender: str, nonce: int) -> None:
    """Nothing else can be mined with this nonce."""
    database.execute(
        "DELETE FROM transactions WHERE chain = ? AND sender = ? AND nonce = ? AND block IS NULL",
        (chain, sender, nonce),
    )
