# SPDX-License-Identifier: Apache-2.0
"""The updates of the round that is being taught, checked as they come. No network, no clock.

An update is bound by its signature to chain, run, round, peer and the model it begins with. Who signs two
different ones for the same round and model is left out of it; both are kept, and anyone can check them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from koinon.chain.eip712 import Domain
from koinon.errors import BadInput, IntegrityError
from koinon.learning.aggregation import Update
from koinon.learning.codecs import codec_named
from koinon.learning.common import CommonModel
from koinon.learning.messages import LocalUpdate, payload_digest, split_frame, updates_digest
from koinon.learning.recipe import Recipe
from koinon.learning.swarm.roster import Roster

_ENTRY: Final = 33


@dataclass(frozen=True)
class Received:
    """A checked update: the frame and its digest, what it says, and as the recipe's codec reads it."""

    member: int
    frame: bytes
    digest: bytes
    message: LocalUpdate
    payload: bytes
    update: Update


@dataclass(frozen=True)
class _Opened:
    """An update whose signature is checked, and nothing else."""

    frame: bytes
    member: int
    message: LocalUpdate
    payload: bytes


@dataclass(frozen=True)
class Listing:
    """The frames a round was made of: sha256 by member."""

    frames: Mapping[int, bytes]

    def to_bytes(self) -> bytes:
        """For each member in order one byte and its frame's digest."""
        return b"".join(bytes((member,)) + digest for member, digest in sorted(self.frames.items()))

    @classmethod
    def from_bytes(cls, content: bytes) -> Listing:
        """Read what `to_bytes` wrote; BadInput when it is something else."""
        parts = [content[start : start + _ENTRY] for start in range(0, len(content), _ENTRY)]
        found = cls({part[0]: part[1:] for part in parts if len(part) == _ENTRY})
        if not parts or found.to_bytes() != content:
            raise BadInput("This is no list of updates.", code="learning.message")
        return found

    @property
    def participants(self) -> int:
        """A bit a member."""
        return sum(1 << member for member in self.frames)


class Inbox:
    """Updates of one round at a time, by member.

    Parameters
    ----------
    common : CommonModel
        The model the round begins with; advanced by the caller only while it holds ``lock``.
    """

    def __init__(
        self, recipe: Recipe, run_id: int, domain: Domain, roster: Roster, common: CommonModel
    ) -> None:
        self._run_id, self.domain, self._roster, self.common = run_id, domain, roster, common
        self._codec = codec_named(recipe.codec)
        self.limit: int = self._codec.limit(common.vector.shape[0]) + (1 << 14)
        self.lock = threading.RLock()
        self._base = common.digest
        self._received: dict[int, Received] = {}
        self._ahead: dict[str, _Opened] = {}
        self._twofold: dict[int, tuple[bytes, bytes]] = {}

    @property
    def number(self) -> int:
        """The round being taught."""
        return self.common.round + 1

    def begin(self) -> None:
        """The common model has changed: collect for the round after it."""
        with self.lock:
            self._base = self.common.digest
            self._received, self._twofold = {}, {}
            ahead, self._ahead = self._ahead, {}
            for one in ahead.values():
                try:
                    self._take(one)
                except (BadInput, IntegrityError):
                    continue  # it would not have been taken in time either

    def receive(self, frame: bytes) -> bool:
        """Take in an update; whether it counts in this round. One for a later round is looked at then.

        Raises
        ------
        BadInput, IntegrityError
            Malformed, not finite, of another size, run, round, model or peer, forged, or a second one.
        """
        if len(frame) > self.limit:
            raise BadInput(
                f"An update of this run has at most {self.limit} bytes.", code="learning.message_too_large"
            )
        return self._take(self._opened(frame))

    def _opened(self, frame: bytes) -> _Opened:
        message, payload = LocalUpdate.unpack(frame, self.domain)
        return _Opened(frame, self._known(message), message, payload)

    def _take(self, one: _Opened) -> bool:
        message, member = one.message, one.member
        with self.lock:
            if message.round > self.number:
                self._ahead[message.owner] = one
                return False
            found = self._read(one, self.number, self._base)
            if member in self._twofold:
                return False
            earlier = self._received.setdefault(member, found)
            if (earlier.message.update, earlier.message.examples) == (message.update, message.examples):
                return True
            del self._received[member]
            self._twofold[member] = (earlier.frame, one.frame)
            raise _signed_twice(message)

    def read(self, frame: bytes, number: int, base: bytes) -> Received:
        """An update that could be part of this round; errors as in `receive`. Changes nothing."""
        return self._read(self._opened(frame), number, base)

    def _read(self, one: _Opened, number: int, base: bytes) -> Received:
        frame, member, message, payload = one.frame, one.member, one.message, one.payload
        if payload_digest(payload) != message.update:
            raise IntegrityError("The update is not the one that was signed.", code="learning.digest")
        if message.round != number:
            raise BadInput(f"The update is of round {message.round}, not {number}.", code="learning.round")
        if message.base != base:
            raise BadInput("The update builds on another model than this round's.", code="learning.base")
        agreed = self._roster.agreed(member)
        if agreed is None:
            raise BadInput(f"What {message.owner} agreed to is not known.", code="swarm.not_agreed")
        if message.examples != agreed.joining.examples:
            raise BadInput(
                "The update claims other rows than the owner joined with.", code="learning.examples"
            )
        with self.lock:
            update = Update(self._codec.decode(payload, self.common.vector.shape[0]), message.examples)
            self.common.check(member, update)
        return Received(member, frame, payload_digest(frame), message, payload, update)

    def convict(self, frames: tuple[bytes, bytes]) -> bool:
        """Two different updates that one peer signed for this round and model; whether that was news.

        Raises
        ------
        BadInput, IntegrityError
            They prove nothing.
        """
        one, other = (LocalUpdate.unpack(frame, self.domain)[0] for frame in frames)
        member = self._known(one)
        same = (one.owner, one.round, one.base) == (other.owner, other.round, other.base)
        if not same or (one.update, one.examples) == (other.update, other.examples):
            raise BadInput("These two updates contradict nothing.", code="swarm.no_contradiction")
        with self.lock:
            if (one.round, one.base) != (self.number, self._base) or member in self._twofold:
                return False
            self._received.pop(member, None)
            self._twofold[member] = frames
            return True

    @property
    def received(self) -> dict[int, Received]:
        """What counts, by member in order."""
        with self.lock:
            return dict(sorted(self._received.items()))

    @property
    def twofold(self) -> dict[int, tuple[bytes, bytes]]:
        """Members that signed two updates for this round, with both frames."""
        with self.lock:
            return dict(self._twofold)

    def by_digest(self, digest: bytes) -> Received | None:
        """A checked update of this round by its frame's sha256."""
        with self.lock:
            return next((one for one in self._received.values() if one.digest == digest), None)

    def _known(self, message: LocalUpdate) -> int:
        if message.run_id != self._run_id:
            raise BadInput(f"This is run {self._run_id}, not {message.run_id}.", code="learning.other_run")
        fellow = self._roster.get(message.owner)
        if fellow is None or fellow.member is None:
            raise BadInput(f"{message.owner} teaches nothing in this run.", code="learning.not_member")
        return fellow.member


def listing_of(received: Mapping[int, Received]) -> Listing:
    """The list a leader publishes."""
    return Listing({member: one.digest for member, one in received.items()})


def digest_of(received: Mapping[int, Received]) -> bytes:
    """What the chain records for these updates."""
    return updates_digest({member: one.message.update for member, one in received.items()})


def place_of(number: int, base: bytes, updates: bytes) -> bytes:
    """What a list of updates is kept and asked for by: two rounds may be made of the same changes."""
    return payload_digest(number.to_bytes(8, "big") + base + updates)


def pack_pair(frames: tuple[bytes, bytes]) -> bytes:
    """Two frames as one body."""
    return len(frames[0]).to_bytes(4, "big") + frames[0] + frames[1]


def unpack_pair(content: bytes) -> tuple[bytes, bytes]:
    """Read what `pack_pair` wrote."""
    length = int.from_bytes(content[:4], "big")
    return content[4 : 4 + length], content[4 + length :]


def owner_of(frame: bytes) -> str:
    """Who a frame says it is from, unchecked."""
    return str(split_frame(frame)[0].get("owner", ""))


def _signed_twice(message: LocalUpdate) -> IntegrityError:
    return IntegrityError(
        f"{message.owner} signed two updates for round {message.round}; neither counts.",
        code="swarm.signed_twice",
    )


def updates_of(received: Sequence[Received] | Mapping[int, Received]) -> dict[int, Update]:
    """By member, as `CommonModel.advance` takes them."""
    found = received.values() if isinstance(received, Mapping) else received
    return {one.member: one.update for one in found}
