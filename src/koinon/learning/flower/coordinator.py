# SPDX-License-Identifier: Apache-2.0
"""A ServerApp's lines to the coordinator, which records and pays: one HTTPS connection an owner."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from koinon.chain.eip712 import Domain
from koinon.learning.connection import HttpsTransport
from koinon.learning.global_model import model_limit
from koinon.learning.recipe import Recipe


class Coordinator:
    """Hands owners' frames over; each answer comes when the run is that far, so they are futures.

    Parameters
    ----------
    url, opener, domain, run_id
        As for `HttpsTransport`.
    """

    def __init__(self, url: str, opener: str, domain: Domain, run_id: int) -> None:
        self.opener, self.domain, self.run_id = opener, domain, run_id
        self._url = url
        with self._open() as line:
            self.recipe: Recipe = line.offer()[1]
            self.invitation = line.invitation
        self._limit = model_limit(self.recipe) + (1 << 14) + 256 * len(self.recipe.columns)
        self._lines: dict[str, HttpsTransport] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._pool = ThreadPoolExecutor(max_workers=256, thread_name_prefix="coordinator")

    def send(self, owner: str, path: str, frame: bytes) -> Future[bytes]:
        """POST an owner's frame, after those before it; the future holds the answer or its PeerError."""
        lock = self._locks.setdefault(owner, threading.Lock())
        return self._pool.submit(self._send, owner, lock, path, frame)

    def check(self) -> None:
        """PeerError where the coordinator is no more."""
        with self._open() as line:
            line.offer()

    def close(self) -> None:
        """Hang up."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for line in self._lines.values():
            line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, owner: str, lock: threading.Lock, path: str, frame: bytes) -> bytes:
        with lock:
            line = self._lines.get(owner)
            if line is None:
                line = self._open()
                line.offer()
                self._lines[owner] = line
            return line.send(path, frame, answer_limit=self._limit)

    def _open(self) -> HttpsTransport:
        return HttpsTransport(self._url, self.opener, self.domain, self.run_id, timeout_s=86_400)
