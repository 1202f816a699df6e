# SPDX-License-Identifier: Apache-2.0
"""A host with one of two agents, as a process: ``python -m benchmarks._agents ROLE FOLDER PORT OTHER N``.

The caller prints messages a second, both ways counted, once it has had N answers, and both hosts run until
they are told to stop. Every message is on the receiver's disk before it counts.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from koinon.agents import Address, Agent, Context, message, on
from koinon.agents.host import HostOptions, serve
from koinon.agents.reach import Known
from koinon.agents.runtime import agents_domain
from koinon.chain.keys import Key
from koinon.serving import loop_factory

DOMAIN = agents_domain(31_337, "0x" + "11" * 20)
KEYS = {"caller": Key.from_bytes(bytes(31) + b"\x01"), "answerer": Key.from_bytes(bytes(31) + b"\x02")}
ADDRESSES = {role: Address(0, key.address) for role, key in KEYS.items()}


@message
class Ping:
    number: int


@message
class Pong:
    number: int


class Answerer(Agent):
    """Answers."""

    @on(Ping)
    def answer(self, ping: Ping, _context: Context) -> Pong:
        return Pong(ping.number)


class Caller(Agent):
    """Keeps ``window`` messages under way until it has had ``turns`` answers."""

    def __init__(self, answerer: Address, turns: int, window: int, done: Callable[[float], None]) -> None:
        super().__init__()
        self._answerer, self._turns, self._window, self._done = answerer, turns, window, done
        self._sent = self._got = 0
        self._since = 0.0

    def startup(self, context: Context) -> None:
        self._since = time.perf_counter()
        for _ in range(self._window):
            self._send(context)

    @on(Pong)
    def count(self, _pong: Pong, context: Context) -> None:
        self._got += 1
        if self._sent < self._turns:
            self._send(context)
        if self._got == self._turns:
            self._done(2 * self._turns / (time.perf_counter() - self._since))

    def _send(self, context: Context) -> None:
        self._sent += 1
        context.send(self._answerer, Ping(self._sent))


def main(role: str, folder: Path, port: int, other_port: int, turns: int) -> None:
    """Run one host."""
    other = "answerer" if role == "caller" else "caller"
    agent: Agent = Answerer()
    if role == "caller":
        agent = Caller(ADDRESSES[other], turns, 512, lambda rate: print(rate, flush=True))
    reach = Known({ADDRESSES[other]: f"http://127.0.0.1:{other_port}"})

    def say(_event: dict[str, Any]) -> None:
        pass

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve([(agent, KEYS[role], 0)], DOMAIN, folder, HostOptions(port=port), say, reach=reach))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
