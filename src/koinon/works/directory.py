# SPDX-License-Identifier: Apache-2.0
"""Works by kind, name, owner and age, out of the event index and the files it points to.

Files are content-addressed, so what was read of one stays true: it is kept in tables beside the index. A row
there only says "Work n once pointed to this file"; whether it still does is asked of the event tables at
every reading, so that a reorganisation needs no undoing here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, Protocol

from koinon.errors import BadInput, IntegrityError, KoinonError, NotFound
from koinon.works.family import Family
from koinon.works.registration import Registration
from koinon.works.shares import OWNER
from koinon.works.words import index_words, words_of

RETRY_AFTER_S: Final = 300
"""How long a file that was missing or forged is left alone before it is looked for again."""

PATIENCE_S: Final = 1.0
"""How long a page waits for files of new Works, in seconds; what is left is read for the next one."""

_STEP: Final = 200
_RARE: Final = 2_000
"""So few entries of a word are gathered first; commoner words are looked for Work by Work from the newest."""

_LAST_CHARACTER: Final = "\U0010ffff"
_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS work_file (work_id BIGINT NOT NULL, uri TEXT NOT NULL, state TEXT NOT NULL,"
    " kind TEXT NOT NULL, name TEXT NOT NULL, summary TEXT NOT NULL, description TEXT NOT NULL,"
    " image TEXT NOT NULL, looked_at BIGINT NOT NULL, PRIMARY KEY (work_id, uri))",
    "CREATE INDEX IF NOT EXISTS work_file_kind ON work_file (kind, work_id)",
    "CREATE INDEX IF NOT EXISTS work_file_state ON work_file (state, looked_at)",
    "CREATE TABLE IF NOT EXISTS work_word (word PLAIN_TEXT NOT NULL, work_id BIGINT NOT NULL,"
    " uri TEXT NOT NULL, PRIMARY KEY (word, work_id, uri))",
    "CREATE INDEX IF NOT EXISTS work_word_of ON work_word (work_id, uri, word)",
    "CREATE TABLE IF NOT EXISTS work_payee (payee TEXT NOT NULL, work_id BIGINT NOT NULL,"
    " PRIMARY KEY (payee, work_id))",
    "CREATE TABLE IF NOT EXISTS work_progress (name TEXT PRIMARY KEY, block_number BIGINT NOT NULL)",
    # Who is paid and who pays through a channel is asked for often, and no topic of its event says it.
    "CREATE INDEX IF NOT EXISTS channel_receiver ON channels_channel_created (config_receiver)",
    "CREATE INDEX IF NOT EXISTS channel_payer ON channels_channel_created (config_payer)",
)
CURRENT: Final = (
    "COALESCE((SELECT u.new_uri FROM works_uri_updated u WHERE u.agent_id = f.work_id"
    " ORDER BY u.block_number DESC, u.log_index DESC LIMIT 1),"
    " (SELECT r.agent_uri FROM works_registered r WHERE r.agent_id = f.work_id)) = f.uri"
)
"""SQL: whether the file ``f`` is the one its Work points to now."""

_HAS: Final = (
    "EXISTS (SELECT 1 FROM work_word w WHERE w.work_id = f.work_id AND w.uri = f.uri"
    " AND w.word >= ? AND w.word < ?)"
)
_AMONG: Final = (
    "(f.work_id, f.uri) IN (SELECT w.work_id, w.uri FROM work_word w WHERE w.word >= ? AND w.word < ?)"
)
_OWNER: Final = (
    '(SELECT t."to" FROM works_transfer t WHERE t.token_id = f.work_id'
    " ORDER BY t.block_number DESC, t.log_index DESC LIMIT 1)"
)
_COLUMNS: Final = f"""
f.work_id, f.uri, f.state, f.kind, f.name, f.summary, f.description, f.image,
{_OWNER} AS owner,
(SELECT b.timestamp FROM works_registered r JOIN block b ON b.number = r.block_number
 WHERE r.agent_id = f.work_id) AS published_at"""  # noqa: S608  constants


class Notebook(Protocol):
    """Where what was read of files is kept: tables in the index's own database."""

    def keep(self, statements: Sequence[tuple[str, Sequence[Sequence[Any]]]]) -> None:
        """Run statements in one transaction: each (SQL with ``?``, rows of parameters, ``[()]`` for none).
        `EventIndex` is one."""


@dataclass(frozen=True)
class Entry:
    """A Work as lists show it.

    ``state`` of its file: ``"read"``, ``"missing"`` (not in this store) or ``"forged"`` (malformed, or not
    signed by who it says); without ``"read"`` the texts are empty. ``published_at`` in Unix seconds.
    """

    work_id: int
    owner: str
    uri: str
    state: str
    kind: str
    name: str
    summary: str
    description: str
    image: str
    published_at: int


@dataclass(frozen=True)
class Listing:
    """A part of a list, newest first; ``before`` goes on with the next part, None at the end."""

    entries: tuple[Entry, ...]
    before: int | None


class Directory:
    """All Works of a network.

    Parameters
    ----------
    family : Family
        Index, store and network.
    notebook : Notebook
    clock : callable
        Unix seconds.
    """

    def __init__(self, family: Family, notebook: Notebook, *, clock: Callable[[], float] = time.time) -> None:
        self.family, self.index, self.notebook, self._clock = family, family.index, notebook, clock
        self._lock = Lock()
        self._kinds: tuple[str, dict[str, int]] = ("", {})
        notebook.keep([(statement, [()]) for statement in _TABLES])

    def refresh(self, most: int = _STEP) -> bool:
        """Read files of Works that are new, and of some that could not be read before.

        Bounded: at most ``most`` files. Returns whether there is more to do at once.
        """
        with self._lock:
            new, more, reached = self._new_pairs(most)
            retry = self.index.rows(
                "SELECT work_id, uri FROM work_file WHERE state IN ('missing', 'forged') AND looked_at < ?"
                " ORDER BY looked_at, work_id DESC LIMIT ?",
                (int(self._clock()) - RETRY_AFTER_S, max(0, most - len(new)) or 1),
            )
            self._keep([*new, *((int(row["work_id"]), str(row["uri"])) for row in retry)], reached)
            return more

    def catch_up(self, within_s: float = PATIENCE_S) -> None:
        """Refresh until no Work is new, or until so many seconds have passed."""
        deadline = time.monotonic() + within_s
        while self.refresh() and time.monotonic() < deadline:
            pass

    def newest(
        self,
        *,
        kind: str | None = None,
        search: str = "",
        owner: str | None = None,
        before: int | None = None,
        limit: int = 24,
    ) -> Listing:
        """Works from the newest on.

        Parameters
        ----------
        kind : str, optional
            dataset, model, service …
        search : str
            Words of name, summary, description or kind, each the beginning of one; Chinese anywhere.
        owner : str, optional
            Whose they are now.
        before : int, optional
            `Listing.before` of the part before this one.
        """
        conditions: list[str] = [CURRENT]
        parameters: list[Any] = []
        if kind is not None:
            conditions.append("f.kind = ?")
            parameters.append(kind)
        words = words_of(search)
        if search.strip() and not words:
            return Listing((), None)
        for word in words:
            conditions.append(_AMONG if self._is_rare(word) else _HAS)
            parameters += [word, word + _LAST_CHARACTER]
        if owner is not None:
            conditions.append('f.work_id IN (SELECT t.token_id FROM works_transfer t WHERE t."to" = ?)')
            conditions.append(f"{_OWNER} = ?")
            parameters += [owner, owner]
        if before is not None:
            conditions.append("f.work_id < ?")
            parameters.append(before)
        found = self.index.rows(
            f"SELECT {_COLUMNS} FROM work_file f WHERE {' AND '.join(conditions)}"  # noqa: S608  constants
            " ORDER BY f.work_id DESC LIMIT ?",
            (*parameters, limit + 1),
        )
        entries = tuple(_entry(row) for row in found[:limit])
        return Listing(entries, entries[-1].work_id if len(found) > limit else None)

    def entry(self, work_id: int) -> Entry | None:
        """One Work; None when there is none of that id."""
        found = self._entries([work_id])
        if not found and self.family.uris_of(work_id):
            self._keep([(work_id, self.family.uris_of(work_id)[0])])
            found = self._entries([work_id])
        return found.get(work_id)

    def names(self, work_ids: Sequence[int]) -> dict[int, str]:
        """Names of those Works whose files could be read."""
        return {work_id: entry.name for work_id, entry in self._entries(work_ids).items() if entry.name}

    def kinds(self) -> dict[str, int]:
        """Kind → how many Works, most first."""
        head = self.index.head()
        mark = "" if head is None else head.hash
        if mark and self._kinds[0] == mark:
            return self._kinds[1]
        found = self.index.rows(
            "SELECT kind, COUNT(DISTINCT work_id) AS works FROM work_file WHERE state = 'read'"
            " GROUP BY kind ORDER BY works DESC, kind"
        )
        self._kinds = mark, {str(row["kind"]): int(row["works"]) for row in found}
        return self._kinds[1]

    def total(self) -> int:
        """How many Works there are."""
        found = self.index.rows("SELECT MAX(agent_id) AS newest FROM works_registered")
        return int(found[0]["newest"] or 0)

    def of_owner(self, account: str, limit: int = 100) -> list[int]:
        """Ids of the newest Works an account owns."""
        found = self.index.rows(
            f"SELECT DISTINCT f.token_id AS work_id FROM works_transfer f"  # noqa: S608  constants
            f' WHERE f."to" = ? AND {_OWNER.replace("f.work_id", "f.token_id")} = ?'
            " ORDER BY work_id DESC LIMIT ?",
            (account, account, limit),
        )
        return [int(row["work_id"]) for row in found]

    def of_payee(self, account: str, limit: int = 100) -> list[int]:
        """Ids of the newest Works whose files name an account among those who share."""
        found = self.index.rows(
            "SELECT work_id FROM work_payee WHERE payee = ? ORDER BY work_id DESC LIMIT ?", (account, limit)
        )
        return [int(row["work_id"]) for row in found]

    # inside

    def _is_rare(self, word: str) -> bool:
        counted = self.index.rows(
            "SELECT COUNT(*) AS n FROM (SELECT 1 AS one FROM work_word"
            " WHERE word >= ? AND word < ? LIMIT ?) few",
            (word, word + _LAST_CHARACTER, _RARE),
        )
        return int(counted[0]["n"]) < _RARE

    def _entries(self, work_ids: Sequence[int]) -> dict[int, Entry]:
        if not work_ids:
            return {}
        marks = ", ".join("?" * len(work_ids))
        found = self.index.rows(
            f"SELECT {_COLUMNS} FROM work_file f WHERE f.work_id IN ({marks}) AND {CURRENT}",  # noqa: S608
            tuple(work_ids),
        )
        return {int(row["work_id"]): _entry(row) for row in found}

    def _new_pairs(self, most: int) -> tuple[list[tuple[int, str]], bool, int | None]:
        """(Work, URI) pairs of events not looked at yet, oldest first; whether there are more; and the last
        block that need not be looked at again, where that moved."""
        known = self.index.rows("SELECT block_number FROM work_progress WHERE name = 'files'")
        start = int(known[0]["block_number"]) if known else -1
        found = self.index.rows(
            "SELECT * FROM ("
            " SELECT block_number, log_index, agent_id, agent_uri AS uri FROM works_registered"
            " WHERE block_number > ?"
            " UNION ALL SELECT block_number, log_index, agent_id, new_uri AS uri FROM works_uri_updated"
            " WHERE block_number > ?) e"
            " WHERE NOT EXISTS (SELECT 1 FROM work_file f WHERE f.work_id = e.agent_id AND f.uri = e.uri)"
            " ORDER BY block_number, log_index LIMIT ?",
            (start, start, most + 1),
        )
        pairs = [(int(row["agent_id"]), str(row["uri"])) for row in found[:most]]
        if len(found) > most:
            return pairs, True, None
        final = self.index.rows("SELECT MAX(number) AS number FROM block WHERE finalized")
        reached = int(final[0]["number"]) if final and final[0]["number"] is not None else -1
        return pairs, False, reached if reached > start else None

    def _keep(self, pairs: Sequence[tuple[int, str]], reached: int | None = None) -> None:
        now = int(self._clock())
        files, words, payees = [], [], []
        for work_id, uri in dict.fromkeys(pairs):
            state, registration = self._look(uri)
            files.append((work_id, uri, state, *_texts(registration), now))
            if registration is not None:
                words += [(word, work_id, uri) for word in _found_by(registration)]
                payees += [(payee, work_id) for payee in registration.shares or () if payee != OWNER]
        statements: list[tuple[str, Sequence[Sequence[Any]]]] = []
        if files:
            statements = [
                ("DELETE FROM work_file WHERE work_id = ? AND uri = ?", [row[:2] for row in files]),
                ("INSERT INTO work_file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", files),
                ("INSERT INTO work_word VALUES (?, ?, ?) ON CONFLICT DO NOTHING", words),
                ("INSERT INTO work_payee VALUES (?, ?) ON CONFLICT DO NOTHING", payees),
            ]
        if reached is not None:
            statements += [
                ("DELETE FROM work_progress WHERE name = 'files'", [()]),
                ("INSERT INTO work_progress VALUES ('files', ?)", [(reached,)]),
            ]
        if statements:
            self.notebook.keep([(sql, rows) for sql, rows in statements if rows])
            self._kinds = ("", {})

    def _look(self, uri: str) -> tuple[str, Registration | None]:
        try:
            return "read", self.family.file(uri).registration
        except NotFound:
            return "missing", None
        except (BadInput, IntegrityError):
            return "forged", None
        except KoinonError:  # the disk or the content network refuses today
            return "missing", None


def _texts(file: Registration | None) -> tuple[str, str, str, str, str]:
    if file is None:
        return "", "", "", "", ""
    return file.card.kind.strip().lower(), file.name, file.card.summary, file.description, file.image


def _found_by(file: Registration) -> list[str]:
    return index_words((file.name, file.card.kind, file.card.summary, file.description))


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(
        work_id=int(row["work_id"]),
        owner=str(row["owner"] or OWNER),
        uri=str(row["uri"]),
        state=str(row["state"]),
        kind=str(row["kind"]),
        name=str(row["name"]),
        summary=str(row["summary"]),
        description=str(row["description"]),
        image=str(row["image"]),
        published_at=int(row["published_at"] or 0),
    )
