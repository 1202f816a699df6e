# SPDX-License-Identifier: Apache-2.0
"""Who said what to whom lately, read from a host's mailboxes while it runs."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final
from uuid import UUID

from koinon.agents.address import Address
from koinon.agents.envelope import Envelope
from koinon.agents.host import MAILBOXES
from koinon.agents.mailbox import KEPT

_BOXES: Final = (
    "SELECT number, id, name, at, envelope, IIF(done IS NULL, 'waiting', 'done'), 0, '' FROM inbox",
    "SELECT number, id, name, at, envelope, IIF(done IS NULL, 'waiting', 'done'), 1, '' FROM outbox",
    "SELECT number, id, name, at, envelope, 'dead', outgoing, why FROM dead",
)


@dataclass(frozen=True)
class Message:
    """One message. ``at`` in Unix seconds it was accepted, or sent where ``outgoing``; ``state`` waiting,
    done or dead, then with ``why``; ``size`` of its payload in bytes."""

    id: str
    name: str
    at: float
    sender: Address
    target: Address
    session: str
    state: str
    outgoing: bool
    size: int
    why: str


@dataclass(frozen=True)
class Flow:
    """The newest messages, newest first, and how many of them went from whom to whom."""

    messages: tuple[Message, ...]

    @property
    def ways(self) -> Counter[tuple[Address, Address]]:
        """(sender, target) to number; messages to oneself left out."""
        return Counter((x.sender, x.target) for x in self.messages if x.sender != x.target)


def read_flow(folder: Path, agent: Address | None = None, limit: int = 100) -> Flow:
    """The flow of a folder's host, or what one agent sent and was sent; empty where nothing was ever said."""
    path = folder / MAILBOXES
    if not path.exists():
        return Flow(())
    most = limit if agent is None else KEPT  # who sent a message stands in its envelope alone
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as database:
        try:
            rows: list[tuple[int, bytes, str, float, bytes, str, int, str]] = []
            for source in _BOXES:
                rows += database.execute(f"{source} ORDER BY at DESC, number DESC LIMIT ?", (most,))
        except sqlite3.OperationalError:
            return Flow(())  # its host has only just made the file
    rows.sort(key=lambda row: (row[3], row[0]), reverse=True)
    boxed = {row[1] for row in rows if not row[6]}  # what waited on its way within this host is in both boxes
    messages = (_message(row) for row in rows if not row[6] or row[1] not in boxed)
    wanted = (x for x in messages if agent is None or agent in (x.sender, x.target))
    return Flow(tuple(islice(wanted, limit)))


def reply_to(folder: Path, session: UUID, target: Address) -> tuple[str, bytes] | None:
    """The newest message that an agent of a folder's host sent to ``target`` in a conversation, on its way or
    given up: its type's name and its payload; None where there is none yet."""
    path = folder / MAILBOXES
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as database:
        for source in ("outbox", "dead WHERE outgoing"):
            rows = database.execute(
                f"SELECT name, envelope FROM {source} ORDER BY number DESC LIMIT ?",  # noqa: S608  (our own names)
                (KEPT,),
            )
            for name, content in rows:
                envelope = Envelope.from_bytes(content)
                if (envelope.session, envelope.target) == (session, target):
                    return str(name), envelope.payload
    return None


def _message(row: tuple[int, bytes, str, float, bytes, str, int, str]) -> Message:
    _number, identity, name, at, content, state, outgoing, why = row
    envelope = Envelope.from_bytes(content)
    return Message(
        identity.hex(),
        name,
        at,
        envelope.sender,
        envelope.target,
        envelope.session.hex,
        state,
        bool(outgoing),
        len(envelope.payload),
        why,
    )
