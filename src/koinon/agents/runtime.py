# SPDX-License-Identifier: Apache-2.0
"""Runs agents: takes envelopes in, has them handled one at a time, sends what comes of it.

What is promised, between agents of one process as between hosts:

- a message is accepted once it is on the disk (with ``path=None``, in memory: for simulations);
- it is handled until a handler has finished it, or `TRIES` times, after which it is a dead letter;
- what its handler sends, remembers and plans is one transaction with the mark that it is done, so a killed
  process neither loses nor doubles that; what a handler does to the world outside may happen twice;
- the order in which messages arrive is not promised.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from koinon.agents import mailbox
from koinon.agents.address import Address
from koinon.agents.behaviour import Agent, Handler, protocol_digest
from koinon.agents.client import Hosts
from koinon.agents.envelope import CLOCK_SKEW_S
from koinon.agents.exchange import Exchange, HandIn
from koinon.agents.handling import Worker
from koinon.agents.limits import Limits
from koinon.agents.mailbox import DeadLetter, Mailboxes
from koinon.agents.post import Post
from koinon.agents.reach import Known, Reach
from koinon.agents.reviving import revive
from koinon.chain.eip712 import Domain
from koinon.chain.keys import Key
from koinon.errors import BadInput, NotFound, PeerError

ASK_S: Final = 30.0
_SWEEP_EVERY_S: Final = 60.0
_REVIVE_EVERY_S: Final = 1.0
_STOP_S: Final = 20.0


def agents_domain(chain_id: int, registry: str) -> Domain:
    """What envelopes are signed for: the Works of one network."""
    return Domain("Koinon agents", "1", chain_id, registry)


class Runtime:
    """Agents in one process. Add them, then use it as an asynchronous context manager.

    Parameters
    ----------
    domain : Domain
        See `agents_domain`.
    path : Path, optional
        The file with the mailboxes, held by this process alone. Without one nothing outlives the process.
    reach : Reach, optional
        How others are found; by default nobody is.
    hand_in : callable, optional
        How envelopes get to other hosts; over HTTP by default.
    limits : Limits, optional
    clock : callable
        Unix seconds.
    """

    def __init__(
        self,
        domain: Domain,
        path: Path | None = None,
        *,
        reach: Reach | None = None,
        hand_in: HandIn | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._boxes = Mailboxes(path)
        self._hosts = Hosts()
        self._exchange = Exchange(
            domain,
            self._boxes,
            reach=reach or Known(),
            hand_in=hand_in or self._hosts.hand_in,
            limits=limits or Limits(),
            clock=clock,
        )
        self._workers: list[asyncio.Task[None]] = []
        self._sweeper: asyncio.Task[None] | None = None

    def add(self, agent: Agent, key: Key, work_id: int = 0) -> Address:
        """Run an agent here, before the start; its address. ``key`` signs for it.

        Raises BadInput where that address runs here already, or the agent's handlers are wrong.
        """
        address = Address(work_id, key.address)
        if address in self._exchange.posts:
            raise BadInput(f"{address} runs here already.", code="agents.twice")
        for behaviour in agent.behaviours():
            _ = behaviour.handlers, behaviour.timers
        self._exchange.posts[address] = Post(agent, key, address, self._boxes.memory(str(address)))
        return address

    @property
    def posts(self) -> Mapping[Address, Post]:
        """Who runs here."""
        return self._exchange.posts

    async def accept(self, envelopes: Sequence[bytes]) -> list[str]:
        """Take envelopes in; a verdict (see `verdicts`) for each, given once they are on the disk.

        Raises SetupError where nothing can be written.
        """
        return await self._exchange.accept(envelopes)

    async def ask(
        self, address: Address, name: str, fields: Mapping[str, Any], timeout_s: float = ASK_S
    ) -> tuple[str, dict[str, Any]]:
        """Put a guest's question to one of an agent's skills; the answer's message type and fields.

        A skill without an answer gives ``("", {})`` as soon as the question is in the mailbox.

        Raises
        ------
        NotFound
            No such agent or skill here.
        BadInput
            The fields are not the skill's.
        PeerError
            The mailbox is full, the handler failed, or no answer came in time.
        """
        post = self._exchange.posts.get(address)
        if post is None:
            raise NotFound(f"{address} does not run on this host.", code="agents.unknown_agent")
        protocol, handler = self._skill(post.agent, name)
        message = handler.schema.read(fields)
        payload, session = handler.schema.encode(message), uuid.uuid4()
        if not handler.replies:
            await self._exchange.ask(post, handler, payload, protocol, session)
            return "", {}
        future = self._exchange.asked[session] = asyncio.get_running_loop().create_future()
        try:
            await self._exchange.ask(post, handler, payload, protocol, session)
            answer = await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            raise PeerError(
                f"The agent did not answer within {timeout_s:g} s.",
                hint="It may still be at it; ask again later.",
                code="agents.no_answer",
            ) from None
        finally:
            del self._exchange.asked[session]
        return answer.name, orjson.loads(answer.payload)

    def dead(self, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters: messages that no handler could finish, or that no host took."""
        return self._boxes.dead(limit)

    async def failed(self) -> None:
        """Wait until an agent cannot go on, and raise why (SetupError: nothing can be written)."""
        done, _ = await asyncio.wait(self._workers, return_when=asyncio.FIRST_COMPLETED)
        for worker in done:
            worker.result()

    async def __aenter__(self) -> Self:
        self._exchange.reload()
        self._workers = [
            asyncio.create_task(Worker(post, self._exchange).run(), name=post.name)
            for post in self._exchange.posts.values()
        ]
        self._sweeper = asyncio.create_task(self._sweep(), name="sweeping")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let every agent finish what it is at, and stop it. What waits stays written down."""
        for post in self._exchange.posts.values():
            post.stop()
        if self._workers:
            _, stuck = await asyncio.wait(self._workers, timeout=_STOP_S)
            for worker in stuck:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self._exchange.close()
        await self._hosts.close()
        self._boxes.close()

    @staticmethod
    def _skill(agent: Agent, name: str) -> tuple[bytes, Handler]:
        for behaviour in agent.behaviours():
            for handler in behaviour.handlers.values():
                if handler.skill and handler.schema.name == name:
                    return protocol_digest(behaviour), handler
        raise NotFound(
            f"The agent has no skill {name}.",
            hint="Its card says what it can be asked.",
            code="agents.no_skill",
        )

    async def _sweep(self) -> None:
        swept = time.monotonic()
        while True:
            await revive(self._exchange)
            await asyncio.sleep(_REVIVE_EVERY_S)
            if time.monotonic() - swept > _SWEEP_EVERY_S:
                sweep = partial(mailbox.sweep, now=self._exchange.clock(), skew_s=CLOCK_SKEW_S)
                await self._exchange.committer.do(sweep)
                swept = time.monotonic()
