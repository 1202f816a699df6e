# SPDX-License-Identifier: Apache-2.0
"""Long work that a page waits for: begun once, done one after another, told by its stage, found again."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Final, Literal

from koinon.errors import KoinonError, UsageError
from koinon.web import gettext

State = Literal["waiting", "running", "done", "failed"]
Tell = Callable[[str], None]
"""Says what is being done now, as a message id."""

KEPT: Final = 128
FIRST_S: Final = 0.3
"""The page that began it is answered first: one interpreter computes both."""
WAITING: Final = 32
_LOG: Final = logging.getLogger("koinon.lending")


@dataclass
class Errand:
    """One piece of work. ``value`` once it is done; ``message`` and ``hint`` where it failed; ``stage`` a
    message id; times in Unix seconds."""

    key: str
    state: State = "waiting"
    stage: str = ""
    value: Any = None
    message: str = ""
    hint: str = ""
    begun_at: float = field(default_factory=time.time)
    ended_at: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ("done", "failed")


class Errands:
    """The work of one console. Its thread ends with the process, whatever it is at."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Errand, Callable[[Tell], Any]]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Errand] = OrderedDict()

    def find(self, key: str) -> Errand | None:
        """What was begun under this key, if it is still remembered."""
        with self._lock:
            return self._kept.get(key)

    def begin(self, key: str, work: Callable[[Tell], Any], *, again: bool = False) -> Errand:
        """What was begun under this key, or begin it; ``again`` also where it is over. `UsageError` where too
        much waits already."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None and not (again and found.is_over):
                self._kept.move_to_end(key)
                return found
            if sum(not each.is_over for each in self._kept.values()) >= WAITING:
                raise UsageError(
                    gettext("This node has enough to compute at the moment."),
                    hint=gettext("Ask again in a minute."),
                    code="lending.busy",
                )
            errand = self._kept[key] = Errand(key)
            self._kept.move_to_end(key)
            over = [name for name, each in self._kept.items() if each.is_over]
            for old in over[: max(0, len(over) - KEPT)]:
                del self._kept[old]
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="lending errands", daemon=True)
                self._thread.start()
        self._queue.put((errand, work))
        return errand

    def _work(self) -> None:
        while True:
            self._run(*self._queue.get())

    @staticmethod
    def _run(errand: Errand, work: Callable[[Tell], Any]) -> None:
        time.sleep(FIRST_S)
        errand.state = "running"

        def tell(stage: str) -> None:
            errand.stage = stage

        ended: State = "failed"
        try:
            errand.value = work(tell)
            ended = "done"
        except KoinonError as fault:
            errand.message, errand.hint = fault.message, fault.hint
        except Exception as fault:
            _LOG.exception("errand %s failed", errand.key)
            errand.message = f"Something unforeseen went wrong ({type(fault).__name__})."
        errand.ended_at = time.time()
        errand.state = ended  # last: whoever sees it finds the rest
