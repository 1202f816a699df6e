# SPDX-License-Identifier: Apache-2.0
"""Following a run: every proposal is computed again; who aggregated otherwise is objected to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from koinon.errors import BadInput, IntegrityError, KoinonError, PeerError, TransactionFailed
from koinon.learning.messages import LocalUpdate, updates_digest
from koinon.learning.swarm.chain_state import SwarmRound, SwarmState, read_round
from koinon.learning.swarm.course import Computed
from koinon.learning.swarm.exchange import frame_reader
from koinon.learning.swarm.inbox import Listing, Received, place_of
from koinon.learning.swarm.ledger import WITHHELD
from koinon.learning.swarm.seat import Seat

_RETRY_S: Final = 0.4
_PATIENCE: Final = 0.6
"""Which part of the window a peer waits for updates that nobody gives out before it objects."""


@dataclass(frozen=True)
class Right:
    """The proposal is what its updates make."""

    computed: Computed
    received: dict[int, Received]


@dataclass(frozen=True)
class Wrong:
    """It is not: ``model`` would be right, or zeros where one of its updates can be part of no model."""

    model: bytes


class Following:
    """Keeps a peer's course in step with what stands on chain."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._draw, self._round = -1, 0
        self._objected: set[tuple[int, int]] = set()
        self._retry_at = 0.0

    def follow(self, state: SwarmState) -> bool:
        """Go on to the last round that stands; whether this peer is there.

        Raises
        ------
        IntegrityError
            A wrong round has become final, because more than half of the stake let it.
        """
        course = self._seat.course
        if state.draw != self._draw:
            # a proposal is one more round and one more draw: where both rose alike, nothing was overturned
            if state.draw - self._draw != state.round - self._round:
                self._undo(state)
            self._draw, self._round, self._retry_at = state.draw, state.round, 0.0
        while course.round < min(state.round, state.rounds):
            if time.monotonic() < self._retry_at:
                return False
            proposed = read_round(self._seat.chain, self._seat.run_id, course.round + 1)
            if not self._judge(state, proposed):
                self._retry_at = time.monotonic() + _RETRY_S
                return False
        return True

    def _undo(self, state: SwarmState) -> None:
        seat = self._seat
        while seat.course.round > state.settled:
            number = seat.course.round
            if number <= state.round:
                standing = read_round(seat.chain, seat.run_id, number)
                if standing.model == seat.course.base:
                    return
            seat.course.roll_back(number - 1)
            seat.report({"event": "undone", "round": number})

    def _judge(self, state: SwarmState, proposed: SwarmRound) -> bool:
        seat = self._seat
        found = self._examine(proposed)
        if isinstance(found, Right):
            seat.course.accept(found.computed, found.received)
            seat.report(
                {
                    "event": "round",
                    "round": proposed.number,
                    "leader": proposed.leader,
                    "participants": sorted(found.received),
                }
            )
            return True
        if isinstance(found, Wrong):
            if proposed.number <= state.settled:
                raise IntegrityError(
                    f"Round {proposed.number} is final, but its model is not what its updates make.",
                    hint="More than half of the stake let it pass: leave this run.",
                    code="swarm.wrong_round",
                )
            self._object(proposed, found.model)
        elif seat.now() >= proposed.proposed_at + _PATIENCE * state.rules.window_s:
            self._object(proposed, WITHHELD)
        return False

    def _object(self, proposed: SwarmRound, model: bytes) -> None:
        seat, place = self._seat, (proposed.number, proposed.draw)
        if place in self._objected or proposed.leader == seat.account:
            return
        self._objected.add(place)
        try:
            overturned = seat.ledger.object(seat.run_id, proposed.number, model)
        except TransactionFailed as error:
            seat.report({"event": "no objection", "round": proposed.number, "reason": error.reason})
            return
        seat.report(
            {
                "event": "objected",
                "round": proposed.number,
                "leader": proposed.leader,
                "withheld": model == WITHHELD,
                "overturned": overturned,
            }
        )
        seat.exchange.tell("/look", b"")
        seat.exchange.wake()

    def _examine(self, proposed: SwarmRound) -> Right | Wrong | None:
        """What a proposal is; None while its updates are not to be had.

        Lists of updates are told by anyone and may be false: only one that leads to the recorded digest says
        something about the leader.
        """
        wrong = None
        for listing in self._listings(proposed):
            frames = self._frames(listing, proposed)
            if frames is None:
                continue
            try:
                received = {
                    member: found
                    if isinstance(found, Received)
                    else self._seat.inbox.read(found, proposed.number, self._seat.course.base)
                    for member, found in frames.items()
                }
                computed = self._seat.course.compute(received)
            except (BadInput, IntegrityError):
                wrong = wrong or Wrong(WITHHELD)
                continue
            self._compare(received)
            if computed.model == proposed.model:
                return Right(computed, received)
            wrong = Wrong(computed.model)
        return wrong

    def _compare(self, received: dict[int, Received]) -> None:
        """Notice who signed something else to this peer than the leader lists; the leader could not know."""
        known = self._seat.inbox.received
        for member, one in received.items():
            if member in known and known[member].message != one.message:
                with suppress(IntegrityError):
                    self._seat.exchange.receive(one.frame)

    def _listings(self, proposed: SwarmRound) -> Iterator[Listing]:
        exchange, seen = self._seat.exchange, set()
        place = place_of(proposed.number, self._seat.course.base, proposed.updates)
        for content in exchange.listings(place):
            seen.add(content)
            yield Listing.from_bytes(content)
        path = f"/listing/{place.hex()}"
        try:
            content = exchange.ask(path, _checked_listing, first=[proposed.leader])
        except PeerError:
            return
        if content not in seen:
            exchange.keep_listing(place, content)
            yield Listing.from_bytes(content)

    def _frames(self, listing: Listing, proposed: SwarmRound) -> dict[int, Received | bytes] | None:
        """The updates of a list, checked ones or frames; None unless all are there and make the digest."""
        seat = self._seat
        owners = {one.member: one.account for one in seat.roster.members}
        if listing.participants != proposed.participants or not listing.frames.keys() <= owners.keys():
            return None
        frames: dict[int, Received | bytes] = {}
        said: dict[int, bytes] = {}
        try:
            for member, digest in listing.frames.items():
                checked = seat.inbox.by_digest(digest)
                if checked is not None and checked.member == member:
                    frames[member], said[member] = checked, checked.message.update
                    continue
                self._agreement(member, owners[member], proposed.leader)
                frame = seat.journal.frame(digest) or seat.exchange.ask(
                    f"/frame/{digest.hex()}", frame_reader(digest), first=[proposed.leader, owners[member]]
                )
                message, _ = LocalUpdate.unpack(frame, seat.inbox.domain, owners[member])
                frames[member], said[member] = frame, message.update
        except KoinonError:
            return None
        return frames if updates_digest(said) == proposed.updates else None

    def _agreement(self, member: int, owner: str, leader: str) -> None:
        seat = self._seat
        if seat.roster.agreed(member) is None:
            seat.exchange.ask(f"/agreement/{owner}", seat.roster.agree, first=[owner, leader])


def _checked_listing(content: bytes) -> bytes:
    Listing.from_bytes(content)
    return content
