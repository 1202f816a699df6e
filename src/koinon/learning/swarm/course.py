# SPDX-License-Identifier: Apache-2.0
"""The course of a run as one peer computed it: every round from its updates; undone where overturned.

No network: the updates of a round come in as the frames that were signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from koinon.learning.aggregation import Update
from koinon.learning.common import CommonModel
from koinon.learning.evidence import Evidence, RoundEvidence
from koinon.learning.messages import split_frame
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling
from koinon.learning.swarm.inbox import Inbox, Listing, Received, digest_of, listing_of, place_of, updates_of
from koinon.learning.swarm.journal import Accepted, Journal


@dataclass(frozen=True)
class Computed:
    """A round tried: which frames, the model's digest after it, and everything to go on from there."""

    listing: Listing
    model: bytes
    snapshot: bytes


class Course:
    """The common model after the last round that this peer accepts.

    Parameters
    ----------
    common : CommonModel
        Shared with ``inbox``; this class advances it.
    """

    def __init__(self, recipe: Recipe, common: CommonModel, inbox: Inbox, journal: Journal) -> None:
        self.recipe, self.common = recipe, common
        self._inbox, self._journal = inbox, journal
        self._scratch = CommonModel(recipe)
        self._start = common.snapshot()
        self._last: Computed | None = None  # where the scratch stands
        self._tried: dict[tuple[bytes, bytes], Computed] = {}
        self.models: dict[int, bytes] = {0: common.digest, **journal.models()}
        if journal.last():
            self._restore(journal.last())

    @property
    def round(self) -> int:
        """The last round that was accepted."""
        return self.common.round

    @property
    def base(self) -> bytes:
        """Digest of the model after it."""
        return self.models[self.round]

    def compute(self, received: Mapping[int, Received]) -> Computed:
        """What the next round comes to with these updates; changes nothing."""
        listing = listing_of(received)
        place = (self.base, listing.to_bytes())
        if place not in self._tried:
            self._tried = {place: self._try(updates_of(received), listing)}
        return self._tried[place]

    def accept(self, computed: Computed, received: Mapping[int, Received]) -> None:
        """Go on from a round that was computed; see `Journal.accept` for how well it is kept."""
        number = self.round + 1
        accepted = Accepted(number, computed.model, computed.listing.to_bytes(), computed.snapshot)
        frames = [one.frame for one in received.values()]
        place = place_of(number, self.base, digest_of(received))
        self._journal.accept(accepted, place, frames)
        with self._inbox.lock:
            if computed is self._last:
                self.common.follow(self._scratch)
            else:
                self.common.restore(computed.snapshot)
            self.models[number] = computed.model
            self._inbox.begin()

    def roll_back(self, to_round: int) -> None:
        """The rounds after one were overturned."""
        self._journal.roll_back(to_round)
        self.models = {number: model for number, model in self.models.items() if number <= to_round}
        self._restore(to_round)

    def evidence(self, scaling: Scaling, owners: int) -> Evidence:
        """All rounds with their updates."""
        rounds = []
        for number in range(1, self.round + 1):
            accepted = self._journal.accepted(number)
            listing = Listing.from_bytes(b"" if accepted is None else accepted.listing)
            updates, examples = {}, {}
            for member, digest in sorted(listing.frames.items()):
                head, payload = split_frame(self._journal.frame(digest) or b"")
                updates[member], examples[member] = payload, int(head["examples"])
            rounds.append(RoundEvidence(number, updates, examples, self.models[number]))
        return Evidence(self.recipe, scaling, owners, tuple(rounds))

    def _try(self, updates: Mapping[int, Update], listing: Listing) -> Computed:
        self._scratch.follow(self.common)
        self._scratch.advance(updates)
        self._last = Computed(listing, self._scratch.digest, self._scratch.snapshot())
        return self._last

    def _restore(self, to_round: int) -> None:
        accepted = self._journal.accepted(to_round)
        with self._inbox.lock:
            if to_round == 0:
                self.common.restore(self._start)
            elif accepted is not None and accepted.snapshot:
                self.common.restore(accepted.snapshot)
            else:
                self._replay(to_round)
            self._inbox.begin()

    def _replay(self, to_round: int) -> None:
        """Where a snapshot is gone, from the first round on."""
        self.common.restore(self._start)
        for one in self._replayed(range(1, to_round + 1)):
            self.common.advance(one)

    def _replayed(self, numbers: Iterable[int]) -> Iterable[dict[int, Update]]:
        for number in numbers:
            accepted = self._journal.accepted(number)
            listing = Listing.from_bytes(b"" if accepted is None else accepted.listing)
            yield updates_of(
                [
                    self._inbox.read(self._journal.frame(digest) or b"", number, self.models[number - 1])
                    for digest in listing.frames.values()
                ]
            )
