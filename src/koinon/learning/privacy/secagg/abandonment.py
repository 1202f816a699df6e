# SPDX-License-Identifier: Apache-2.0
"""Giving up a secret sum that too few are left in, so that the same vectors may be added up in another one.

A collector that lies could say that a sum has failed, have it opened by others all the same, and learn from
the difference of two sums what one participant sent. So whoever has sent its vector sends it once more only
after so many have signed that they will never reveal anything of the first sum that fewer than the threshold
could. Up to ``participants - threshold`` of those who signed may lie about that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from koinon.errors import BadInput, IntegrityError, PeerError
from koinon.learning.privacy.secagg.messages import LONGEST_SIGNATURE, abandoned_part, pack


def enough_to_abandon(participants: int, threshold: int) -> int:
    """How many must sign so that the sum stays closed though ``participants - threshold`` of them lie."""
    return 2 * (participants - threshold) + 1


class Abandonment:
    """What the collector gathers of a failed sum.

    Parameters
    ----------
    context, roster : bytes
        The sum's name, and who took part as everybody was told.
    names : mapping of int to bytes
        Those who are still there.
    needed : int
        How many must sign.

    Attributes
    ----------
    expected, received : set of int
        Who can sign, and who has.
    """

    def __init__(
        self,
        context: bytes,
        roster: bytes,
        names: Mapping[int, bytes],
        check: Callable[[bytes, bytes, bytes], bool],
        *,
        needed: int,
    ) -> None:
        self._signed, self._names, self._check = abandoned_part(context, roster), names, check
        self._needed = needed
        self._signatures: dict[int, bytes] = {}
        self.expected = set(names)

    @property
    def received(self) -> set[int]:
        return set(self._signatures)

    def receive(self, index: int, signature: bytes) -> None:
        """A participant gives the sum up.

        Raises
        ------
        BadInput
            It was not there any more.
        IntegrityError
            The signature does not hold.
        """
        if index not in self.expected:
            raise BadInput(
                f"Participant {index} takes no part in this phase of the sum.", code="learning.secagg_order"
            )
        if len(signature) > LONGEST_SIGNATURE or not self._check(self._names[index], self._signed, signature):
            raise IntegrityError(
                f"A signature of participant {index} does not hold.",
                hint="It was altered, or made for another sum.",
                code="learning.secagg_signature",
            )
        self._signatures[index] = signature

    def signatures(self) -> bytes:
        """What everybody is shown before the next sum; PeerError when too few have signed."""
        if len(self._signatures) < self._needed:
            raise PeerError(
                f"{len(self._signatures)} have given the secret sum up, {self._needed} are needed.",
                hint="Start again with those who stay. Nothing of anybody was unmasked.",
                code="learning.secagg_threshold",
            )
        return pack(self._signatures)
