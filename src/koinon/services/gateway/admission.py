# SPDX-License-Identifier: Apache-2.0
"""Who may come in: as many calls at once as a service can do, a queue with an end, a rate for each payer.

Asked once a payment is known to be genuine, so that nobody uses up another's rate; whoever is turned away is
charged nothing.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from koinon.errors import PeerError, UsageError

PAYERS_KEPT: Final = 65_536
BURST_S: Final = 1.0
"""Of a payer's rate, what may come at once."""


class Busy(PeerError):
    """A service that has too much to do: HTTP 503 with Retry-After."""

    code = "service.busy"
    http_status = 503

    def __init__(self, message: str = "The service is busy.", retry_after_s: float = 1.0) -> None:
        super().__init__(message, hint="Try again in a moment; nothing was charged.")
        self.retry_after_s = retry_after_s


class TooOften(UsageError):
    """A payer that calls more often than it may: HTTP 429 with Retry-After."""

    code = "service.too_often"
    http_status = 429

    def __init__(self, most: int, retry_after_s: float) -> None:
        super().__init__(
            f"This payer calls more than {most} times a minute.",
            hint="Wait as long as Retry-After says; nothing was charged.",
        )
        self.retry_after_s = retry_after_s


class Admission:
    """The door of one service. For one thread.

    Parameters
    ----------
    at_once : int
        Calls that run at once; 0 for any number.
    of_one_payer : int
        Of these and of those that wait, at most so many of one payer; 0 for any number.
    waiting : int
        Calls that may wait for their turn.
    wait_s : float
        How long one waits.
    calls_per_minute : int
        Of one payer; 0 for any number. A second's worth may come at once.
    clock : callable
        Seconds.
    """

    def __init__(
        self,
        *,
        at_once: int = 0,
        of_one_payer: int = 0,
        waiting: int = 256,
        wait_s: float = 30.0,
        calls_per_minute: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_once = at_once
        self._of_one_payer = of_one_payer
        self._waiting = waiting
        self._wait_s = wait_s
        self._per_minute = calls_per_minute
        self._clock = clock
        self._running = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._inside: Counter[str] = Counter()
        self._tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def running(self) -> int:
        """Calls inside."""
        return self._running

    @property
    def free(self) -> bool:
        """Whether nothing is limited here, so that nobody need ask."""
        return not (self._at_once or self._of_one_payer or self._per_minute)

    @asynccontextmanager
    async def enter(self, payer: str) -> AsyncIterator[None]:
        """While one call runs. Raises Busy or TooOften."""
        if self._of_one_payer and self._inside[payer] >= self._of_one_payer:
            raise Busy("This payer has as many calls running as it may.")
        self._take_token(payer)
        self._inside[payer] += 1
        try:
            await self._turn()
            try:
                yield
            finally:
                self._leave()
        finally:
            self._inside[payer] -= 1
            if not self._inside[payer]:
                del self._inside[payer]

    async def _turn(self) -> None:
        if not self._at_once or (self._running < self._at_once and not self._queue):
            self._running += 1
            return
        if len(self._queue) >= self._waiting:
            raise Busy()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await asyncio.wait_for(turn, self._wait_s)
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._leave()  # its turn came as it went away
            elif turn in self._queue:
                self._queue.remove(turn)
            if isinstance(error, TimeoutError):
                raise Busy() from None
            raise

    def _leave(self) -> None:
        self._running -= 1
        while self._queue and self._running < self._at_once:
            turn = self._queue.popleft()
            if not turn.done():
                self._running += 1
                turn.set_result(None)

    def _take_token(self, payer: str) -> None:
        if not self._per_minute:
            return
        rate = self._per_minute / 60
        most = max(1.0, rate * BURST_S)
        now = self._clock()
        left, at = self._tokens.pop(payer, (most, now))
        left = min(most, left + max(0.0, now - at) * rate)
        if left >= 1:
            left -= 1
            refused = False
        else:
            refused = True
        self._tokens[payer] = (left, now)
        if len(self._tokens) > PAYERS_KEPT:
            self._tokens.popitem(last=False)
        if refused:
            raise TooOften(self._per_minute, math.ceil((1 - left) / rate))
