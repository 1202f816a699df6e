# SPDX-License-Identifier: Apache-2.0
"""Dead letters of a folder's agents: looked at, tried again, thrown away, while their host runs or not.

One that is to be tried again is put aside in the mailboxes' file; the host takes up what is there each
second, or when it starts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from koinon.agents.host import MAILBOXES
from koinon.agents.mailbox import DeadLetter, bring_back, read_dead
from koinon.errors import NotFound, SetupError

_PATIENCE_S: Final = 10.0


def dead_letters(folder: Path, agent: str = "", limit: int = 100) -> list[DeadLetter]:
    """The newest dead letters of a folder, or of one agent's (its address as text)."""
    if not (folder / MAILBOXES).exists():
        return []
    with _open(folder) as database:
        return read_dead(database, limit, agent)


def letter_of(folder: Path, number: int, agent: str = "") -> DeadLetter:
    """One of them, by its number; NotFound where there is none, or it is another agent's."""
    if (folder / MAILBOXES).exists():
        with _open(folder) as database:
            for row in database.execute("SELECT * FROM dead WHERE number = ?", (number,)):
                if agent in ("", row[1]):
                    return DeadLetter.read(row)
    raise NotFound(
        f"There is no dead letter {number}.",
        hint="See which there are: koinon agent letters",
        code="agents.no_letter",
    )


def retry(folder: Path, number: int, agent: str = "") -> None:
    """Have one tried again; errors as in `letter_of`."""
    letter_of(folder, number, agent)
    with _open(folder) as database:
        bring_back(database, number)


def drop(folder: Path, number: int, agent: str = "") -> None:
    """Throw one away; errors as in `letter_of`."""
    letter_of(folder, number, agent)
    with _open(folder) as database:
        database.execute("DELETE FROM dead WHERE number = ?", (number,))


@contextmanager
def _open(folder: Path) -> Iterator[sqlite3.Connection]:
    place = f"{(folder / MAILBOXES).as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(place, uri=True, timeout=_PATIENCE_S)) as database, database:
            yield database
    except sqlite3.Error as error:
        raise SetupError(
            f"The mailboxes in {folder} cannot be opened: {error}.", code="agents.mailboxes"
        ) from error
