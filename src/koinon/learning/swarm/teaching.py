# SPDX-License-Identifier: Apache-2.0
"""A peer's own updates: taught beside everything else, written down before anybody sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from koinon.chain.eip712 import Domain
from koinon.chain.keys import Key
from koinon.learning.local import LocalLearner
from koinon.learning.messages import LocalUpdate, payload_digest
from koinon.learning.models.base import Vector
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling
from koinon.learning.swarm.journal import Journal
from koinon.tables import Table


class Teaching:
    """Trains on one table in a thread of its own.

    Parameters
    ----------
    member : int
        The peer's place among those who teach: it decides the seeds.
    done : callable
        Called in that thread when an update is ready.
    """

    def __init__(
        self,
        recipe: Recipe,
        table: Table,
        scaling: Scaling,
        member: int,
        *,
        key: Key,
        domain: Domain,
        run_id: int,
        journal: Journal,
        done: Callable[[], None],
    ) -> None:
        self._key, self._domain, self._run_id = key, domain, run_id
        self._journal, self._done, self._rows = journal, done, len(table)
        self._recipe, self._table, self._scaling, self._member = recipe, table, scaling, member
        self._learner, self._taught = self.learner(), (0, b"")
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="swarm teaching")
        self._place: tuple[int, bytes] | None = None
        self._result: Future[bytes] | None = None

    def frame(self, number: int, models: Mapping[int, bytes], vector: Vector) -> bytes | None:
        """The update of round ``number``, which begins with ``vector``; None while it is being taught.

        ``models`` are the digests after each round. Errors of training are raised here.
        """
        base = models[number - 1]
        signed = self._journal.signed(number, base)
        if signed is not None:
            return signed.frame
        if self._place != (number, base):
            if self._result is not None and not self._result.done():
                return None  # of a round that is over: one at a time
            self._place = (number, base)
            self._result = self._pool.submit(self._teach, number, dict(models), vector.copy())
            self._result.add_done_callback(self._ready)
        elif self._result is not None and self._result.done():
            return self._result.result()
        return None

    def learner(self) -> LocalLearner:
        """One that has taught nothing yet."""
        return LocalLearner(self._recipe, self._table, self._scaling, self._member)

    def close(self) -> None:
        """Teach nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ready(self, _: Future[Any]) -> None:
        self._done()

    def _teach(self, number: int, models: Mapping[int, bytes], vector: Vector) -> bytes:
        base = models[number - 1]
        with np.errstate(all="ignore"):
            self._remember(number, models)
            payload, _ = self._learner.teach(vector, number)
        message = LocalUpdate(
            self._run_id, number, self._key.address, base, payload_digest(payload), self._rows
        )
        frame = message.pack(self._key, self._domain, payload)
        self._journal.sign(number, base, frame, self._learner.snapshot())
        self._taught = (number, base)
        return frame

    def _remember(self, number: int, models: Mapping[int, bytes]) -> None:
        """Bring the learner to where it was after the last round it taught on this course."""
        for earlier in range(number - 1, 0, -1):
            if self._taught == (earlier, models[earlier - 1]):
                return
            signed = self._journal.signed(earlier, models[earlier - 1])
            if signed is not None:
                self._learner = self.learner()
                self._learner.restore(signed.memory)
                return
        if self._taught[0]:
            self._learner = self.learner()
