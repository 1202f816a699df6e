# SPDX-License-Identifier: Apache-2.0
"""Two of Fetch.ai's agents in one bureau, in their environment: ``python ping.py MESSAGES WINDOW SIGNED``.

Within a process uAgents neither sign nor check. With SIGNED each message is put into their own envelope,
signed, written as JSON, read and checked by their own code before it is dispatched, which is what they do
between processes. Prints messages a second.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from typing import Any

from uagents import Agent, Bureau, Context, Model
from uagents.dispatch import dispatcher
from uagents.registration import AgentRegistrationPolicy
from uagents_core.envelope import Envelope


class Ping(Model):  # type: ignore[misc]
    number: int


class Pong(Model):  # type: ignore[misc]
    number: int


class Nowhere(AgentRegistrationPolicy):  # type: ignore[misc]
    """Tells no hosted directory of these agents."""

    async def register(self, *_given: Any, **_named: Any) -> None:
        """Nothing."""


def main(messages: int, window: int, signed: bool) -> None:
    """Exchange so many messages, ``window`` of them under way at a time."""
    caller = Agent(name="caller", seed="the seed of the caller", registration_policy=Nowhere())
    answerer = Agent(name="answerer", seed="the seed of the answerer", registration_policy=Nowhere())
    turns = messages // 2
    state = {"sent": 0, "got": 0, "since": 0.0}

    async def send(context: Context) -> None:
        state["sent"] += 1
        await context.send(answerer.address, Ping(number=int(state["sent"])))

    async def begin(context: Context) -> None:
        state["since"] = time.perf_counter()
        for _ in range(window):
            await send(context)

    async def answer(context: Context, sender: str, ping: Ping) -> None:
        await context.send(sender, Pong(number=ping.number))

    async def count(context: Context, _sender: str, _pong: Pong) -> None:
        state["got"] += 1
        if state["sent"] < turns:
            await send(context)
        if state["got"] == turns:
            print(2 * turns / (time.perf_counter() - state["since"]), flush=True)
            os._exit(0)

    caller.on_event("startup")(begin)
    caller.on_message(Pong)(count)
    answerer.on_message(Ping, replies=Pong)(answer)
    if signed:
        sign_all({agent.address: agent for agent in (caller, answerer)})
    Bureau([caller, answerer]).run()


def sign_all(agents: dict[str, Any]) -> None:
    """Let every message pass through a signed envelope."""
    dispatch = dispatcher.dispatch_msg

    async def checked(
        sender: str, destination: str, schema_digest: str, message: str, session: uuid.UUID
    ) -> None:
        envelope = Envelope(
            version=1,
            sender=sender,
            target=destination,
            session=session,
            schema_digest=schema_digest,
            expires=int(time.time()) + 30,
        )
        envelope.encode_payload(message)
        envelope.sign(agents[sender]._identity)
        came = Envelope.model_validate_json(envelope.model_dump_json())
        if not came.verify():
            raise RuntimeError("the signature is wrong")
        await dispatch(sender, destination, schema_digest, came.decode_payload(), session)

    dispatcher.dispatch_msg = checked


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "signed")
