# SPDX-License-Identifier: Apache-2.0
"""What is handed in and why it was judged so: blocks by their CID, sealed where the client asked for that.

On chain stands the SHA-256 of the block, which is its CID's digest. Blocks that were handed in here are noted
in a folder, so that this node's gateway gives them to whoever asks (sealed ones open for the client alone).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from koinon.errors import BadInput, KeyFault
from koinon.services.jobs.brief import Brief
from koinon.store import SealingIdentity, digest_of, seal
from koinon.store.cid import cid_from_digest
from koinon.works.catalogue import Blocks

LARGEST: Final = 1 << 20
"""Bytes of a block that is handed in: what gateways give each other."""

ROOM: Final = "commissions"
"""The room's folder in a data directory."""

IDENTITY: Final = "reading.age"
HANDED: Final = "handed"


def handed_in(data_dir: Path) -> Path:
    """Where a data directory notes which blocks it gives to whoever asks."""
    return data_dir / ROOM / HANDED


class Desk:
    """Blocks that go between the parties of jobs, for one data directory.

    Parameters
    ----------
    store : Blocks
    home : Path
        The room's folder: the key that opens what is sealed for this node, and notes of what it gives out.
    """

    def __init__(self, store: Blocks, home: Path) -> None:
        self._store, self._home = store, home

    def identity(self) -> SealingIdentity:
        """The reader that private work is sealed to; made when it is first asked for."""
        file = self._home / IDENTITY
        if not file.exists():
            made = SealingIdentity.generate()
            try:
                made.save(file)
            except KeyFault as fault:  # another process was faster
                if fault.code != "key.exists":
                    raise
        return SealingIdentity.load(file)

    def hand_in(self, content: bytes, brief: Brief) -> bytes:
        """Keep what a job asked for, sealed if it says so; the digest that goes on chain.

        The content of a private job is sealed anew each time, so a digest once on chain is not made again.
        BadInput for nothing, or more than `LARGEST` bytes.
        """
        if not content:
            raise BadInput("There is nothing to hand in.", hint="Name a file.", code="job.empty")
        return self._keep(seal(content, brief.readers) if brief.private else content)

    def say_why(self, reason: str) -> bytes:
        """Keep the reason of a judgement; the digest that goes on chain."""
        return self._keep(reason.encode())

    def open(self, digest: bytes, brief: Brief) -> bytes:
        """What was handed in under a digest, opened.

        Raises NotFound where nobody who is asked has it, KeyFault where it is sealed for another reader,
        IntegrityError where it should be sealed and is not.
        """
        block = self._store.get(cid_from_digest(digest))
        return self.identity().open(block) if brief.private else block

    def reason(self, digest: bytes) -> str:
        """The words behind a judgement's digest; NotFound where nobody who is asked has them."""
        return self._store.get(cid_from_digest(digest)).decode("utf-8", "replace")

    def give(self, content: bytes) -> str:
        """Keep a public block and give it out; its CID."""
        return cid_from_digest(self._keep(content))

    def _keep(self, block: bytes) -> bytes:
        if len(block) > LARGEST:
            raise BadInput(
                f"What is handed in has {len(block)} bytes; {LARGEST} are carried.",
                hint="Publish it as a Work or a sealed download, and hand in a note that names it.",
                code="job.size",
            )
        cid = self._store.put(block)
        note = self._home / HANDED / cid
        note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        note.touch(mode=0o600)
        return digest_of(cid)
