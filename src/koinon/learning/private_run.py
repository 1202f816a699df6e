# SPDX-License-Identifier: Apache-2.0
"""The state of a run whose rounds are secret sums, at its leader: which phase, who is in it, what comes out.

The leader brings the owners' messages together and learns the sum of their changes. It never has what would
show one of them (`koinon.learning.privacy.secagg`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from koinon.errors import BadInput, IntegrityError, PeerError, SetupError
from koinon.learning.leaving import History
from koinon.learning.messages import payload_digest
from koinon.learning.privacy.secagg import Abandonment, Collector, Phase
from koinon.learning.private_messages import AccountChecks, PrivateStep, sum_context, sum_name
from koinon.learning.run import ClosedRound, Run
from koinon.learning.summed import Opening, advance_by_sum

GOES_ON: Final = b"\x00"
ROUND_OVER: Final = b"\x01"
GIVE_UP: Final = b"\x02"
AGAIN: Final = b"\x03"
"""The first byte of an answer: a phase's; the frame of the model after the round; nothing, where too few are
left and the sum is to be given up; the number of the round's next sum (1 byte) and who gave up this one."""
MOST_ATTEMPTS: Final = 8
"""Secret sums that a round may take."""


@dataclass(frozen=True)
class Step:
    """An owner's message as it was taken: ``counted`` in its phase, or too late for it."""

    owner: str
    index: int
    round: int
    attempt: int
    phase: Phase
    counted: bool


class PrivateRun(Run):
    """A `Run` that takes no update, only steps of secret sums."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._collector: Collector | None = None
        self._abandonment: Abandonment | None = None
        self._why = PeerError("")
        self._given_up: dict[int, bytes] = {}

    @property
    def collector(self) -> Collector:
        """The present round's secret sum."""
        if self._collector is None:
            raise SetupError("The run has not started.", code="learning.round")
        return self._collector

    @property
    def attempt(self) -> int:
        """Which of the round's sums it is, from 1."""
        return len(self._given_up) + 1

    def receive(self, frame: bytes) -> bool:
        """Refuse (BadInput): nobody shall send a change that can be read."""
        del frame
        raise BadInput("This run adds changes up under masks only.", code="learning.private_mode")

    def repeat(self, history: History) -> Iterator[ClosedRound]:
        """Refuse (BadInput): sums cannot be repeated with other owners in them."""
        del history
        raise BadInput("A private sum cannot be taken apart.", code="learning.private_mode")

    def receive_step(self, frame: bytes) -> Step:
        """An owner's message in a phase of the round.

        Raises
        ------
        BadInput, IntegrityError
            Malformed, forged, of another run, round or base, or a second one in the same phase.
        """
        message, payload = PrivateStep.unpack(frame, self.domain)
        self._same_run(message.run_id)
        member = self.members.get(message.owner)
        if member is None or self.current is None:
            raise BadInput(f"{message.owner} takes no part in this run.", code="learning.not_member")
        if payload_digest(payload) != message.message:
            raise IntegrityError("The message is not the one that was signed.", code="learning.digest")
        try:
            phase = Phase(message.phase)
        except ValueError:
            phase = Phase.DONE
        head = (message.owner, member.index, message.round, message.attempt)
        late, taken = Step(*head, Phase.DONE, counted=False), Step(*head, phase, counted=True)
        if message.round < self.round_number or self.finished:
            self.left.discard(message.owner)
            return late
        if message.round > self.round_number or not 0 < message.attempt <= self.attempt:
            raise BadInput("This round or phase has not begun.", code="learning.round")
        if message.base != self.current.model.model:
            raise BadInput("The message builds on another model than this round's.", code="learning.base")
        if message.attempt < self.attempt:
            self.left.discard(message.owner)
            return late
        giving_up = self._abandonment
        if phase > self.collector.phase and not (giving_up and phase == Phase.ABANDON):
            raise BadInput("This round or phase has not begun.", code="learning.round")
        self.left.discard(message.owner)
        if member.index not in (self.collector if giving_up is None else giving_up).expected:
            return late
        if giving_up is None and phase == self.collector.phase:
            self.collector.receive(member.index, payload)
        elif giving_up is not None and phase == Phase.ABANDON:
            giving_up.receive(member.index, payload)
        return taken

    def answer_to(self, step: Step) -> bytes | None:
        """What the sender of a step is told; None while its phase, or the round it missed, goes on."""
        if self.current is None:
            raise SetupError("The run has not started.", code="learning.round")
        if step.round <= self.current.number or self.finished:
            follows = step.round == self.current.number
            return ROUND_OVER + (self.current.step if follows else self.current.frame)
        if step.attempt < self.attempt:
            return AGAIN + bytes((self.attempt,)) + self._given_up[step.attempt]
        if self._abandonment is not None:
            asked = step.counted and step.phase != Phase.ABANDON and step.index in self._abandonment.expected
            return GIVE_UP if asked else None
        if step.counted and self.collector.phase > step.phase and step.index in self.collector.expected:
            return GOES_ON + self.collector.answer(step.index)
        return None

    @property
    def complete(self) -> bool:
        """Whether everybody who is still there has sent this phase's message."""
        gone = {self.members[owner].index for owner in self.left if owner in self.members}
        collecting = self.collector if self._abandonment is None else self._abandonment
        waiting = collecting.expected - gone - collecting.received
        return not waiting and bool(collecting.received)

    def advance(self) -> ClosedRound | None:
        """Close a phase with who has sent, and after the last one the round.

        Where too few are left to open the sum, but enough to make sure that nobody ever will, it is given up
        and the round begins again with those who stay.

        Raises
        ------
        PeerError
            Too few are left, too many lied, or the sum is longer than it can be.
        """
        collecting = self.collector if self._abandonment is None else self._abandonment
        silent = collecting.expected - collecting.received
        missing = [owner for owner, member in self.members.items() if member.index in silent]
        self.left.update(missing)
        try:
            if self._abandonment is not None:
                self._begin_again(self._abandonment)
                return None
            self.collector.close()
        except PeerError as error:
            who = f"No answer in time from {', '.join(missing)}. " if missing else ""
            self._give_up(PeerError(error.message, hint=who + error.hint, code=error.code))
            return None
        return self._closed_sum(self.collector) if self.collector.phase == Phase.DONE else None

    def _give_up(self, why: PeerError) -> None:
        """Have the sum given up, for this reason; raises it where that cannot be."""
        if self._abandonment is not None:
            raise self._why
        giving_up = self.collector.abandonment() if self.attempt < MOST_ATTEMPTS else None
        if giving_up is None:
            raise why
        self._abandonment, self._why = giving_up, why

    def _begin_again(self, given_up: Abandonment) -> None:
        self._given_up[self.attempt] = given_up.signatures()
        self._abandonment = None
        self._collector = self._new_collector()

    def _closed_sum(self, collector: Collector) -> ClosedRound:
        opening = Opening(self._context(), collector.unmasking)
        rows = {member.index: member.joining.examples for member in self.members.values()}
        self.rounds.append(advance_by_sum(self.common, collector.masked, opening, rows))
        received = {index: (payload_digest(words), words) for index, words in collector.masked.items()}
        missing = tuple(
            owner for owner, member in self.members.items() if member.index not in collector.masked
        )
        return self._close(self.round_number, received, missing, opening=opening.encode())

    def _close(self, *arguments: Any, **options: Any) -> ClosedRound:
        closed = super()._close(*arguments, **options)
        self._given_up = {}
        if not self.finished:
            self._collector = self._new_collector()
        return closed

    def _new_collector(self) -> Collector:
        recipe = self.recipe
        return Collector(
            self._context(),
            {member.index: sum_name(owner) for owner, member in self.members.items()},
            AccountChecks(self.domain).check,
            self.common.vector.shape[0],
            minimum=recipe.minimum_owners,
            threshold=recipe.privacy.threshold,
        )

    def _context(self) -> bytes:
        if self.current is None:
            raise SetupError("The run has not started.", code="learning.round")
        base = self.current.model.model
        return sum_context(self.run_id, self.round_number, base, self.recipe.digest, self.attempt)
