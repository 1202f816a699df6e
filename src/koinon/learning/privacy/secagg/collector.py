# SPDX-License-Identifier: Apache-2.0
"""Whoever brings the messages of a secret sum together, and learns the sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from koinon.errors import BadInput, IntegrityError, KoinonError, PeerError
from koinon.learning.privacy.secagg.abandonment import Abandonment, enough_to_abandon
from koinon.learning.privacy.secagg.masks import Units, decode_words, public_of
from koinon.learning.privacy.secagg.messages import (
    KEY_SHARE,
    LONGEST_SIGNATURE,
    SEED_SHARE,
    Advert,
    Dealt,
    Phase,
    agreed_part,
    pack,
    seed_commitment,
    share_commitment,
    unpack,
)
from koinon.learning.privacy.secagg.unmasking import Unmasking, unmasked_sum
from koinon.learning.privacy.threshold import threshold_for
from koinon.shamir import Share, combine


class Collector:
    """One secret sum: `receive` messages of the phase, `close` it, hand out each one's `answer`.

    Parameters
    ----------
    context : bytes
        Names this one sum, as for `Participant`.
    names : mapping of int to bytes
        Who may take part, by index.
    check : callable
        As `Identity.check`.
    size : int
        Numbers in each vector.
    minimum, threshold : int
        As for `Participant`.

    Attributes
    ----------
    phase : Phase
        What is being collected.
    expected : set of int
        Who can still send in this phase: those who sent in the one before.
    received : set of int
        Who has.
    faults : dict of int to str
        Who revealed shares that are not those that were dealt, and why they do not count.
    """

    def __init__(
        self,
        context: bytes,
        names: Mapping[int, bytes],
        check: Callable[[bytes, bytes, bytes], bool],
        size: int,
        *,
        minimum: int = 3,
        threshold: int = 0,
    ) -> None:
        self._context, self._names, self._check, self._size = context, names, check, size
        self._minimum, self._wanted = minimum, threshold
        self.phase, self.threshold = Phase.KEYS, 0
        self.expected: set[int] = set(names)
        self.faults: dict[int, str] = {}
        self.masked: dict[int, bytes] = {}
        self._messages: dict[int, bytes] = {}
        self._adverts: dict[int, Advert] = {}
        self._dealt: dict[int, dict[int, Dealt]] = {}
        self._answers: dict[int, bytes] = {}
        self._roster = b""
        self._unmasking: Unmasking | None = None

    @property
    def received(self) -> set[int]:
        return set(self._messages)

    def receive(self, index: int, message: bytes) -> None:
        """One participant's message of this phase; the same one again changes nothing.

        Raises
        ------
        BadInput
            Not expected, another one than before, or malformed.
        IntegrityError
            A signature that does not hold.
        """
        if index not in self.expected or self.phase == Phase.DONE:
            raise BadInput(
                f"Participant {index} takes no part in this phase of the sum.", code="learning.secagg_order"
            )
        before = self._messages.get(index)
        if before is not None and before != message:
            raise BadInput(
                f"Participant {index} has said something else in this phase.", code="learning.secagg_order"
            )
        if before is None:
            self._look_at(index, message)
            self._messages[index] = message

    def close(self) -> None:
        """End the phase with whoever has sent.

        Raises
        ------
        PeerError
            Too few are left, or too many revealed wrong shares; the sum cannot be had any more.
        """
        messages, phase = self._messages, self.phase
        needed = self._minimum if phase == Phase.KEYS else self.threshold
        if len(messages) < needed:
            raise PeerError(
                f"{len(messages)} are left in the secret sum, {needed} are needed.",
                hint="Start again with those who stay. Nothing of anybody was unmasked.",
                code="learning.secagg_threshold",
            )
        match phase:
            case Phase.KEYS:
                self.threshold = threshold_for(len(messages), self._wanted)
                self._adverts = {index: Advert.decode(data) for index, data in messages.items()}
                self._roster = pack(messages)
                self._answers = dict.fromkeys(messages, self._roster)
            case Phase.SHARES:
                self._dealt = {index: _dealt(data) for index, data in messages.items()}
                self._answers = {
                    holder: pack(
                        {
                            dealer: dealt[holder].encode()
                            for dealer, dealt in self._dealt.items()
                            if dealer != holder
                        }
                    )
                    for holder in messages
                }
            case Phase.MASKED:
                self.masked = messages
                self._answers = dict.fromkeys(messages, pack(dict.fromkeys(messages, b"")))
            case Phase.AGREEMENT:
                self._answers = dict.fromkeys(messages, pack(messages))
            case Phase.REVEAL:
                self._unmasking, self._answers = self._combined(messages), {}
        self.expected, self._messages, self.phase = set(messages), {}, Phase(phase + 1)

    def answer(self, index: int) -> bytes:
        """What a participant is told after the phase before; BadInput for one that was not part of it."""
        if index not in self._answers:
            raise BadInput(
                f"Participant {index} takes no part in this phase of the sum.", code="learning.secagg_order"
            )
        return self._answers[index]

    def abandonment(self) -> Abandonment | None:
        """To give up a sum whose `close` failed; None where too few are left for that, or for another sum.

        Once shares are revealed it is too late.
        """
        if self.phase not in (Phase.SHARES, Phase.MASKED, Phase.AGREEMENT):
            return None
        sent_vectors = self.phase != Phase.SHARES
        needed = enough_to_abandon(len(self._adverts), self.threshold) if sent_vectors else 0
        if len(self._messages) < max(needed, self._minimum):
            return None
        names = {index: self._names[index] for index in self._messages}
        return Abandonment(self._context, self._roster, names, self._check, needed=needed)

    @property
    def unmasking(self) -> Unmasking:
        """What was revealed, after the last phase."""
        if self._unmasking is None:
            raise BadInput("The secret sum is not over.", code="learning.secagg_order")
        return self._unmasking

    def total(self) -> Units:
        """The sum of the survivors' vectors, after the last phase."""
        return unmasked_sum(self.masked, self.unmasking, self._context, self._size)

    def _look_at(self, index: int, message: bytes) -> None:
        match self.phase:
            case Phase.KEYS:
                advert = Advert.decode(message)
                signed = advert.signed_part(self._context, index)
                if advert.name != self._names[index] or not self._check(
                    advert.name, signed, advert.signature
                ):
                    self._forged(index)
            case Phase.SHARES:
                dealt = _dealt(message)
                own = [holder for holder, one in dealt.items() if not one.sealed]
                if set(dealt) != set(self._adverts) or own != [index]:
                    raise BadInput(
                        f"Participant {index} deals shares to others than the roster's.",
                        code="learning.secagg_message",
                    )
            case Phase.MASKED:
                decode_words(message, self._size)
            case Phase.AGREEMENT:
                signed = agreed_part(self._context, self._roster, self._dealt, self.masked)
                if len(message) > LONGEST_SIGNATURE or not self._check(self._names[index], signed, message):
                    self._forged(index)
            case Phase.REVEAL:
                self._revealed(index, message)

    def _forged(self, index: int) -> None:
        raise IntegrityError(
            f"A signature of participant {index} does not hold.",
            hint="It was altered, or made for another sum.",
            code="learning.secagg_signature",
        )

    def _revealed(self, index: int, message: bytes) -> dict[int, bytes]:
        """What was revealed, by dealer: the right kind for each, and all of them."""
        found = unpack(message)
        kinds = {dealer: SEED_SHARE if dealer in self.masked else KEY_SHARE for dealer in self._dealt}
        if {dealer: data[:1] for dealer, data in found.items()} != kinds:
            raise BadInput(
                f"Participant {index} reveals other shares than asked for.", code="learning.secagg_message"
            )
        return {dealer: data[1:] for dealer, data in found.items()}

    def _combined(self, messages: Mapping[int, bytes]) -> Unmasking:
        good: dict[int, list[Share]] = {dealer: [] for dealer in self._dealt}
        for holder, message in messages.items():
            for dealer, value in self._revealed(holder, message).items():
                kind = SEED_SHARE if dealer in self.masked else KEY_SHARE
                dealt = self._dealt[dealer][holder]
                wanted = dealt.seed_commitment if kind == SEED_SHARE else dealt.key_commitment
                if share_commitment(self._context, dealer, holder, kind, value) == wanted:
                    good[dealer].append(Share(holder + 1, value))
                else:
                    self.faults[holder] = f"its share of participant {dealer} is not the one dealt"
        secrets = {dealer: self._secret(dealer, shares) for dealer, shares in good.items()}
        return Unmasking(
            {dealer: secret for dealer, secret in secrets.items() if dealer in self.masked},
            {dealer: secret for dealer, secret in secrets.items() if dealer not in self.masked},
            {dealer: self._adverts[dealer].mask_key for dealer in secrets},
        )

    def _secret(self, dealer: int, shares: list[Share]) -> bytes:
        if len(shares) < self.threshold:
            liars = "; ".join(f"{holder}: {reason}" for holder, reason in sorted(self.faults.items()))
            raise PeerError(
                f"Only {len(shares)} sound shares of participant {dealer} were revealed, "
                f"{self.threshold} are needed.",
                hint=f"Leave out who lied ({liars})." if liars else "Start again with those who stay.",
                code="learning.secagg_share",
            )
        secret, advert = combine(shares, self.threshold), self._adverts[dealer]
        if dealer in self.masked:
            sound = seed_commitment(self._context, dealer, secret) == advert.seed_commitment
        else:
            sound = public_of(secret) == advert.mask_key
        if not sound:
            raise PeerError(
                f"Participant {dealer} dealt shares of another secret than it advertised.",
                hint="Leave it out and start again.",
                code="learning.secagg_share",
            )
        return secret


def _dealt(message: bytes) -> dict[int, Dealt]:
    try:
        return {index: Dealt.decode(data) for index, data in unpack(message).items()}
    except KoinonError as error:
        raise BadInput(error.message, code="learning.secagg_message") from error
