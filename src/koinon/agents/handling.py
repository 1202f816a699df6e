# SPDX-License-Identifier: Apache-2.0
"""One agent at work: its messages and timers one after the other, what comes of them in one transaction."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sqlite3
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from koinon.agents import mailbox
from koinon.agents.behaviour import Behaviour, Protocol
from koinon.agents.context import Context, Effects
from koinon.agents.exchange import GUEST, Exchange
from koinon.agents.memory import take_over
from koinon.agents.message import schema_of
from koinon.agents.post import Item, Post, Tick
from koinon.errors import BadInput, KoinonError, PeerError

log: Final = logging.getLogger("koinon.agents")

TRIES: Final = 5
HANDLER_S: Final = 60.0
"""How long an async handler may take. One that is not async must not wait for anything."""

FIRST_PAUSE_S: Final = 0.5
_FULL_PAUSE_S: Final = 5.0
"""Before a message is handled again whose handler sent more than the outbox had room for."""

_BATCH: Final = 64
_HOLD_S: Final = 0.02
"""How long what a handler did may wait, in seconds, for the next to be written with it."""

_Done = list[tuple[Item | None, Effects]]


class Worker:
    """Handles what waits at a post until it is stopped."""

    def __init__(self, post: Post, exchange: Exchange) -> None:
        self._post, self._exchange = post, exchange

    async def run(self) -> None:
        """Start the agent, serve it, stop it. Raises SetupError when nothing can be written any more."""
        await self._all("startup")
        timers = [
            asyncio.create_task(self._keep_time(Tick(behaviour, timer)))
            for behaviour in self._post.agent.behaviours()
            for timer in behaviour.timers
        ]
        try:
            while not self._post.stopping:
                await self._handle(await self._post.take(_BATCH, self._exchange.clock()))
        finally:
            for timer in timers:
                timer.cancel()
        await self._all("shutdown")

    async def _handle(self, batch: Sequence[Item | Tick]) -> None:
        done: _Done = []
        since = time.monotonic()
        for each in batch:
            if self._post.stopping:
                break
            if isinstance(each, Item) and each.letter.number <= self._exchange.left:
                await self._flush(done)
                if not await self._may_begin(each):
                    continue
            effects = Effects(self._room(done))
            try:
                await self._call(each, effects, done)
            except Exception as error:  # a handler may do anything; what it did is forgotten
                await self._flush(done)
                await self._failed(each, error)
                continue
            take_over(self._post.memory, effects.writes)
            done.append((each if isinstance(each, Item) else None, effects))
            if time.monotonic() - since > _HOLD_S:
                await self._flush(done)
                since = time.monotonic()
        await self._flush(done)

    async def _may_begin(self, item: Item) -> bool:
        """Count a try of what an earlier process left before it begins: it may have ended that process, and
        a message that does so again and again is a dead letter too."""
        letter, now = item.letter, self._exchange.clock()
        if letter.tries < TRIES:
            begun = mailbox.postponed(letter, letter.due)
            await self._exchange.committer.do(
                lambda database: mailbox.put_off(database, letter.number, begun.due, begun.tries)
            )
            return True
        why = f"Its handling was begun {letter.tries} times, and ended the process or failed."
        await self._exchange.committer.do(
            lambda database: mailbox.bury(database, letter, False, "agents.handler_failed", why, now)
        )
        self._post.release(item.envelope.sender)
        return False

    def _room(self, done: _Done) -> int:
        """How many more messages the agent's outbox takes."""
        pending = sum(len(effects.sends) for _item, effects in done)
        return max(0, self._exchange.limits.outbox - self._post.on_their_way - pending)

    async def _call(self, each: Item | Tick, effects: Effects, done: _Done) -> None:
        if isinstance(each, Tick):
            await self._finish(each.timer.call(self._context(each.behaviour, effects)), done)
            return
        envelope, handler = each.envelope, each.handler
        if handler is None:
            raise BadInput(f"No handler takes {each.letter.name}.", code="agents.not_understood")
        message = each.message if each.message is not None else handler.schema.decode(envelope.payload)
        context = Context(
            self._post.address,
            envelope.sender,
            envelope.session,
            table=self._post.memory,
            effects=effects,
            clock=self._exchange.clock,
            protocol=self._post.agent.protocols.get(envelope.protocol),
            expires=envelope.expires,
            message_id=each.letter.id,
            guest=envelope.sender == GUEST,
        )
        reply = await self._finish(handler.call(message, context), done)
        if reply is None:
            return
        if schema_of(type(reply)) not in handler.replies:
            raise BadInput(
                f"The handler of {handler.schema.name} returned a {type(reply).__name__}, unannounced.",
                hint="Name it in the handler's return annotation.",
                code="agents.reply",
            )
        context.reply(reply)

    async def _finish(self, result: Any, done: _Done) -> Any:
        """What a handler returns, waited for. What others did before it does not wait for long."""
        if not inspect.isawaitable(result):
            return result
        task = asyncio.ensure_future(result)
        try:
            finished, _ = await asyncio.wait({task}, timeout=_HOLD_S)
            if not finished:
                await self._flush(done)
                finished, _ = await asyncio.wait({task}, timeout=HANDLER_S)
        finally:
            if not task.done():
                task.cancel()
        if not finished:
            raise TimeoutError(f"not done within {HANDLER_S:g} s")
        return task.result()

    async def _flush(self, done: _Done) -> None:
        """Write down what handlers did, then let it go."""
        if not done:
            return
        finished, done[:] = list(done), []
        exchange, post, now = self._exchange, self._post, self._exchange.clock()
        parcel = exchange.pack(post, [effects for _item, effects in finished])
        numbers = [item.letter.number for item, _effects in finished if item is not None]

        def change(database: sqlite3.Connection) -> None:
            mailbox.mark_done(database, "inbox", numbers, now)
            for _item, effects in finished:
                if effects.writes:
                    mailbox.write_memory(database, post.name, effects.writes, now)
            exchange.write(database, parcel, now)

        await exchange.committer.do(change)
        for item, _effects in finished:
            if item is not None:
                post.release(item.envelope.sender)
                post.handled += 1
        exchange.release(parcel)

    async def _failed(self, each: Item | Tick, error: Exception) -> None:
        why = error.message if isinstance(error, KoinonError) else f"{type(error).__name__}: {error}"
        if isinstance(each, Tick):
            log.warning("%s: the timer %s failed: %s", self._post.name, each.timer.name, why)
            return
        letter, post, now = each.letter, self._post, self._exchange.clock()
        code = error.code if isinstance(error, KoinonError) else "agents.handler_failed"
        log.warning("%s: handling %s failed: %s", post.name, letter.name, why)
        full = code == "agents.outbox_full"  # which ends when what waits there is taken, or expires
        hopeless = code in ("agents.payload", "agents.not_understood") or letter.tries + 1 >= TRIES
        hopeless = hopeless and not full
        if hopeless or each.envelope.sender == GUEST:
            await self._exchange.committer.do(
                lambda database: mailbox.bury(database, letter, False, code, why, now)
            )
            post.release(each.envelope.sender)
            waiting = self._exchange.asked.get(each.envelope.session)
            if waiting is not None and not waiting.done():
                waiting.set_exception(
                    PeerError("The agent could not do that.", hint=why[:200], code="agents.handler_failed")
                )
            return
        due = now + (_FULL_PAUSE_S if full else FIRST_PAUSE_S * 2**letter.tries)
        again = replace(letter, due=due) if full else mailbox.postponed(letter, due)
        await self._exchange.committer.do(
            lambda database: mailbox.put_off(database, letter.number, due, again.tries)
        )
        post.push(Item(again, each.envelope, each.handler, each.message), now)

    async def _all(self, moment: str) -> None:
        """Call every behaviour's startup or shutdown; one that fails stops nothing."""
        for behaviour in self._post.agent.behaviours():
            done: _Done = []
            effects = Effects(self._room(done))
            try:
                await self._finish(getattr(behaviour, moment)(self._context(behaviour, effects)), done)
            except Exception as error:  # as for handlers
                log.warning("%s: %s failed: %s: %s", self._post.name, moment, type(error).__name__, error)
                continue
            take_over(self._post.memory, effects.writes)
            await self._flush([(None, effects)])

    def _context(self, behaviour: Behaviour, effects: Effects) -> Context:
        address = self._post.address
        return Context(
            address,
            address,
            uuid.uuid4(),
            table=self._post.memory,
            effects=effects,
            clock=self._exchange.clock,
            protocol=behaviour if isinstance(behaviour, Protocol) else None,
        )

    async def _keep_time(self, tick: Tick) -> None:
        while True:
            await asyncio.sleep(tick.timer.seconds)
            if tick not in self._post.ready:  # one that is late does not come twice
                self._post.push(tick, self._exchange.clock())
