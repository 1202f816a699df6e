# SPDX-License-Identifier: Apache-2.0
"""What a host of agents must never forget, in one SQLite file: messages in and out, nonces, memories.

Every change is a function of the open transaction. `Committer` gathers what comes together into one
transaction and forces it to the disk before anybody is told, so that one forcing serves hundreds of messages.
Without a file the same tables live in memory: as fast as it gets, and gone with the process.
"""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from koinon.agents.memory import Table, Writes
from koinon.chain.wal import use_wal
from koinon.errors import SetupError

Result = TypeVar("Result")
Change = Callable[[sqlite3.Connection], Result]

KEPT: Final = 2_000
"""Messages that are done with and still kept, in and out each: the flow that pages show."""

SESSION_KEPT_S: Final = 30 * 86_400
"""How long the memory of a conversation is kept after its last change."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS inbox (
    number INTEGER PRIMARY KEY, agent TEXT NOT NULL, id BLOB NOT NULL, envelope BLOB NOT NULL,
    name TEXT NOT NULL, at REAL NOT NULL, due REAL NOT NULL, tries INTEGER NOT NULL, done REAL);
CREATE INDEX IF NOT EXISTS inbox_waiting ON inbox (number) WHERE done IS NULL;
CREATE TABLE IF NOT EXISTS outbox (
    number INTEGER PRIMARY KEY, agent TEXT NOT NULL, id BLOB NOT NULL, envelope BLOB NOT NULL,
    name TEXT NOT NULL, at REAL NOT NULL, done REAL);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (number) WHERE done IS NULL;
CREATE TABLE IF NOT EXISTS seen (
    account TEXT NOT NULL, nonce BLOB NOT NULL, id BLOB NOT NULL, expires INTEGER NOT NULL,
    PRIMARY KEY (account, nonce)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead (
    number INTEGER PRIMARY KEY, agent TEXT NOT NULL, id BLOB NOT NULL, envelope BLOB NOT NULL,
    name TEXT NOT NULL, outgoing INTEGER NOT NULL, code TEXT NOT NULL, why TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS again (
    number INTEGER PRIMARY KEY, agent TEXT NOT NULL, id BLOB NOT NULL, envelope BLOB NOT NULL,
    name TEXT NOT NULL, outgoing INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS memory (
    agent TEXT NOT NULL, scope TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (agent, scope, key)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as it is kept. ``agent`` whose mailbox it is in (the receiver's, or the sender's for one on
    its way out), ``name`` its type's, ``at`` when it was accepted or sent, ``due`` before when it is left
    alone; times in Unix seconds."""

    number: int
    agent: str
    id: bytes
    envelope: bytes
    name: str
    at: float
    due: float = 0.0
    tries: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that nobody could handle, or that nobody took; ``outgoing`` in the second case."""

    number: int
    agent: str
    id: bytes
    envelope: bytes
    name: str
    outgoing: bool
    code: str
    why: str
    at: float

    @classmethod
    def read(cls, row: Sequence[Any]) -> DeadLetter:
        """From a row of its table."""
        number, agent, identity, envelope, name, outgoing, code, why, at = row
        return cls(number, agent, identity, envelope, name, bool(outgoing), code, why, at)


def remember(
    database: sqlite3.Connection, account: str, nonce: bytes, identity: bytes, expires: int
) -> bytes | None:
    """Note a nonce. None where it is new, otherwise the id of the message that came with it."""
    added = database.execute(
        "INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)", (account, nonce, identity, expires)
    )
    if added.rowcount:
        return None
    row = database.execute("SELECT id FROM seen WHERE account = ? AND nonce = ?", (account, nonce)).fetchone()
    return bytes(row[0])


def put_in(database: sqlite3.Connection, letters: Iterable[Letter]) -> None:
    """Into mailboxes."""
    database.executemany(
        "INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        [(x.number, x.agent, x.id, x.envelope, x.name, x.at, x.due, x.tries) for x in letters],
    )


def put_out(database: sqlite3.Connection, letters: Iterable[Letter]) -> None:
    """On their way."""
    database.executemany(
        "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, NULL)",
        [(x.number, x.agent, x.id, x.envelope, x.name, x.at) for x in letters],
    )


def mark_done(database: sqlite3.Connection, table: str, numbers: Iterable[int], now: float) -> None:
    """Handled, or delivered; ``table`` is ``inbox`` or ``outbox``."""
    database.executemany(
        f"UPDATE {table} SET done = ? WHERE number = ?",  # noqa: S608  (our own names)
        [(now, number) for number in numbers],
    )


def postponed(letter: Letter, due: float) -> Letter:
    """The same letter, tried once more."""
    return replace(letter, due=due, tries=letter.tries + 1)


def put_off(database: sqlite3.Connection, number: int, due: float, tries: int) -> None:
    """Try a message in a mailbox again later."""
    database.execute("UPDATE inbox SET due = ?, tries = ? WHERE number = ?", (due, tries, number))


def bury(  # noqa: PLR0917  (what a dead letter is)
    database: sqlite3.Connection, letter: Letter, outgoing: bool, code: str, why: str, now: float
) -> None:
    """Take a message out of its box and into the list of dead letters."""
    box = "outbox" if outgoing else "inbox"
    database.execute(f"DELETE FROM {box} WHERE number = ?", (letter.number,))  # noqa: S608  (our own names)
    database.execute(
        "INSERT INTO dead VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
        (letter.agent, letter.id, letter.envelope, letter.name, int(outgoing), code, why[:500], now),
    )


def write_memory(database: sqlite3.Connection, agent: str, writes: Writes, now: float) -> None:
    """An agent's memory changes."""
    gone = [(agent, *place) for place, value in writes.items() if value is None]
    kept = [(agent, *place, value, now) for place, value in writes.items() if value is not None]
    database.executemany("DELETE FROM memory WHERE agent = ? AND scope = ? AND key = ?", gone)
    database.executemany("INSERT OR REPLACE INTO memory VALUES (?, ?, ?, ?, ?)", kept)


def read_dead(database: sqlite3.Connection, limit: int, agent: str = "") -> list[DeadLetter]:
    """The newest dead letters, of all or of one agent."""
    rows = database.execute(
        "SELECT * FROM dead WHERE ? IN ('', agent) ORDER BY number DESC LIMIT ?", (agent, limit)
    )
    return [DeadLetter.read(row) for row in rows]


def bring_back(database: sqlite3.Connection, number: int) -> None:
    """Put a dead letter aside, to be tried again."""
    moved = "SELECT number, agent, id, envelope, name, outgoing FROM dead WHERE number = ?"
    database.execute(f"INSERT OR IGNORE INTO again {moved}", (number,))
    database.execute("DELETE FROM dead WHERE number = ?", (number,))


def take_again(database: sqlite3.Connection, agents: Iterable[str]) -> list[tuple[str, bytes, str, bool]]:
    """Of what was put aside, what is these agents' (agent, envelope, name, outgoing); it is there no more."""
    known = set(agents)
    rows = [row for row in database.execute("SELECT * FROM again ORDER BY number") if row[1] in known]
    database.executemany("DELETE FROM again WHERE number = ?", [(row[0],) for row in rows])
    return [(agent, envelope, name, bool(outgoing)) for _, agent, _, envelope, name, outgoing in rows]


def sweep(database: sqlite3.Connection, now: float, skew_s: float) -> None:
    """Forget nonces that have expired, conversations long silent, and the oldest of what is done with."""
    database.execute("DELETE FROM seen WHERE expires + ? < ?", (skew_s, now))
    database.execute("DELETE FROM memory WHERE scope LIKE '%/%' AND at < ?", (now - SESSION_KEPT_S,))
    for table in ("inbox", "outbox"):
        database.execute(
            f"DELETE FROM {table} WHERE done IS NOT NULL AND number <="  # noqa: S608  (our own names)
            f" (SELECT MAX(number) FROM {table}) - ?",
            (KEPT,),
        )
    database.execute("DELETE FROM dead WHERE number <= (SELECT MAX(number) FROM dead) - ?", (KEPT,))


class Mailboxes:
    """The file, held by one process; without a path, tables in memory."""

    def __init__(self, path: Path | None) -> None:
        self._lock = None if path is None else _hold(path)
        self.database = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        try:
            if path is not None:
                use_wal(self.database)
                path.chmod(0o600)
            self.database.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self.close()
            raise SetupError(
                f"The mailboxes in {path} cannot be opened: {error}.",
                hint="Move the file away only if no message in it matters any more.",
                code="agents.mailboxes",
            ) from error
        self.durable = path is not None

    def waiting(self, table: str) -> list[Letter]:
        """What is still to be handled (``inbox``) or delivered (``outbox``), oldest first."""
        times = "due, tries" if table == "inbox" else "0.0, 0"
        rows = self.database.execute(
            f"SELECT number, agent, id, envelope, name, at, {times} FROM {table}"  # noqa: S608  (our own names)
            " WHERE done IS NULL ORDER BY number"
        )
        return [Letter(*row) for row in rows]

    def last(self, table: str) -> int:
        """The highest number given so far."""
        return int(self.database.execute(f"SELECT MAX(number) FROM {table}").fetchone()[0] or 0)  # noqa: S608

    def memory(self, agent: str) -> Table:
        """All that an agent remembers."""
        table: Table = {}
        rows = self.database.execute("SELECT scope, key, value FROM memory WHERE agent = ?", (agent,))
        for scope, key, value in rows:
            table.setdefault(scope, {})[key] = value
        return table

    def dead(self, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters."""
        return read_dead(self.database, limit)

    def any_again(self) -> bool:
        """Whether there are dead letters to be tried again."""
        return self.database.execute("SELECT 1 FROM again LIMIT 1").fetchone() is not None

    def close(self) -> None:
        """Let go of the file."""
        self.database.close()
        if self._lock is not None:
            self._lock.close()


class Committer:
    """Makes changes in their order, many to a transaction; each is on the disk when it is answered."""

    def __init__(self, mailboxes: Mailboxes) -> None:
        self._mailboxes = mailboxes
        self._waiting: list[tuple[Change[Any], asyncio.Future[Any]]] = []
        self._thread = ThreadPoolExecutor(1, "mailboxes") if mailboxes.durable else None
        self._running: asyncio.Task[None] | None = None

    async def do(self, change: Change[Result]) -> Result:
        """Make a change; its result once it cannot be forgotten any more.

        Raises
        ------
        SetupError
            ``agents.mailboxes``: it could not be written, nor could what came with it.
        """
        if self._thread is None:
            return self._commit([change])[0]  # type: ignore[no-any-return]
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, future))
        if self._running is None:
            self._running = asyncio.create_task(self._drain(), name="mailboxes")
        return await future

    async def close(self) -> None:
        """Finish what is begun."""
        if self._running is not None:
            await self._running
        if self._thread is not None:
            self._thread.shutdown()

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    results = await loop.run_in_executor(
                        self._thread, self._commit, [one for one, _ in batch]
                    )
                except Exception as error:  # whoever waits hears of it, whatever it is
                    for _, future in batch:
                        if not future.done():
                            future.set_exception(error)
                    continue
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():
                        future.set_result(result)
        finally:
            self._running = None

    def _commit(self, changes: list[Change[Any]]) -> list[Any]:
        database = self._mailboxes.database
        try:
            database.execute("BEGIN IMMEDIATE")
            results = [change(database) for change in changes]
            database.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error | OSError):
                raise SetupError(
                    f"The mailboxes cannot be written: {error}.",
                    hint="Make room on the disk; nothing is accepted or sent meanwhile.",
                    code="agents.mailboxes",
                ) from error
            raise
        return results


def _hold(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = path.with_suffix(".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise SetupError(
            f"Another process runs the agents whose mailboxes are in {path}.",
            hint="Stop it first: koinon agent stop",
            code="agents.running",
        ) from None
    return lock
