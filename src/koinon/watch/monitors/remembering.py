# SPDX-License-Identifier: Apache-2.0
"""Memory of a fixed size: what was not used for longest is forgotten first."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

MOST: Final = 50_000
"""Keys that one `Recent` keeps."""


class Recent(Generic[K, V]):
    """A mapping that forgets. ``make`` gives the value of a key that is new."""

    def __init__(self, make: Callable[[], V], most: int = MOST) -> None:
        self._make, self._most = make, most
        self._kept: OrderedDict[K, V] = OrderedDict()

    def __getitem__(self, key: K) -> V:
        if key not in self._kept:
            self[key] = self._make()
        self._kept.move_to_end(key)
        return self._kept[key]

    def __setitem__(self, key: K, value: V) -> None:
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def __contains__(self, key: K) -> bool:
        return key in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K) -> V | None:
        """The value; None where it is new or forgotten."""
        return self[key] if key in self._kept else None


class Window(Generic[T]):
    """What happened in the last ``seconds``, at most ``most`` things."""

    def __init__(self, seconds: int, most: int = 1_000) -> None:
        self._seconds = seconds
        self._kept: deque[tuple[int, T]] = deque(maxlen=most)

    def add(self, timestamp: int, value: T) -> None:
        """One thing more; timestamps never go back."""
        self._kept.append((timestamp, value))
        self.forget(timestamp)

    def forget(self, timestamp: int) -> None:
        """Drop what is older than the window at a time."""
        while self._kept and timestamp - self._kept[0][0] > self._seconds:
            self._kept.popleft()

    def __iter__(self) -> Iterator[T]:
        return (value for _, value in self._kept)

    def __len__(self) -> int:
        return len(self._kept)


class Peak:
    """The greatest value that held at some time of the last ``seconds``."""

    def __init__(self, seconds: int, most: int = 1_000) -> None:
        self._seconds, self._most = seconds, most
        self._kept: deque[tuple[int, float]] = deque()  # (until when it held, value), values falling
        self._now: float | None = None

    def add(self, timestamp: int, value: float) -> float:
        """The value from now on; the peak of the window that ends now."""
        kept, last = self._kept, self._now
        if last is not None:
            while kept and kept[-1][1] <= last:
                kept.pop()
            kept.append((timestamp, last))
            if len(kept) > self._most:
                kept.popleft()
        while kept and timestamp - kept[0][0] > self._seconds:
            kept.popleft()
        self._now = value
        return max(kept[0][1], value) if kept else value
