# SPDX-License-Identifier: Apache-2.0
"""Leading a round: gather updates in one's own slot, aggregate, show the others, and propose."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from typing import Final

from koinon.errors import KoinonError, TransactionFailed
from koinon.learning.swarm.chain_state import SwarmState, read_candidate, read_digests, read_ending
from koinon.learning.swarm.course import Computed
from koinon.learning.swarm.inbox import Received, digest_of, place_of
from koinon.learning.swarm.onion import Onion
from koinon.learning.swarm.seat import Seat

_GATHERING: Final = 0.6
"""Which part of a slot its leader waits for those who are expected."""
_ASK_AGAIN_S: Final = 0.3
_SHOWN_S: Final = 2.0
_DRAW_AGAIN_S: Final = 5.0


class Leading:
    """Acts in the slots that were drawn for this peer.

    Who took no part in the last round is not waited for, but taken in when its update comes.
    """

    def __init__(self, seat: Seat, onion: Onion) -> None:
        self._seat, self._onion = seat, onion
        self._slot: tuple[int, int] | None = None
        self._candidate: str | None = None
        self._quiet: set[int] = set()
        self._asked: dict[str, Future[bytes]] = {}
        self._retired: set[str] = set()
        self._ask_at = self._draw_at = self._retire_at = 0.0

    def took_part(self, members: Collection[int]) -> None:
        """Who is in the round that was just closed."""
        active = {one.member for one in self._seat.peers.values() if one.active and one.member is not None}
        self._quiet = active - set(members)

    def candidate(self, state: SwarmState, now: int) -> str | None:
        """Whose slot it is; None before the first."""
        slot = state.slot_at(now)
        if slot is None:
            return None
        if self._slot != (state.draw, slot):
            self._candidate = read_candidate(self._seat.chain, self._seat.run_id, slot)
            self._slot = (state.draw, slot)
            self._seat.exchange.gathering = self._candidate == self._seat.account
        return self._candidate

    def lead(self, state: SwarmState, now: int) -> None:
        """Propose the next round, where it is this peer's slot and enough is there."""
        seat = self._seat
        if self.candidate(state, now) is None and self._slot is not None:
            self._draw_again()
        if self._candidate != seat.account or self._slot is None:
            return
        self._retire(state)
        received = self._usable(state)
        heard = received.keys() | seat.inbox.twofold.keys()
        expected = {
            one.member: one.account
            for one in seat.peers.values()
            if one.active and one.member is not None and one.member not in self._quiet
        }
        missing = [account for member, account in expected.items() if member not in heard]
        patient = now < state.t0 + (self._slot[1] + _GATHERING) * state.rules.slot_s
        if (missing and patient) or len(received) < seat.recipe.minimum_owners:
            self._ask(missing)
            return
        self._propose(state, received)

    def _retire(self, state: SwarmState) -> None:
        """Take out who is about to have its bond back: its stake would count when rounds are disputed."""
        if time.monotonic() < self._retire_at:
            return
        self._retire_at = time.monotonic() + state.rules.slot_s
        seat = self._seat
        for account in read_ending(seat.chain, seat.peers.values()):
            if account not in self._retired:
                self._retired.add(account)
                with suppress(TransactionFailed):  # another peer was faster
                    seat.ledger.retire(seat.run_id, account)
                    seat.report({"event": "retired", "peer": account})
                    seat.look(state, again=True)

    def _draw_again(self) -> None:
        """Where nobody is left who could be drawn, those who are ready now go on; anyone may say so."""
        if time.monotonic() >= self._draw_at:
            self._draw_at = time.monotonic() + _DRAW_AGAIN_S
            with suppress(TransactionFailed):
                self._seat.ledger.start(self._seat.run_id)

    def model(self, computed: Computed) -> bytes:
        """What this peer says the round comes to."""
        return computed.model

    def _usable(self, state: SwarmState) -> dict[int, Received]:
        seat, received = self._seat, self._seat.inbox.received
        if not state.rules.per_node:
            return received
        submitted = read_digests(seat.chain, seat.run_id, state.round + 1)
        return {
            member: one for member, one in received.items() if submitted.get(member) == one.message.update
        }

    def _ask(self, accounts: Collection[str]) -> None:
        """Ask those whose updates are missing; they may have come back just now."""
        seat = self._seat
        for account, answer in list(self._asked.items()):
            if answer.done():
                del self._asked[account]
                if answer.exception() is None:
                    try:
                        seat.inbox.receive(answer.result())
                        seat.exchange.wake()
                    except KoinonError as error:
                        seat.report({"event": "refused", "peer": account, "code": error.code})
        if time.monotonic() < self._ask_at:
            return
        self._ask_at = time.monotonic() + _ASK_AGAIN_S
        for account in accounts:
            if account not in self._asked and account != seat.account:
                asked = seat.exchange.ask_one(account, f"/update/{seat.inbox.number}/{account}")
                if asked is not None:
                    self._asked[account] = asked

    def _propose(self, state: SwarmState, received: Mapping[int, Received]) -> None:
        seat, me = self._seat, self._seat.me
        if me is None:
            return
        computed, updates, number = seat.course.compute(received), digest_of(received), state.round + 1
        listing, place = computed.listing.to_bytes(), place_of(number, seat.course.base, updates)
        seat.journal.list_updates(place, listing, [one.frame for one in received.values()])
        told = seat.exchange.tell("/listing", place + listing)
        wait(told, timeout=_SHOWN_S, return_when=FIRST_COMPLETED)  # who dies now has withheld nothing
        try:
            seat.ledger.propose(
                seat.run_id,
                number,
                updates=updates,
                model=self.model(computed),
                participants=computed.listing.participants,
                preimage=self._onion.preimage(me.tip),
            )
        except TransactionFailed as error:
            seat.report({"event": "not proposed", "round": number, "reason": error.reason})
        else:
            seat.report({"event": "proposed", "round": number, "participants": sorted(received)})
        seat.exchange.tell("/look", b"")
        seat.exchange.wake()
