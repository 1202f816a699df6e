# SPDX-License-Identifier: Apache-2.0
"""Backing up a data directory while it is in use, and restoring it somewhere else."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from koinon.backup.archive import Manifest, Secret, read, unlock, write
from koinon.backup.snapshot import entries
from koinon.errors import NotFound, SetupError


def back_up(home: Path, file: Path, secret: Secret, *, now: Callable[[], float] = time.time) -> Manifest:
    """Write everything in the data directory ``home`` to one new encrypted file, readable by its owner only.

    It may be in use: see `snapshot` for what "at one moment" means. The file appears whole or not at all.

    Raises
    ------
    NotFound
        There is no data directory.
    SetupError
        ``backup.exists``: the file is there already; ``backup.write``: it cannot be written, or the data
        directory cannot be read.
    BadInput
        See `archive.write`.
    """
    if not home.is_dir():
        raise NotFound(
            f"There is no data directory at {home}.", hint="Set KOINON_HOME.", code="backup.no_home"
        )
    if file.exists():
        raise SetupError(
            f"{file} exists already.", hint="Choose another name, or move it away.", code="backup.exists"
        )
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with (
            _no_traces(temporary),
            tempfile.TemporaryDirectory(prefix=".koinon-backup-", dir=file.absolute().parent) as workroom,
        ):
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as target:
                manifest = write(target, entries(home, Path(workroom)), secret, int(now()))
                target.flush()
                os.fsync(target.fileno())
            temporary.rename(file)
    except (OSError, sqlite3.Error) as error:
        raise SetupError(
            f"The backup {file} could not be written: {error}.",
            hint="Make room on the disk, or choose another place; no file was left behind.",
            code="backup.write",
        ) from error
    return manifest


def restore(file: Path, home: Path, secret: Secret) -> Manifest:
    """Make ``home``, which must not exist or be empty, what a backup holds.

    The whole file is read and checked before anything is written, and the directory appears in one step.

    Raises
    ------
    NotFound
        There is no such file.
    SetupError
        ``backup.not_empty``: something is in ``home``; ``backup.write``: it cannot be written.
    IntegrityError, KeyFault
        See `archive.unlock` and `archive.read`.
    """
    _check_empty(home)
    try:
        with file.open("rb") as source:
            identity = unlock(source, secret)
            start = source.tell()
            read(source, identity)
            source.seek(start)
            home.parent.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(prefix=f".{home.name}-", dir=home.parent))
            with _no_traces(fresh):
                manifest = read(source, identity, fresh)
                _check_empty(home)
                if home.exists():
                    home.rmdir()
                fresh.rename(home)
    except FileNotFoundError:
        raise NotFound(f"There is no backup at {file}.", code="backup.no_file") from None
    except OSError as error:
        raise SetupError(
            f"{home} could not be restored: {error.strerror or error}.",
            hint="Make room on the disk, or choose another folder; nothing was left behind.",
            code="backup.write",
        ) from error
    return manifest


def _check_empty(home: Path) -> None:
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise SetupError(
            f"{home} is not empty, and a backup is never restored over anything.",
            hint="Choose a new folder: koinon restore FILE --home FOLDER.",
            code="backup.not_empty",
        )


@contextmanager
def _no_traces(path: Path) -> Iterator[None]:
    """Whatever happens, nothing half done stays at this path."""
    try:
        yield
    finally:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
