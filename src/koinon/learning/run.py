# SPDX-License-Identifier: Apache-2.0
"""The state of one run at its leader: who joined, what arrived, which model is next. No network, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson

from koinon.chain.eip712 import Domain
from koinon.chain.keys import Key
from koinon.errors import BadInput, IntegrityError, PeerError
from koinon.learning.aggregation import Update
from koinon.learning.codecs import codec_named
from koinon.learning.common import CommonModel
from koinon.learning.contribution import Round
from koinon.learning.gains import OwnReport
from koinon.learning.global_model import ALONE, changed_model, whole_model
from koinon.learning.leaving import History
from koinon.learning.messages import (
    AloneModel,
    GlobalModel,
    Joining,
    LocalUpdate,
    Report,
    payload_digest,
    updates_digest,
)
from koinon.learning.models.base import Vector
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling, Statistics, combine


@dataclass(frozen=True)
class Member:
    """An owner in joining order; ``index`` is its bit in ``participants``."""

    index: int
    joining: Joining
    statistics: Statistics | None

    @property
    def address(self) -> str:
        return self.joining.owner


@dataclass(frozen=True)
class ClosedRound:
    """A finished round as the chain records it, with the encoded updates by owner index.

    ``frame`` has the whole model, ``step`` only its change where the recipe compresses that. In a private
    run the updates are masked, and ``opening`` is what takes the masks off their sum.
    """

    number: int
    model: GlobalModel
    frame: bytes = field(repr=False)
    step: bytes = field(repr=False)
    updates: Mapping[int, bytes] = field(repr=False)
    missing: tuple[str, ...] = ()
    opening: bytes = field(default=b"", repr=False)


class Run:
    """One run, from joining to the last round.

    Parameters
    ----------
    expected : int
        How many owners the opener waits for.
    allowed : sequence of str, optional
        Addresses that may join, numbered in this order; anybody in order of arrival when not given.
    check : callable
        Raises where a request to join cannot be accepted (the chain says otherwise, say).
    """

    def __init__(
        self,
        recipe: Recipe,
        run_id: int,
        key: Key,
        domain: Domain,
        *,
        expected: int,
        allowed: Sequence[str] | None = None,
        check: Callable[[Joining], None] = lambda _: None,
    ) -> None:
        recipe.check_owners(expected, recorded=False)
        self.recipe, self.run_id, self.domain = recipe, run_id, domain
        self.expected, self.allowed = expected, allowed
        self._check = check
        self._key = key
        self._codec = codec_named(recipe.codec)
        self.common = CommonModel(recipe)
        self.members: dict[str, Member] = {}
        self.settled = False
        self.left: set[str] = set()
        self.rounds: list[Round] = []
        self.alone: dict[int, Vector] = {}
        self.reports: dict[int, OwnReport] = {}
        self.scaling: Scaling | None = recipe.scaling
        self.current: ClosedRound | None = None
        self.finished = False
        self._updates: dict[int, tuple[bytes, bytes, Update]] = {}

    @property
    def full(self) -> bool:
        """Whether everybody who was expected has joined."""
        return len(self.members) >= self.expected

    @property
    def round_number(self) -> int:
        """The round being collected; 0 before the start."""
        return 0 if self.current is None else self.current.number + 1

    def join(self, frame: bytes) -> Member:
        """An owner's request to take part; the same request again is answered the same way."""
        joining, payload = Joining.unpack(frame, self.domain)
        self._same_run(joining.run_id)
        known = self.members.get(joining.owner)
        if known is not None and known.joining == joining:
            return known
        if known is not None:
            raise BadInput(f"{joining.owner} has joined already.", code="learning.joined_twice")
        if self.allowed is not None and joining.owner not in self.allowed:
            raise BadInput(f"{joining.owner} was not invited to this run.", code="learning.not_invited")
        if self.settled or self.full:
            raise BadInput("The run has begun without you.", hint="Join the next one.", code="learning.begun")
        if joining.recipe != self.recipe.digest:
            raise BadInput("You agreed to another recipe than this run's.", code="learning.other_recipe")
        if joining.examples < self.recipe.minimum_rows:
            raise BadInput(
                f"{joining.examples} rows are fewer than the recipe's {self.recipe.minimum_rows}.",
                hint="Add rows, or leave this owner out.",
                code="learning.too_few_rows",
            )
        if payload_digest(payload) != joining.statistics:
            raise IntegrityError("The statistics are not those that were signed.", code="learning.digest")
        statistics = None
        if self.recipe.scaling is None:
            try:
                content = orjson.loads(payload)
            except ValueError:
                content = None
            if not isinstance(content, dict):
                raise BadInput("This recipe needs every owner's statistics.", code="learning.statistics")
            statistics = Statistics.from_dict(content, len(self.recipe.columns))
            if statistics.rows != joining.examples:
                raise BadInput("The statistics count other rows than the owner.", code="learning.statistics")
        self._check_promises(joining)
        self._check(joining)
        member = Member(len(self.members), joining, statistics)
        self.members[joining.owner] = member
        return member

    def _check_promises(self, joining: Joining) -> None:
        others = [member.joining for member in self.members.values()]
        if joining.work_id and joining.work_id in [other.work_id for other in others]:
            raise BadInput(f"Work {joining.work_id} takes part already.", code="learning.joined_twice")
        promised = sum(max(1, one.minimum_share) for one in (*others, joining))
        if joining.minimum_share < 0 or promised > self.recipe.owners_share:
            raise BadInput(
                f"A minimum share of {joining.minimum_share / 1e9:.4%} is more than is left for the owners.",
                hint="Ask for less.",
                code="learning.minimum_share",
            )

    def settle(self) -> tuple[Member, ...]:
        """Nobody joins any more; the members in their final order."""
        if not self.settled and self.allowed is not None:
            order = [owner for owner in self.allowed if owner in self.members]
            self.members = {
                owner: replace(self.members[owner], index=index) for index, owner in enumerate(order)
            }
        self.settled = True
        return tuple(self.members.values())

    def start(self) -> ClosedRound:
        """Fix members and scaling; the answer everybody waits for is the initial model ("round 0").

        Raises
        ------
        PeerError
            Too few joined.
        """
        self.settle()
        if len(self.members) < self.recipe.minimum_owners:
            raise PeerError(
                f"Only {len(self.members)} of {self.expected} owners joined, "
                f"{self.recipe.minimum_owners} are needed.",
                hint="Are the owners' processes running, and do they reach this address?",
                code="learning.too_few_owners",
            )
        if self.scaling is None:
            parts = [member.statistics for member in self.members.values() if member.statistics is not None]
            self.scaling = combine(parts, self.recipe.signed_log)
        return self._close(0, {}, ())

    def repeat(self, history: History) -> Iterator[ClosedRound]:
        """Go through rounds taught before with the updates of those members who taught them.

        Raises
        ------
        BadInput
            Other rounds than the recipe's.
        PeerError
            Too few of a round's owners are members.
        """
        if len(history.rounds) != self.recipe.rounds:
            raise BadInput("The rounds to repeat are not the recipe's.", code="learning.round")
        places = {owner: member.index for owner, member in self.members.items()}
        for number in range(1, self.recipe.rounds + 1):
            for place, (payload, rows) in history.round(number, places).items():
                update = Update(self._codec.decode(payload, self.common.vector.shape[0]), rows)
                self._updates[place] = (payload_digest(payload), payload, update)
            yield self.close_round()

    def receive(self, frame: bytes) -> bool:
        """An owner's update. True: it counts in the current round. False: it came too late, and is left out.

        Raises
        ------
        BadInput, IntegrityError
            Malformed, forged, of another run, round or base, or a second one in the same round.
        """
        message, payload = LocalUpdate.unpack(frame, self.domain)
        self._same_run(message.run_id)
        member = self.members.get(message.owner)
        if member is None or self.current is None:
            raise BadInput(f"{message.owner} takes no part in this run.", code="learning.not_member")
        if payload_digest(payload) != message.update:
            raise IntegrityError("The update is not the one that was signed.", code="learning.digest")
        if message.round < self.round_number or self.finished:
            self.left.discard(message.owner)
            return False
        if message.round > self.round_number:
            raise BadInput(f"Round {message.round} has not begun.", code="learning.round")
        if message.base != self.current.model.model:
            raise BadInput("The update builds on another model than this round's.", code="learning.base")
        if message.examples != member.joining.examples:
            raise BadInput(
                "The update claims other rows than the owner joined with.", code="learning.examples"
            )
        earlier = self._updates.get(member.index)
        if earlier is not None:
            if earlier[0] == message.update:
                return True
            raise BadInput(
                "There is another update of this owner in this round.", code="learning.second_update"
            )
        update = Update(self._codec.decode(payload, self.common.vector.shape[0]), message.examples)
        self.common.check(member.index, update)
        self._updates[member.index] = (message.update, payload, update)
        self.left.discard(message.owner)
        return True

    @property
    def complete(self) -> bool:
        """Whether everybody who is still there has sent this round's update."""
        waiting = {
            member.index for owner, member in self.members.items() if owner not in self.left
        } - self._updates.keys()
        return not waiting and bool(self._updates)

    def close_round(self) -> ClosedRound:
        """Aggregate what arrived; who is missing is not waited for again until it speaks.

        Raises
        ------
        PeerError
            Fewer owners answered than the recipe needs.
        """
        number = self.round_number
        missing = tuple(owner for owner, member in self.members.items() if member.index not in self._updates)
        if len(self._updates) < self.recipe.minimum_owners:
            raise PeerError(
                f"Round {number} has updates of {len(self._updates)} owners, "
                f"{self.recipe.minimum_owners} are needed.",
                hint=f"No answer from {', '.join(missing) or 'nobody'}. The rounds before are kept.",
                code="learning.too_few_owners",
            )
        self.left.update(missing)
        updates = {index: entry[2] for index, entry in sorted(self._updates.items())}
        before = self.common.vector
        self.common.advance(updates)
        self.rounds.append(Round(before, self.common.marked(updates)))
        received = {index: (entry[0], entry[1]) for index, entry in self._updates.items()}
        self._updates = {}
        return self._close(number, received, missing)

    def advance(self) -> ClosedRound | None:
        """Close the round; None where a round has parts and this was not its last (`PrivateRun`)."""
        return self.close_round()

    def receive_alone(self, frame: bytes) -> Member:
        """The model an owner made alone, to be measured."""
        message, payload = AloneModel.unpack(frame, self.domain)
        self._same_run(message.run_id)
        member = self.members.get(message.owner)
        if member is None:
            raise BadInput(f"{message.owner} takes no part in this run.", code="learning.not_member")
        if payload_digest(payload) != message.model:
            raise IntegrityError("The model is not the one that was signed.", code="learning.digest")
        self.alone[member.index] = ALONE.decode(payload, self.recipe.model.size)
        return member

    def receive_report(self, frame: bytes) -> Member:
        """What an owner tells of its own rows; the last one it sends counts."""
        message, payload = Report.unpack(frame, self.domain)
        self._same_run(message.run_id)
        member = self.members.get(message.owner)
        if member is None:
            raise BadInput(f"{message.owner} takes no part in this run.", code="learning.not_member")
        if payload_digest(payload) != message.report:
            raise IntegrityError("The report is not the one that was signed.", code="learning.digest")
        self.reports[member.index] = OwnReport.from_bytes(payload, self.recipe)
        return member

    def payload_limit(self) -> int:
        """The most bytes any message of this run can have."""
        recipe = self.recipe
        longest = max(self._codec.limit(self.common.vector.shape[0]), ALONE.limit(recipe.model.size))
        return longest + (1 << 16) + 64 * len(recipe.columns)

    def _close(
        self,
        number: int,
        received: Mapping[int, tuple[bytes, bytes]],
        missing: tuple[str, ...],
        *,
        opening: bytes = b"",
    ) -> ClosedRound:
        model = GlobalModel(
            self.run_id,
            number,
            self.common.digest,
            updates_digest({index: entry[0] for index, entry in received.items()}),
            sum(1 << index for index in received),
            number >= self.recipe.rounds,
        )
        updates = {index: entry[1] for index, entry in sorted(received.items())}
        frame = model.pack(self._key, self.domain, whole_model(self.common.vector))
        step = frame
        if self.common.change:
            step = model.pack(self._key, self.domain, changed_model(self.common.change))
        self.current = ClosedRound(number, model, frame, step, updates, missing, opening)
        self.finished = model.last
        return self.current

    def _same_run(self, run_id: int) -> None:
        if run_id != self.run_id:
            raise BadInput(f"This is run {self.run_id}, not {run_id}.", code="learning.other_run")
