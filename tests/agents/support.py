# SPDX-License-Identifier: Apache-2.0
"""Two agents that count, and envelopes made by hand."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from koinon.agents import Address, Agent, Context, message, on
from koinon.agents.behaviour import PLAIN
from koinon.agents.envelope import Envelope
from koinon.agents.message import schema_of
from koinon.agents.runtime import agents_domain
from koinon.chain.keys import Key

DOMAIN = agents_domain(31_337, "0x" + "11" * 20)
PATIENCE_S = 60.0


@message
class Add:
    """So much more."""

    amount: int


@message
class Total:
    amount: int


@message
class Total2:
    amount: int


@message
class Burn:
    """Whoever handles it fails."""

    times: int = 1_000


class Counter(Agent):
    """Adds up what it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 0

    @on(Add, skill=True)
    def add(self, more: Add, context: Context) -> Total:
        """Add to the total."""
        context.memory["total"] = context.memory.get("total", 0) + more.amount
        return Total(context.memory["total"])

    @on(Burn)
    async def burn(self, burn: Burn, context: Context) -> Total | None:
        context.memory["burnt"] = True
        context.send(context.sender, Total(-1))
        self.failures += 1
        if self.failures <= burn.times:
            raise RuntimeError("burnt")
        return None


class Caller(Agent):
    """Notes every total it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[int] = []

    @on(Total)
    def total(self, total: Total, context: Context) -> None:
        self.told.append(total.amount)


def envelope(
    key: Key,
    target: Address,
    content: Any = None,
    *,
    work_id: int = 0,
    payload: bytes | None = None,
    expires: float = 600,
    nonce: bytes | None = None,
    domain: Any = DOMAIN,
    protocol: bytes = PLAIN,
) -> bytes:
    """A signed envelope as bytes; ``expires`` in seconds from now."""
    kind = schema_of(type(content if content is not None else Add(1)))
    made, _ = Envelope(
        Address(work_id, key.address),
        target,
        uuid.uuid4(),
        kind.digest,
        protocol,
        kind.encode(content if content is not None else Add(1)) if payload is None else payload,
        int(time.time() + expires),
        nonce or os.urandom(16),
    ).signed(key, domain)
    return made.to_bytes()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, not for ever."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


def run(coroutine: Awaitable[None]) -> None:
    """An asynchronous test."""

    async def bounded() -> None:
        async with asyncio.timeout(2 * PATIENCE_S):
            await coroutine

    asyncio.run(bounded())
