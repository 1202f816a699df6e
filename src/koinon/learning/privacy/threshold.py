# SPDX-License-Identifier: Apache-2.0
"""How many must take part in a secret sum, and how many must stay."""

from __future__ import annotations

from typing import Final

from koinon.errors import BadInput
from koinon.shamir import MAXIMUM_SHARES

MINIMUM: Final = 3
"""Of two, each would learn the other's vector from the sum."""


def threshold_for(participants: int, wanted: int = 0) -> int:
    """How many must stay to the end: ``wanted``, or by default more than two thirds.

    With more than two thirds, a collector that lies to some and colludes with up to a third still cannot have
    both secrets of anybody revealed. Any more than half holds against a collector that only looks.

    Raises
    ------
    BadInput
        Fewer than three participants, too many for the shares, or half of them or fewer wanted.
    """
    if not MINIMUM <= participants <= MAXIMUM_SHARES:
        raise BadInput(
            f"{participants} cannot add up in secret; {MINIMUM} to {MAXIMUM_SHARES} can.",
            code="learning.secagg_threshold",
        )
    threshold = wanted or 2 * participants // 3 + 1
    if not participants < 2 * threshold <= 2 * participants:
        raise BadInput(
            f"A threshold of {threshold} of {participants} is not safe or cannot be reached.",
            hint="Take more than half of the participants, by default more than two thirds.",
            code="learning.secagg_threshold",
        )
    return threshold
