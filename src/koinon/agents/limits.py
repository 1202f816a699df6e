# SPDX-License-Identifier: Apache-2.0
"""How much one may ask of a host of agents, so that nobody's flood drowns the others."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_NAMES: Final = 65_536


@dataclass(frozen=True)
class Limits:
    """Bounds of a host.

    Attributes
    ----------
    sender_per_s, sender_burst : float
        Envelopes that one account may hand in, on average and at once.
    host_per_s, host_burst : float
        Envelopes that one network address may bring, before anybody looks at their signatures.
    mailbox : int
        Messages that wait for one agent; senders that are no Work fill at most half of it.
    mailbox_share : int
        Those of them that are of one sender.
    outbox : int
        Messages of one agent that wait for being delivered.
    """

    sender_per_s: float = 2_000.0
    sender_burst: float = 4_000.0
    host_per_s: float = 10_000.0
    host_burst: float = 20_000.0
    mailbox: int = 10_000
    mailbox_share: int = 2_000
    outbox: int = 10_000


class RateLimit:
    """A bucket of tokens for each name; the latest 65,536 names are remembered."""

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, tokens: float = 1.0) -> bool:
        """Whether the name had so many left; if so they are taken."""
        now = self._clock()
        left, at = self._left.pop(name, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_s)
        enough = left >= tokens
        self._left[name] = (left - tokens if enough else left, now)
        if len(self._left) > _NAMES:
            self._left.popitem(last=False)
        return enough
