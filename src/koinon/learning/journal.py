# SPDX-License-Identifier: Apache-2.0
"""What an owner's process must not forget of a run when it is killed: how it joined, and what it has taught.

A round of a private recipe is taught once. Taught again after a crash, for a leader that asks for it or has
brought the crash about, the two answers would differ by what the noise and the masks were to hide. So a round
is written down, on the disk, before anything of it is sent.
"""

from __future__ import annotations

import fcntl
import hashlib
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import orjson

from koinon.chain.eip712 import Domain
from koinon.chain.keys import write_private
from koinon.errors import BadInput, IntegrityError
from koinon.learning.messages import Offer

FOLDER: Final = "taught"


class Journal:
    """One owner's memory of one run; one process at a time may hold it.

    A run that no chain numbers is told from others by the leader's certificate.

    Parameters
    ----------
    home : Path, optional
        The owner's folder; without one the memory ends with the process.
    owner : str
        Its address.

    Raises
    ------
    BadInput
        Another process takes part in the run as this owner.
    IntegrityError
        The file is damaged, so that nobody knows what was taught.

    Attributes
    ----------
    deadline : int
        When the permission it joined with ends, in seconds since 1970; 0 before it joined.
    taught : int
        The last round it has begun to teach; 0 before the first.
    """

    def __init__(self, home: Path | None, domain: Domain, offer: Offer, owner: str) -> None:
        self.deadline, self.taught = 0, 0
        self._lock: IO[bytes] | None = None
        self._path: Path | None = None
        if home is not None:
            folder = home / FOLDER
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            name = _name(domain, offer, owner)
            self._path, self._lock = folder / f"{name}.json", (folder / f"{name}.lock").open("ab")
            self._take()
            self._read()

    def join(self, deadline: int) -> int:
        """Take part until ``deadline``, or until the one it first joined with, which is returned."""
        if not self.deadline:
            self.deadline = deadline
            self._write()
        return self.deadline

    def begin(self, number: int) -> bool:
        """Write down that round ``number`` is taught from now on; False where it, or a later one, was."""
        if number <= self.taught:
            return False
        self.taught = number
        self._write()
        return True

    def close(self) -> None:
        """Let another process go on."""
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> None:
        if self._lock is None:
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise BadInput(
                "Another process takes part in this run as this owner.",
                hint="Wait for it to end, or stop it.",
                code="learning.journal_held",
            ) from error

    def _read(self) -> None:
        if self._path is None or not self._path.exists():
            return
        try:
            found = orjson.loads(self._path.read_bytes())
            self.deadline, self.taught = _count(found["deadline"]), _count(found["taught"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.close()
            raise IntegrityError(
                f"What this owner has taught cannot be read from {self._path}.",
                hint="Take part in the next run; in this one a round might be taught twice.",
                code="learning.journal",
            ) from error

    def _write(self) -> None:
        if self._path is not None:
            write_private(self._path, orjson.dumps({"deadline": self.deadline, "taught": self.taught}))


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("number")
    return value


def _name(domain: Domain, offer: Offer, owner: str) -> str:
    told = f"{domain.chain_id} {domain.verifying_contract} {offer.run_id} {owner}".lower().encode()
    certificate = b"" if domain.chain_id else offer.certificate
    return hashlib.sha256(told + b" " + certificate + offer.recipe).hexdigest()[:32]
