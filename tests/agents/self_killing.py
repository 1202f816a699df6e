# SPDX-License-Identifier: Apache-2.0
"""An agent whose handler ends the whole process, started again and again: ``python self_killing.py FOLDER``.

Prints how each process ended, and the dead letters in the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from koinon.agents import Agent, Context, message, on
from koinon.agents.handling import TRIES
from koinon.agents.mailbox import Mailboxes
from koinon.agents.runtime import Runtime, agents_domain
from koinon.chain.keys import Key

DOMAIN = agents_domain(31_337, "0x" + "11" * 20)
KEY = Key.from_bytes(bytes(31) + b"\x01")
PATIENCE_S = 60.0


@message
class Poison:
    number: int


@message
class Water:
    number: int


class Victim(Agent):
    """Dies of poison."""

    def __init__(self) -> None:
        super().__init__()
        self.drunk = asyncio.Event()

    def startup(self, context: Context) -> None:
        if "begun" not in context.memory:
            context.memory["begun"] = True
            context.send(context.me, Poison(1))
            context.send(context.me, Water(2))

    @on(Poison)
    def die(self, poison: Poison, context: Context) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @on(Water)
    def drink(self, water: Water, context: Context) -> None:
        self.drunk.set()


async def live(folder: Path) -> None:
    """Until the water is drunk."""
    victim = Victim()
    runtime = Runtime(DOMAIN, folder / "mailboxes.sqlite")
    runtime.add(victim, KEY)
    async with runtime:
        await asyncio.wait_for(victim.drunk.wait(), PATIENCE_S)


def main(folder: Path) -> None:
    """Start again until it lives."""
    ends: list[int] = []
    while not ends or (ends[-1] != 0 and len(ends) <= TRIES + 2):
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.run(live(folder))
            finally:
                os._exit(0)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    boxes = Mailboxes(folder / "mailboxes.sqlite")
    print(json.dumps({"ends": ends, "dead": [letter.name for letter in boxes.dead()]}))
    boxes.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
