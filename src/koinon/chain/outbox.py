# SPDX-License-Identifier: Apache-2.0
"""Where signed transactions wait until they are mined."""

from __future__ import annotations

import threading
from typing import Protocol


class Outbox(Protocol):
    """Signed transactions, kept from before they are sent until they are mined, so that a crash on either
    side loses nothing: sending the same bytes again is harmless."""

    def record(self, raw: bytes, nonce: int) -> None:
        """Keep a signed transaction; returns once it is safe."""

    def forget(self, raw: bytes) -> None:
        """It was mined, or can never be."""

    def waiting(self) -> list[bytes]:
        """Signed transactions not yet forgotten, in the order of their nonces."""


class MemoryOutbox:
    """An outbox that lives as long as the process."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def record(self, raw: bytes, nonce: int) -> None:
        """Keep a signed transaction."""
        with self._lock:
            self._waiting[raw] = nonce

    def forget(self, raw: bytes) -> None:
        """Drop it; unknown ones are ignored."""
        with self._lock:
            self._waiting.pop(raw, None)

    def waiting(self) -> list[bytes]:
        """In the order of their nonces."""
        with self._lock:
            return sorted(self._waiting, key=lambda raw: self._waiting[raw])
