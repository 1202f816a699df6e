# SPDX-License-Identifier: Apache-2.0
"""Shares that keepers give in public, each for one reader, so that a false one can be proved false on chain.

The reader makes a secp256k1 key for each keeper of one complaint. A keeper hides its share (32 bytes) with a
point R = r G made for this answer: value XOR keccak256(abi.encode(grant, number, address of r K)), K the
reader's key (ElGamal, hashed). To prove it false the reader shows the one secret key; ``Delivery.vy`` opens
the answer with the ecrecover precompile and compares it with the seller's commitment.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import coincurve

from koinon.chain.hashing import keccak256
from koinon.chain.keys import ORDER, public_key_address
from koinon.errors import BadInput

SHARE_BYTES: Final = 32
SECRET_BYTES: Final = 32

Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class HiddenShare:
    """An answer as the chain carries it: abscissa of R, whether its ordinate is odd, the hidden value."""

    x: int
    odd: bool
    hidden: bytes

    def values(self) -> tuple[int, bool, bytes]:
        """As the contract takes it."""
        return (self.x, self.odd, self.hidden)


class ComplaintKeys:
    """The reader's keys of one complaint, all from one secret of 32 random bytes.

    Whoever has the secret reads every answer; `secret_of` gives one key away and no other.
    """

    def __init__(self, secret: bytes, count: int) -> None:
        if len(secret) != SECRET_BYTES:
            raise BadInput(
                f"The secret of a complaint has {SECRET_BYTES} bytes.", code="data.complaint_secret"
            )
        self._keys = [
            coincurve.PrivateKey(keccak256(b"koinon complaint 1" + secret + bytes([number])))
            for number in range(count)
        ]

    @property
    def points(self) -> list[Point]:
        """The public keys, in the keepers' order."""
        return [key.public_key.point() for key in self._keys]

    def secret_of(self, number: int) -> int:
        """The secret key for one keeper, to refute its answer with."""
        return int.from_bytes(self._keys[number].secret, "big")

    def open(self, grant_id: int, number: int, answer: HiddenShare) -> bytes | None:
        """What the keeper hid; None when its point is none."""
        if not 0 < answer.x < ORDER:
            return None
        try:
            point = coincurve.PublicKey(bytes([2 + answer.odd]) + answer.x.to_bytes(32, "big"))
        except ValueError:
            return None
        return _masked(answer.hidden, grant_id, number, point.multiply(self._keys[number].secret))


def hide_share(
    value: bytes,
    point: Point,
    grant_id: int,
    number: int,
    *,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
) -> HiddenShare:
    """The value of a share (32 bytes) for the one reader who has the key of ``point``.

    Raises BadInput when the point is not on the curve, which the contract refuses as well.
    """
    try:
        reader = coincurve.PublicKey.from_point(*point)
    except (ValueError, OverflowError):
        raise BadInput("This is not a public key.", hint="Ask for another.", code="data.point") from None
    while True:
        secret = coincurve.PrivateKey(entropy(32))
        x, y = secret.public_key.point()
        if x < ORDER:  # the precompile takes no other
            hidden = _masked(value, grant_id, number, reader.multiply(secret.secret))
            return HiddenShare(x, bool(y & 1), hidden)


def _masked(value: bytes, grant_id: int, number: int, shared: coincurve.PublicKey) -> bytes:
    account = bytes.fromhex(public_key_address(shared.format(compressed=False)[1:])[2:])
    pad = keccak256(grant_id.to_bytes(32, "big") + number.to_bytes(32, "big") + bytes(12) + account)
    return bytes(a ^ b for a, b in zip(value, pad, strict=True))
