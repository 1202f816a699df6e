# SPDX-License-Identifier: Apache-2.0
"""What a peer of a swarm commits to before it can know the draw: reveals and scores (`Swarm.vy`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from koinon.chain.hashing import keccak256
from koinon.errors import BadInput

MEMBERS: Final = 16
HIGHEST: Final = 65_535


class Onion:
    """A chain of preimages; each is revealed once, and its keccak256 is what was revealed before.

    Parameters
    ----------
    secret : bytes
        32 random bytes, the innermost preimage; kept by the peer.
    layers : int
        How many preimages there are to reveal, at least one.

    Raises
    ------
    BadInput
        A secret of another length, or no layer.
    """

    def __init__(self, secret: bytes, layers: int) -> None:
        if len(secret) != 32 or layers < 1:
            raise BadInput("An onion needs a secret of 32 bytes and at least one layer.", code="swarm.onion")
        chain = [secret]
        for _ in range(layers):
            chain.append(keccak256(chain[-1]))
        self._chain = tuple(reversed(chain))

    @property
    def tip(self) -> bytes:
        """What the peer commits to when it joins, 32 bytes."""
        return self._chain[0]

    def preimage(self, tip: bytes) -> bytes:
        """The 32 bytes whose keccak256 is ``tip``; BadInput when this onion has none."""
        if tip not in self._chain[:-1]:
            raise BadInput(
                "This onion has no preimage for that tip: another peer's, or all were revealed.",
                code="swarm.onion",
            )
        return self._chain[self._chain.index(tip) + 1]


def packed_scores(scores: Sequence[float]) -> bytes:
    """Scores of up to 16 members as 32 bytes: sixteen big-endian uint16, in 1/65535 of the highest.

    Negative scores count as 0, absent members too; when none is positive all are 0.

    Raises
    ------
    BadInput
        More than 16 scores, or one that is not finite.
    """
    if len(scores) > MEMBERS or any(not abs(score) < float("inf") for score in scores):
        raise BadInput("Scores are at most 16 finite numbers.", code="swarm.scores")
    highest = max([*scores, 0.0])
    values = [round(max(score, 0.0) / highest * HIGHEST) if highest > 0 else 0 for score in scores]
    return b"".join(value.to_bytes(2, "big") for value in values + [0] * (MEMBERS - len(values)))
