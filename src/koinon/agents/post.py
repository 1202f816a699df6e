# SPDX-License-Identifier: Apache-2.0
"""An agent's place on a host: its key, what waits for it, what it remembers."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from koinon.agents.address import Address
from koinon.agents.behaviour import Agent, Behaviour, Handler, Timer
from koinon.agents.envelope import Envelope
from koinon.agents.limits import Limits
from koinon.agents.mailbox import Letter
from koinon.agents.memory import Table
from koinon.chain.keys import Key


@dataclass(frozen=True, slots=True)
class Item:
    """A message to be handled: as kept, as it came, and read. ``message`` is None until it is looked at,
    ``handler`` where the agent has none for it any more."""

    letter: Letter
    envelope: Envelope
    handler: Handler | None
    message: Any


@dataclass(frozen=True, slots=True)
class Tick:
    """A timer that has come round."""

    behaviour: Behaviour
    timer: Timer


@dataclass
class Post:
    """One agent on a host. What waits is counted, all in all and by sender."""

    agent: Agent
    key: Key
    address: Address
    memory: Table = field(default_factory=dict)
    ready: deque[Item | Tick] = field(default_factory=deque)
    delayed: list[tuple[float, int, Item]] = field(default_factory=list)
    waiting_from: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    on_their_way: int = 0
    handled: int = 0
    stopping: bool = False
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        """The agent's address as text: its mailbox's name."""
        return str(self.address)

    def has_room(self, sender: Address, limits: Limits) -> bool:
        """Whether one more message of this sender may wait. An agent's messages to itself always may."""
        if sender == self.address:
            return True
        room = limits.mailbox if sender.work_id else limits.mailbox // 2  # bare accounts cost nothing
        others = self.waiting - self.waiting_from[self.address.account]  # its own deadlines shut out nobody
        return others < room and self.waiting_from[sender.account] < limits.mailbox_share

    def reserve(self, sender: Address) -> None:
        """Count one more, before it is written down."""
        self.waiting += 1
        self.waiting_from[sender.account] += 1

    def release(self, sender: Address) -> None:
        """Count one less."""
        self.waiting -= 1
        self.waiting_from[sender.account] -= 1
        if self.waiting_from[sender.account] <= 0:
            del self.waiting_from[sender.account]

    def push(self, item: Item | Tick, now: float) -> None:
        """Put something into the queue, or aside until it is due."""
        if isinstance(item, Item) and item.letter.due > now:
            heapq.heappush(self.delayed, (item.letter.due, item.letter.number, item))
        else:
            self.ready.append(item)
        self._more.set()

    def stop(self) -> None:
        """Let `take` come back with nothing."""
        self.stopping = True
        self._more.set()

    async def take(self, most: int, now: float) -> list[Item | Tick]:
        """The next few, at least one unless the agent is being stopped; those put aside that are due first.
        ``[]`` also when something put aside has just become due."""
        while self.delayed and self.delayed[0][0] <= now:
            self.ready.append(heapq.heappop(self.delayed)[2])
        if not self.ready and not self.stopping:
            self._more.clear()
            if not self.delayed:
                await self._more.wait()
            else:
                try:
                    await asyncio.wait_for(self._more.wait(), self.delayed[0][0] - now)
                except TimeoutError:
                    return []
        if self.stopping:
            return []
        return [self.ready.popleft() for _ in range(min(most, len(self.ready)))]
