# SPDX-License-Identifier: Apache-2.0
"""One participant of one secret sum. It trusts the collector with nothing but being there."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from koinon.errors import BadInput, IntegrityError, PeerError
from koinon.learning.privacy.secagg.abandonment import enough_to_abandon
from koinon.learning.privacy.secagg.masks import (
    Units,
    encode_words,
    pair_mask,
    public_of,
    self_mask,
    shared_secret,
    to_words,
)
from koinon.learning.privacy.secagg.messages import (
    KEY_BYTES,
    KEY_SHARE,
    SEED_SHARE,
    Advert,
    Dealt,
    Identity,
    Phase,
    abandoned_part,
    agreed_part,
    pack,
    seed_commitment,
    share_commitment,
    unpack,
)
from koinon.learning.privacy.threshold import threshold_for
from koinon.shamir import split

_NONCE = bytes(12)  # every sealing key seals one message


class Participant:
    """Goes through the phases once, in order; whatever comes out of order is refused.

    Parameters
    ----------
    index : int
        Its place, 0 to 254, which the others know it by.
    context : bytes
        Names this one sum; the same for all, never used twice.
    identity : Identity
    minimum, threshold : int
        Fewest participants to begin with, and how many must stay (0: see `threshold_for`).
    entropy : callable
        Gives so many bytes that nobody can foresee.
    """

    def __init__(
        self,
        index: int,
        context: bytes,
        identity: Identity,
        *,
        minimum: int = 3,
        threshold: int = 0,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.index, self._context, self._identity = index, context, identity
        self._minimum, self._wanted, self._entropy = minimum, threshold, entropy
        self._seal_private, self._mask_private = entropy(KEY_BYTES), entropy(KEY_BYTES)
        self._seed = entropy(KEY_BYTES)
        self._phase, self.threshold = Phase.KEYS, 0
        self._sent_vector = False
        self._roster: dict[int, Advert] = {}
        self._roster_bytes = b""
        self._held: dict[int, tuple[bytes, bytes]] = {}
        self._survivors: tuple[int, ...] = ()

    @property
    def names(self) -> dict[int, bytes]:
        """Who takes part, by index, once the roster is known."""
        return {index: advert.name for index, advert in self._roster.items()}

    def advertise(self) -> bytes:
        """Fresh public keys, signed."""
        self._enter(Phase.KEYS)
        keys = Advert(
            self._identity.name,
            public_of(self._seal_private),
            public_of(self._mask_private),
            seed_commitment(self._context, self.index, self._seed),
        )
        signature = self._identity.sign(keys.signed_part(self._context, self.index))
        self._advert = Advert(keys.name, keys.seal_key, keys.mask_key, keys.seed_commitment, signature)
        return self._advert.encode()

    def share(self, roster: bytes) -> bytes:
        """Split both secrets among everybody in the roster.

        Raises
        ------
        PeerError
            Too few take part.
        IntegrityError
            A signature in it does not hold, a name or key is there twice, or one's own keys are not.
        """
        self._enter(Phase.SHARES)
        found = {index: Advert.decode(data) for index, data in unpack(roster).items()}
        if len(found) < self._minimum:
            self._too_few(len(found), self._minimum)
        self.threshold = threshold_for(len(found), self._wanted)
        if found.get(self.index) != self._advert:
            raise IntegrityError(
                "The collector shows others another key than yours.", code="learning.secagg_key"
            )
        keys = [key for one in found.values() for key in (one.seal_key, one.mask_key)]
        if len(set(keys)) < len(keys) or len({one.name for one in found.values()}) < len(found):
            raise IntegrityError("Somebody takes part twice in this secret sum.", code="learning.secagg_key")
        for index, one in found.items():
            if not self._identity.check(one.name, one.signed_part(self._context, index), one.signature):
                self._forged(index)
        self._roster, self._roster_bytes = found, roster
        highest = max(found) + 1
        key_shares = split(self._mask_private, self.threshold, highest, entropy=self._entropy)
        seed_shares = split(self._seed, self.threshold, highest, entropy=self._entropy)
        dealt = {
            index: self._deal(index, key_shares[index].value, seed_shares[index].value) for index in found
        }
        return pack({index: one.encode() for index, one in dealt.items()})

    def mask(self, values: Units, sealed: bytes) -> bytes:
        """The values under one's own mask and one with everybody who dealt shares.

        Parameters
        ----------
        values : int64 array, shape (size,)
            Below 2^30, and so small that the sum is too.
        sealed : bytes
            What the collector passed on.

        Raises
        ------
        IntegrityError
            A share was altered, or is not the one its dealer committed to; names the dealer.
        PeerError
            Too few dealt shares.
        """
        self._enter(Phase.MASKED)
        for dealer, data in unpack(sealed).items():
            self._held[dealer] = self._opened(dealer, data)
        if len(self._held) < self.threshold:
            self._too_few(len(self._held), self.threshold)
        words = to_words(values) + self_mask(self._seed, self._context, values.shape[0])
        for other in self._held:
            if other != self.index:
                key = self._roster[other].mask_key
                pair = (self.index, other)
                shared = pair_mask(self._mask_private, key, self._context, pair, values.shape[0])
                if self.index < other:
                    words += shared
                else:
                    words -= shared
        self._sent_vector = True
        return encode_words(words)

    def agree(self, survivors: bytes) -> bytes:
        """Sign, once, whose vectors are in the sum.

        Raises
        ------
        PeerError
            Too few are left.
        IntegrityError
            The list names somebody who did not share, or leaves this participant out.
        """
        self._enter(Phase.AGREEMENT)
        named = tuple(unpack(survivors))
        if len(named) < self.threshold:
            self._too_few(len(named), self.threshold)
        if not set(named) <= set(self._held) or self.index not in named:
            raise IntegrityError(
                "The collector names survivors that cannot be.", code="learning.secagg_survivors"
            )
        self._survivors = named
        return self._identity.sign(self._agreement())

    def reveal(self, signatures: bytes) -> bytes:
        """A share of every survivor's seed and of every dropped participant's key.

        Raises
        ------
        PeerError
            Fewer than the threshold agreed.
        IntegrityError
            A signature does not hold for the list that this participant signed.
        """
        self._enter(Phase.REVEAL)
        agreed = unpack(signatures)
        for index, signature in agreed.items():
            known = index in self._survivors
            if not known or not self._identity.check(self._roster[index].name, self._agreement(), signature):
                self._forged(index)
        if len(agreed) < self.threshold:
            self._too_few(len(agreed), self.threshold)
        return pack(
            {
                dealer: SEED_SHARE + seed_share if dealer in self._survivors else KEY_SHARE + key_share
                for dealer, (key_share, seed_share) in self._held.items()
            }
        )

    def abandon(self) -> bytes:
        """Sign that nothing of this sum will ever be revealed; BadInput when it is too early or too late."""
        if self._phase not in (Phase.MASKED, Phase.AGREEMENT, Phase.REVEAL):
            raise BadInput(
                "A secret sum was to be given up before it began, or after shares were revealed.",
                hint="Whoever asks for that may want the same vectors in two sums.",
                code="learning.secagg_order",
            )
        self._phase = Phase.ABANDON
        return self._identity.sign(abandoned_part(self._context, self._roster_bytes))

    def check_abandoned(self, signatures: bytes) -> None:
        """Make sure that the sum can never be opened, before the same values go into another one.

        Raises
        ------
        PeerError
            Too few gave it up, so that the rest could still open it.
        IntegrityError
            A signature does not hold, or shares were revealed already.
        """
        if not self._sent_vector:
            return
        if self._phase == Phase.DONE:
            raise IntegrityError(
                "The collector wants a sum again whose shares were revealed.", code="learning.secagg_order"
            )
        signed, found = abandoned_part(self._context, self._roster_bytes), unpack(signatures)
        for index, signature in found.items():
            known = index in self._roster
            if not known or not self._identity.check(self._roster[index].name, signed, signature):
                self._forged(index)
        needed = enough_to_abandon(len(self._roster), self.threshold)
        if len(found) < needed:
            self._too_few(len(found), needed)

    def _agreement(self) -> bytes:
        return agreed_part(self._context, self._roster_bytes, self._held, self._survivors)

    def _deal(self, holder: int, key_share: bytes, seed_share: bytes) -> Dealt:
        commitments = (
            share_commitment(self._context, self.index, holder, KEY_SHARE, key_share),
            share_commitment(self._context, self.index, holder, SEED_SHARE, seed_share),
        )
        if holder == self.index:
            self._held[holder] = (key_share, seed_share)
            return Dealt(*commitments, b"")
        sealing = self._sealing(self.index, holder)
        return Dealt(*commitments, sealing.encrypt(_NONCE, key_share + seed_share, self._context))

    def _opened(self, dealer: int, data: bytes) -> tuple[bytes, bytes]:
        dealt = Dealt.decode(data)
        if dealer not in self._roster or dealer == self.index:
            raise IntegrityError(
                f"Participant {dealer} dealt shares without being part of the sum.",
                code="learning.secagg_share",
            )
        try:
            plain = self._sealing(dealer, self.index).decrypt(_NONCE, dealt.sealed, self._context)
        except InvalidTag:
            plain = b""
        key_share, seed_share = plain[:KEY_BYTES], plain[KEY_BYTES:]
        places = (self._context, dealer, self.index)
        if (
            share_commitment(*places, KEY_SHARE, key_share) != dealt.key_commitment
            or share_commitment(*places, SEED_SHARE, seed_share) != dealt.seed_commitment
        ):
            raise IntegrityError(
                f"Participant {dealer} dealt a share that is not the one it committed to.",
                hint="It, or the collector, cheats; nothing of yours was sent.",
                code="learning.secagg_share",
            )
        return key_share, seed_share

    def _sealing(self, dealer: int, holder: int) -> ChaCha20Poly1305:
        other = self._roster[holder if dealer == self.index else dealer]
        places = dealer.to_bytes(2, "big") + holder.to_bytes(2, "big")
        purpose = b"koinon secagg 1 seal" + self._context + places
        return ChaCha20Poly1305(shared_secret(self._seal_private, other.seal_key, purpose))

    def _enter(self, phase: Phase) -> None:
        if phase != self._phase:
            raise BadInput(
                "A phase of a secret sum was asked for twice or out of order.",
                hint="Whoever asks twice may want both secrets of somebody.",
                code="learning.secagg_order",
            )
        self._phase = Phase(phase + 1)

    def _too_few(self, found: int, needed: int) -> NoReturn:
        raise PeerError(
            f"{found} take part in the secret sum, {needed} are needed.",
            hint="Nothing that was sent can be unmasked.",
            code="learning.secagg_threshold",
        )

    def _forged(self, index: int) -> NoReturn:
        raise IntegrityError(
            f"A signature of participant {index} does not hold.",
            hint="It was forged, or the collector tells participants different things.",
            code="learning.secagg_signature",
        )
