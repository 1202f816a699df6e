# SPDX-License-Identifier: Apache-2.0
"""The way of messages to one host: in order, in bundles, again and again until they are there or expire."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from koinon.agents.mailbox import Letter
from koinon.agents.verdicts import DELIVERED, LATER, MEANING
from koinon.errors import KoinonError

BUNDLE: Final = 256
BUNDLE_BYTES: Final = 1 << 20
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 30.0
IDLE_S: Final = 30.0
EXPIRED: Final = "agents.undelivered"

Deliver = Callable[[Sequence[bytes]], Awaitable[list[str]]]
"""Hand in envelopes; a verdict for each. Raises KoinonError or OSError where nobody answered."""


_Entry = tuple[float, int, Letter, int, float]
"""Due, number, letter, tries, expiry."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a letter: delivered, or dead with a code and a sentence."""

    letter: Letter
    code: str = ""
    why: str = ""


class Lane:
    """Letters to one host.

    Parameters
    ----------
    deliver : callable
    settle : callable
        Writes down what became of letters.
    clock : callable
        Unix seconds.
    """

    def __init__(
        self,
        deliver: Deliver,
        settle: Callable[[Sequence[Outcome]], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._deliver, self._settle, self._clock = deliver, settle, clock
        self._heap: list[_Entry] = []
        self._more = asyncio.Event()
        self._pause = 0.0
        self.closed = False

    def put(self, letter: Letter, expires: float) -> None:
        """One more letter, which may be delivered until ``expires``."""
        heapq.heappush(self._heap, (0.0, letter.number, letter, 0, expires))
        self._more.set()

    async def run(self) -> None:
        """Deliver until nothing has waited for a while; ``closed`` from then on."""
        while True:
            now = self._clock()
            if self._heap and self._heap[0][0] <= now:
                await self._send(self._take(now))
                continue
            waited = await self._wait(self._heap[0][0] - now if self._heap else IDLE_S)
            if waited and not self._heap:
                self.closed = True
                return

    def _take(self, now: float) -> list[_Entry]:
        bundle: list[_Entry] = []
        size = 0
        while self._heap and self._heap[0][0] <= now and len(bundle) < BUNDLE:
            size += len(self._heap[0][2].envelope) + 4
            if bundle and size > BUNDLE_BYTES:
                break
            bundle.append(heapq.heappop(self._heap))
        return bundle

    async def _send(self, bundle: list[_Entry]) -> None:
        live = [entry for entry in bundle if entry[4] >= self._clock()]
        outcomes = [_expired(entry[2]) for entry in bundle if entry[4] < self._clock()]
        if live:
            try:
                verdicts = await self._deliver([entry[2].envelope for entry in live])
            except (KoinonError, OSError):
                self._pause = min(LONGEST_PAUSE_S, 2 * self._pause or FIRST_PAUSE_S)
                for entry in live:
                    heapq.heappush(self._heap, entry)
                if outcomes:
                    await self._settle(outcomes)
                await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311  (jitter)
                return
            self._pause = 0.0
            for (_due, number, letter, tries, expires), verdict in zip(live, verdicts, strict=True):
                if verdict in DELIVERED:
                    outcomes.append(Outcome(letter))
                elif verdict in LATER:
                    pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(tries, 10))
                    due = self._clock() + pause * random.uniform(0.5, 1.0)  # noqa: S311  (jitter)
                    heapq.heappush(self._heap, (due, number, letter, tries + 1, expires))
                else:
                    outcomes.append(Outcome(letter, verdict, MEANING.get(verdict, "The host refused it.")))
        if outcomes:
            await self._settle(outcomes)

    async def _wait(self, seconds: float) -> bool:
        """Until there is a new letter, or for so long; whether it was so long."""
        self._more.clear()
        try:
            await asyncio.wait_for(self._more.wait(), seconds)
        except TimeoutError:
            return True
        return False


def _expired(letter: Letter) -> Outcome:
    return Outcome(letter, EXPIRED, "No host said that it has it before it expired.")
