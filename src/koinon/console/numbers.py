# SPDX-License-Identifier: Apache-2.0
"""The start page's few numbers: counted off the way of any request, as counting a large index takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from koinon.errors import KoinonError

_FRESH_S: Final = 2.0
_SHARE_OF_TIME: Final = 20


@dataclass(frozen=True)
class Numbers:
    """What this network came to so far; ``paid_out`` in the coin's smallest unit."""

    works: int
    paid_out: int
    parties: int


class Counter:
    """Counts again when the chain has moved and the last count is old; meanwhile the last one holds.

    Counting takes at most a twentieth of the time.
    """

    def __init__(self, index: Any, coin: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._index, self._coin, self._clock = index, coin, clock
        self._lock = threading.Lock()
        self._last: Numbers | None = None
        self._head = ""
        self._again_at = float("-inf")

    def numbers(self, patience_s: float = 0.25) -> Numbers | None:
        """The last count; None where there is none yet. The first call waits a little for one."""
        if self._clock() >= self._again_at and self._lock.acquire(blocking=False):
            thread = threading.Thread(target=self._count, name="numbers", daemon=True)
            thread.start()
            thread.join(patience_s if self._last is None else 0.02)
        return self._last

    def _count(self) -> None:
        try:
            started = self._clock()
            self._again_at = started + _FRESH_S
            head = self._index.head()
            if head is None or head.text == self._head:
                return
            (found,) = self._index.rows(
                """SELECT (SELECT count(*) FROM works_registered) AS works,
                          (SELECT sum_uint(amount) FROM till_released WHERE token = ?) AS paid_out,
                          (SELECT count(DISTINCT receiver) FROM till_released) AS parties""",
                (self._coin,),
            )
            self._last = Numbers(int(found["works"]), int(found["paid_out"] or 0), int(found["parties"]))
            self._head = head.text
            now = self._clock()
            self._again_at = now + max(_FRESH_S, _SHARE_OF_TIME * (now - started))
        except KoinonError:
            self._again_at = self._clock() + _FRESH_S  # the index is being made; the last count holds
        finally:
            self._lock.release()
