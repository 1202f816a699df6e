# SPDX-License-Identifier: Apache-2.0
"""Blocks on this machine's disk, each in a file named by its CID and checked whenever it is read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from koinon.errors import IntegrityError, NotFound, SetupError
from koinon.store.cid import cid_of, digest_of


class Store(Protocol):
    """Anything that keeps bytes by their CID: this folder, or a content network's node."""

    def put(self, data: bytes) -> str: ...

    def get(self, cid: str) -> bytes: ...

    def has(self, cid: str) -> bool: ...

    def cids(self) -> Iterator[str]: ...


class BlockStore:
    """A folder of blocks, spread over 1,024 subfolders by the last two characters of the CID.

    A block appears whole or not at all (written beside, synced, renamed), so any number of processes may
    share the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, data: bytes) -> str:
        """Keep ``data``; returns its CID. Raises SetupError when the disk refuses."""
        cid = cid_of(data)
        file = self._file(cid)
        try:
            if file.exists() and cid_of(file.read_bytes()) == cid:
                return cid
            _write(file, data)
        except OSError as error:
            raise SetupError(
                f"A block of {len(data)} bytes could not be written to {self.path} ({error.strerror}).",
                hint="Free some space, or give the folder to this user.",
                code="store.write",
            ) from error
        return cid

    def get(self, cid: str) -> bytes:
        """The bytes of ``cid``. Raises NotFound without them, IntegrityError when the file holds others."""
        digest_of(cid)
        try:
            data = self._file(cid).read_bytes()
        except FileNotFoundError:
            raise NotFound(
                f"The block {cid} is not in this store.",
                hint="Fetch it from whoever published it.",
                code="store.missing",
            ) from None
        except OSError as error:
            raise SetupError(
                f"The block {cid} could not be read ({error.strerror}).",
                hint=f"Give {self.path} to this user.",
                code="store.read",
            ) from error
        if cid_of(data) != cid:
            raise IntegrityError(
                f"The block {cid} was changed on disk.",
                hint=f"Delete {self._file(cid)} and fetch the block again; check the disk.",
                code="store.corrupt",
            )
        return data

    def has(self, cid: str) -> bool:
        """Whether there is a block under this CID (its bytes are checked when read)."""
        digest_of(cid)
        return self._file(cid).is_file()

    def cids(self) -> Iterator[str]:
        """Every CID here, in order."""
        yield from sorted(file.name for file in self.path.glob("??/b*") if file.is_file())

    def _file(self, cid: str) -> Path:
        return self.path / cid[-2:] / cid


def _write(file: Path, data: bytes) -> None:
    """Write so that after a crash the file is there whole or not there."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".", dir=file.parent)  # owner only
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
