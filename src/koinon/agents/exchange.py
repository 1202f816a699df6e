# SPDX-License-Identifier: Apache-2.0
"""The traffic of a host: envelopes that come in are checked and written down, those that go out are signed,
written down with what led to them, and delivered, within the process or to other hosts."""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from koinon.agents import mailbox, verdicts
from koinon.agents.address import Address
from koinon.agents.behaviour import Handler
from koinon.agents.context import Effects, Outgoing
from koinon.agents.envelope import Envelope, check
from koinon.agents.lane import Lane, Outcome
from koinon.agents.limits import Limits, RateLimit
from koinon.agents.mailbox import Committer, Letter, Mailboxes
from koinon.agents.post import Item, Post
from koinon.agents.reach import Reach
from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.eip712 import Domain
from koinon.chain.keys import PublicKeyCache
from koinon.errors import ChainError, KoinonError, PeerError

GUEST: Final = Address(0, ZERO_ADDRESS)
"""Who sends what comes by a door without an envelope."""

_LOOK_UP_S: Final = 5.0
"""For asking the chain about the senders of one bundle, in seconds; the rest are asked about next time."""

HandIn = Callable[[str, Sequence[bytes]], Awaitable[list[str]]]
"""Give envelopes to the host at a URL; its verdicts. KoinonError or OSError where it gave none."""


@dataclass(slots=True)
class Parcel:
    """What some handler calls lead to, signed and ready to be written down and then released."""

    local: list[tuple[Post, Item]] = field(default_factory=list)
    out: list[tuple[Letter, Envelope]] = field(default_factory=list)
    dead: list[tuple[Letter, str]] = field(default_factory=list)
    answers: list[tuple[UUID, Outgoing]] = field(default_factory=list)


@dataclass(slots=True)
class _Arrival:
    place: int
    post: Post
    item: Item


class Exchange:
    """All mailboxes of a host, and the ways between them and to others."""

    def __init__(
        self,
        domain: Domain,
        boxes: Mailboxes,
        *,
        reach: Reach,
        hand_in: HandIn,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self.domain, self.boxes, self.limits, self.clock = domain, boxes, limits, clock
        self.committer = Committer(boxes)
        self.posts: dict[Address, Post] = {}
        self.asked: dict[UUID, asyncio.Future[Outgoing]] = {}
        self._reach, self._hand_in = reach, hand_in
        self._keys = PublicKeyCache()
        self._rate = RateLimit(limits.sender_per_s, limits.sender_burst)
        self._lanes: dict[Address, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.left = max(boxes.last("inbox"), boxes.last("outbox"))
        """The last number an earlier process gave: what is not newer may have ended that process."""
        self._numbers = itertools.count(self.left + 1)

    # ------------------------------------------------------------ coming in

    async def accept(self, envelopes: Sequence[bytes]) -> list[str]:
        """Take envelopes in; a verdict for each, given once they are on the disk.

        Raises SetupError where nothing can be written.
        """
        found = [""] * len(envelopes)
        arrivals: list[_Arrival] = []
        until = asyncio.get_running_loop().time() + _LOOK_UP_S
        for place, content in enumerate(envelopes):
            try:
                arrived = await self._examine(content, until)
            except KoinonError as error:
                found[place] = error.code
                continue
            if isinstance(arrived, str):
                found[place] = arrived
            else:
                arrivals.append(_Arrival(place, *arrived))
        if arrivals:
            await self._write_down(arrivals, found)
        return found

    async def ask(self, post: Post, handler: Handler, payload: bytes, protocol: bytes, session: UUID) -> None:
        """Put a guest's message into a mailbox. PeerError where it is full."""
        if not post.has_room(GUEST, self.limits):
            raise PeerError(
                "Too many messages wait for this agent.",
                hint="Try again in a while.",
                code=verdicts.MAILBOX_FULL,
            )
        now = self.clock()
        envelope = Envelope(
            GUEST,
            post.address,
            session,
            handler.schema.digest,
            protocol,
            payload,
            int(now),
            os.urandom(16),
            bytes(65),
        )
        item = self.item(
            post, envelope, envelope.digest(self.domain), handler, handler.schema.decode(payload)
        )
        post.reserve(GUEST)
        try:
            await self.committer.do(lambda database: mailbox.put_in(database, [item.letter]))
        except BaseException:
            post.release(GUEST)
            raise
        post.push(item, now)

    def reload(self) -> None:
        """Take up what an earlier process left, for the posts there are now."""
        named = {post.name: post for post in self.posts.values()}
        for letter in self.boxes.waiting("inbox"):
            post = named.get(letter.agent)
            if post is None:
                continue  # its agent does not run here now; it waits
            envelope = Envelope.from_bytes(letter.envelope)
            handler = post.agent.handler(envelope.protocol, envelope.schema)
            post.reserve(envelope.sender)
            post.push(Item(letter, envelope, handler, None), self.clock())
        for letter in self.boxes.waiting("outbox"):
            if letter.agent in named:
                named[letter.agent].on_their_way += 1
                self.dispatch(letter, Envelope.from_bytes(letter.envelope))

    # ------------------------------------------------------------ going out

    def pack(self, post: Post, effects: Iterable[Effects]) -> Parcel:
        """Sign what handler calls of an agent lead to. Nothing has happened yet but that room is reserved."""
        parcel = Parcel()
        for effect in effects:
            for outgoing in effect.sends:
                self._pack_one(post, outgoing, parcel)
            for outgoing in effect.later:
                envelope, identity = self._seal(post, outgoing)
                handler = post.agent.handler(outgoing.protocol, outgoing.schema)
                due = self.clock() + outgoing.due_in_s
                item = self.item(post, envelope, identity, handler, None, name=outgoing.name, due=due)
                post.reserve(post.address)
                parcel.local.append((post, item))
        post.on_their_way += len(parcel.out)
        return parcel

    @staticmethod
    def write(database: sqlite3.Connection, parcel: Parcel, now: float) -> None:
        """Write a parcel down."""
        for _post, item in parcel.local:
            sent = item.envelope
            mailbox.remember(database, sent.sender.account, sent.nonce, item.letter.id, sent.expires)
        mailbox.put_in(database, [item.letter for _post, item in parcel.local])
        mailbox.put_out(database, [letter for letter, _envelope in parcel.out])
        for letter, code in parcel.dead:
            mailbox.bury(database, letter, True, code, verdicts.MEANING[code], now)

    def release(self, parcel: Parcel) -> None:
        """Let go of what is written down."""
        now = self.clock()
        for post, item in parcel.local:
            post.push(item, now)
        for letter, envelope in parcel.out:
            self.dispatch(letter, envelope)
        for session, outgoing in parcel.answers:
            future = self.asked.get(session)
            if future is not None and not future.done():
                future.set_result(outgoing)

    async def close(self) -> None:
        """Stop delivering; what is on its way stays written down."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.committer.close()

    # ------------------------------------------------------------ inside

    async def _examine(self, content: bytes, until: float) -> tuple[Post, Item] | str:
        envelope = Envelope.from_bytes(content)
        post = self.posts.get(envelope.target)
        if post is None:
            return verdicts.UNKNOWN_AGENT
        identity = check(envelope, self.domain, self.clock(), self._keys)
        local = envelope.sender in self.posts
        if not local and not self._rate.take(envelope.sender.account):
            return verdicts.TOO_FAST
        if not local and envelope.sender.work_id:
            try:
                async with asyncio.timeout_at(until):
                    if not await self._reach.speaks_for(envelope.sender):
                        return verdicts.NOT_ITS_ACCOUNT
            except (ChainError, PeerError, OSError):  # a TimeoutError is an OSError
                return verdicts.CANNOT_TELL
        handler = post.agent.handler(envelope.protocol, envelope.schema)
        if handler is None:
            return verdicts.NOT_UNDERSTOOD
        message = handler.schema.decode(envelope.payload)
        if not post.has_room(envelope.sender, self.limits):
            return verdicts.MAILBOX_FULL
        post.reserve(envelope.sender)
        return post, self.item(post, envelope, identity, handler, message)

    async def _write_down(self, arrivals: list[_Arrival], found: list[str]) -> None:
        def change(database: sqlite3.Connection) -> list[str]:
            answers, new = [], []
            for each in arrivals:
                came, identity = each.item.envelope, each.item.letter.id
                known = mailbox.remember(database, came.sender.account, came.nonce, identity, came.expires)
                if known is None:
                    new.append(each.item.letter)
                    answers.append(verdicts.ACCEPTED)
                else:
                    answers.append(verdicts.DUPLICATE if known == identity else verdicts.REPLAYED)
            mailbox.put_in(database, new)
            return answers

        try:
            answers = await self.committer.do(change)
        except BaseException:
            for each in arrivals:
                each.post.release(each.item.envelope.sender)
            raise
        now = self.clock()
        for each, answer in zip(arrivals, answers, strict=True):
            found[each.place] = answer
            if answer == verdicts.ACCEPTED:
                each.post.push(each.item, now)
            else:
                each.post.release(each.item.envelope.sender)

    def _pack_one(self, post: Post, outgoing: Outgoing, parcel: Parcel) -> None:
        if outgoing.target == GUEST:
            parcel.answers.append((outgoing.session, outgoing))
            return
        envelope, identity = self._seal(post, outgoing)
        target = self.posts.get(outgoing.target)
        if target is not None:
            handler = target.agent.handler(outgoing.protocol, outgoing.schema)
            if handler is not None and target.has_room(post.address, self.limits):
                check(envelope, self.domain, self.clock(), self._keys)  # as if it had come from another host
                target.reserve(post.address)
                item = self.item(target, envelope, identity, handler, None)
                parcel.local.append((target, item))
                return
            if handler is None:
                letter = self.letter(post, envelope, identity, outgoing.name)
                parcel.dead.append((letter, verdicts.NOT_UNDERSTOOD))
                return
        parcel.out.append((self.letter(post, envelope, identity, outgoing.name), envelope))

    def _seal(self, post: Post, outgoing: Outgoing) -> tuple[Envelope, bytes]:
        return Envelope(
            post.address,
            outgoing.target,
            outgoing.session,
            outgoing.schema,
            outgoing.protocol,
            outgoing.payload,
            int(self.clock() + outgoing.lifetime_s),
            os.urandom(16),
        ).signed(post.key, self.domain)

    def letter(self, post: Post, envelope: Envelope, identity: bytes, name: str, due: float = 0.0) -> Letter:
        """A letter with the next number."""
        return Letter(next(self._numbers), post.name, identity, envelope.to_bytes(), name, self.clock(), due)

    def item(
        self,
        post: Post,
        envelope: Envelope,
        identity: bytes,
        handler: Handler | None,
        message: object,
        *,
        name: str = "",
        due: float = 0.0,
    ) -> Item:
        """What is put into a mailbox, not reserved or written down yet."""
        known = handler.schema.name if handler is not None else name
        return Item(self.letter(post, envelope, identity, known, due), envelope, handler, message)

    def dispatch(self, letter: Letter, envelope: Envelope) -> None:
        """Send what is written down on its way."""
        target = envelope.target
        lane = self._lanes.get(target)
        if lane is None or lane.closed:

            async def deliver(envelopes: Sequence[bytes]) -> list[str]:
                if target in self.posts:
                    return await self.accept(envelopes)
                return await self._hand_in(await self._reach.endpoint(target), envelopes)

            lane = self._lanes[target] = Lane(deliver, self._settle, self.clock)
            task = asyncio.create_task(lane.run(), name=f"to {target}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        lane.put(letter, envelope.expires)

    async def _settle(self, outcomes: Sequence[Outcome]) -> None:
        now = self.clock()

        def change(database: sqlite3.Connection) -> None:
            there = [outcome.letter.number for outcome in outcomes if not outcome.code]
            mailbox.mark_done(database, "outbox", there, now)
            for outcome in outcomes:
                if outcome.code:
                    mailbox.bury(database, outcome.letter, True, outcome.code, outcome.why, now)

        await self.committer.do(change)
        named = {post.name: post for post in self.posts.values()}
        for outcome in outcomes:
            if outcome.letter.agent in named:
                named[outcome.letter.agent].on_their_way -= 1
