# SPDX-License-Identifier: Apache-2.0
"""The provider's clerk: gathers signed answers into batches, submits them, shows them to whoever checks, and
tells the registry which were not disputed.

``python -m koinon.services.verification.clerk CONFIG.json``; see `process.run_config`. Fields: ``data_dir``
(the gateway's), ``bond_id``, ``details`` and ``file`` (what the promise is about, kept by `Checking.bond`),
``url`` (what the promise says; where others reach it), ``host``, ``port``, ``batch_every_s``,
``most_answers``. The key is the promiser's.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.errors import BadInput, NotFound, TransactionFailed
from koinon.process import Say
from koinon.services.verification.contract import BatchVerdict, Verification
from koinon.services.verification.details import Details
from koinon.services.verification.process import run_config
from koinon.services.verification.record import AnswerTree
from koinon.services.verification.showing import Showing
from koinon.services.verification.store import AnswerStore, KeptBatch

KEEP_S: Final = 30 * 86_400
"""How long answers are kept after their window: as long as a dispute about them may take."""

SKEW_S: Final = 30
"""How far this machine's clock may be ahead of the chain's."""


@dataclass(frozen=True)
class ClerkOptions:
    """How a clerk works: see the top of this file. Answers wait at most ``batch_every_s``; a batch holds at
    most ``most_answers``."""

    bond_id: int
    url: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    batch_every_s: float = 60.0
    most_answers: int = 65_536


class Clerk:
    """See the top of this file.

    Parameters
    ----------
    chain : Chain
    promiser : Account
    store : AnswerStore
    options : ClerkOptions
    details, file : bytes
        The promise's document, and what runs.
    """

    def __init__(
        self,
        chain: Chain,
        promiser: Account,
        store: AnswerStore,
        options: ClerkOptions,
        *,
        details: bytes,
        file: bytes,
        say: Say = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._chain, self._promiser, self._store, self._options = chain, promiser, store, options
        self._verification = Verification(chain)
        self.promise = self._verification.promise_of(options.bond_id)
        self._details, self._file, self._say, self._clock = details, file, say, clock
        if hashlib.sha256(details).digest() != self.promise.terms.details:
            raise BadInput(
                f"These details are not those that bond {options.bond_id} promises.",
                hint="Use the folder in which the bond was posted.",
                code="verification.details",
            )
        self._open = Details.from_bytes(details).audits == "open"
        self._showing = Showing(self.show, host=options.host, port=options.port)
        self.url = options.url or self._showing.url

    def ready(self) -> dict[str, Any]:
        return {"url": self._showing.url, "bond_id": self._options.bond_id}

    def close(self) -> None:
        self._showing.close()
        self._store.close()

    def show(self, path: str) -> bytes:
        """What is at a path: details, the file, an answer of a batch, or where an answer is."""
        kind, *names = path.strip("/").split("/")
        if kind == "details" and names == [hashlib.sha256(self._details).hexdigest()]:
            return self._details
        if kind == "files" and names == [hashlib.sha256(self._file).hexdigest()]:
            return self._file
        if (
            kind == "evidence"
            and len(names) == 2
            and names[1].isdecimal()
            and len(names[1]) < 19
            and self._open
        ):
            return orjson.dumps(self._store.evidence(_digest(names[0]), int(names[1])).to_json())
        if kind == "answers" and len(names) == 1:
            return orjson.dumps(self._store.place(_digest(names[0])).to_json())
        raise NotFound("There is nothing at this address.", code="verification.nothing_here")

    def step(self) -> None:
        """Submit what waits, tell what is over, forget what nobody can dispute."""
        self._resume()
        # Answers are dated by the gateway's clock, which may be ahead of the chain's.
        now = max(self._chain.next_timestamp(), int(self._clock()))
        count, oldest = self._store.waiting(self._options.bond_id)
        if count and (count >= self._options.most_answers or now >= oldest + self._options.batch_every_s):
            self._submit()
        for batch in self._store.over(self._options.bond_id, now - SKEW_S):
            self._tell(batch)
        self._store.forget(now - KEEP_S)

    def _submit(self) -> None:
        bond_id = self._options.bond_id
        waiting = self._store.waiting_digests(bond_id, self._options.most_answers)
        root, salt = AnswerTree([digest for _, digest in waiting]).root, secrets.token_bytes(32)
        request = self._verification.batch_request(bond_id, root, len(waiting), salt)
        batch = KeptBatch(request, bond_id, root, len(waiting), salt, None)
        self._store.gather(batch, [number for number, _ in waiting])
        self._send(batch)

    def _resume(self) -> None:
        """Send batches that were written down, and perhaps sent, before this process ended."""
        for batch in self._store.unsent(self._options.bond_id):
            try:
                found = self._verification.batch(batch.request)
            except NotFound:
                self._send(batch)
            else:
                self._store.sent(batch.request, found.open_until)

    def _send(self, batch: KeptBatch) -> None:
        self._verification.submit(
            self._promiser, batch.bond_id, batch.root, batch.count, batch.salt, uri=self.url
        )
        open_until = self._verification.batch(batch.request).open_until
        self._store.sent(batch.request, open_until)
        self._say(
            {
                "event": "submitted",
                "request": batch.request.hex(),
                "answers": batch.count,
                "open_until": open_until,
            }
        )

    def _tell(self, batch: KeptBatch) -> None:
        found = self._verification.batch(batch.request)
        if found.verdict is BatchVerdict.NONE and found.disputes:
            return
        if found.verdict is BatchVerdict.NONE:
            try:
                self._verification.pass_softly(self._promiser, batch.request)
            except TransactionFailed:
                if self._verification.batch(batch.request).verdict is BatchVerdict.NONE:
                    raise
            self._say({"event": "passed", "request": batch.request.hex()})
        self._store.told(batch.request)


def make(chain: Chain, key: Account, config: dict[str, Any], say: Say) -> Clerk:
    """The clerk that a configuration describes."""
    details, file = (Path(config.pop(name)).read_bytes() for name in ("details", "file"))
    store = AnswerStore(Path(config.pop("data_dir")))
    try:
        return Clerk(chain, key, store, ClerkOptions(**config), details=details, file=file, say=say)
    except BaseException:
        store.close()
        raise


def _digest(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise BadInput("A digest is 64 hexadecimal digits.", code="verification.digest")
    return found


if __name__ == "__main__":
    sys.exit(run_config(Path(sys.argv[1]), make))
