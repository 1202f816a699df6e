# SPDX-License-Identifier: Apache-2.0
"""What a backup of a data directory consists of, read in an order that keeps it consistent while in use.

Whoever refers to something is copied before what it refers to: first gateways' journals and all other files,
then the chain, then content. So a voucher in the copy has its channel on the copied chain, and a Work on it
its file. Of a development chain the newest saved copy is taken and then its outbox, from which the blocks
since then are mined again after restoring (see `chain.replay`). Databases are copied by SQLite's own online
backup, everything else is replaced in one step by whoever writes it.

Left out: locks, logs, process numbers, half-written files, and the index, which is computed from the chain.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_DATABASES: Final = (".sqlite",)
_LEFT_OUT: Final = (".log", ".pid", ".lock", "-wal", "-shm", "-journal")
_STATES: Final = ("state.json", "checkpoint.json")
_DEVNET: Final = "devnet"
_BLOCKS: Final = "blocks"


@dataclass(frozen=True)
class Entry:
    """A file by its name in the backup, and where its bytes are; or a link to another file in the backup."""

    name: str
    source: Path
    link: str | None = None


def entries(home: Path, workroom: Path) -> Iterator[Entry]:
    """Everything to keep of ``home``. Copies of databases are made in ``workroom``, each gone after the next
    entry is asked for.

    Raises
    ------
    OSError, sqlite3.Error
        Something cannot be read, or there is no room for a copy.
    """
    chain, others = [], []
    for name, path in _walk(home, home):
        if name.startswith(f"{_DEVNET}/") or name == "outbox.sqlite":
            chain.append((name, path))
        elif not name.startswith(f"{_BLOCKS}/"):
            others.append((name, path))
    state = _newest_state(home / _DEVNET)
    chain = [each for each in chain if each[1].name not in _STATES or each[1].parent.name != _DEVNET]
    chain.sort(key=lambda each: each[1].suffix in _DATABASES)  # the outbox after what it completes
    for part in (others, [] if state is None else [(f"{_DEVNET}/state.json", state)], chain):
        for name, path in part:
            yield from _entry(home, name, path, workroom)
    # content that came while the chain was copied belongs to it
    for name, path in _walk(home, home / _BLOCKS) if (home / _BLOCKS).exists() else ():
        yield from _entry(home, name, path, workroom)


def _entry(home: Path, name: str, path: Path, workroom: Path) -> Iterator[Entry]:
    if path.is_symlink():
        yield Entry(name, path, os.path.relpath(path.resolve(), (home / name).parent.resolve()))
    elif path.suffix in _DATABASES:
        copy = workroom / "database"
        copy_database(path, copy)
        try:
            yield Entry(name, copy)
        finally:
            copy.unlink(missing_ok=True)
    elif path.exists():  # not gone meanwhile
        yield Entry(name, path)


def _walk(home: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Files and inner links below a folder; what lies elsewhere behind a link is taken along."""
    for path in sorted(folder.iterdir()):
        name = path.relative_to(home).as_posix()
        if _left_out(name, path):
            continue
        if path.is_symlink() and path.resolve().is_relative_to(home.resolve()):
            yield name, path
        elif path.is_dir():
            yield from _walk(home, path)
        elif path.is_file():
            yield name, path


def _left_out(name: str, path: Path) -> bool:
    return (
        path.name == "lock"
        or path.name.startswith(".")
        or path.name.endswith(_LEFT_OUT)
        or name in ("index.sqlite", f"{_DEVNET}/backups", f"{_DEVNET}/genesis.json")
    )


def _newest_state(devnet: Path) -> Path | None:
    found = [devnet / name for name in _STATES if (devnet / name).is_file()]
    return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)


def copy_database(path: Path, copy: Path) -> None:
    """A database as of one moment, while others write to it."""
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_CREAT | os.O_WRONLY, 0o600))
    source, target = sqlite3.connect(path, timeout=60), sqlite3.connect(copy)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()
