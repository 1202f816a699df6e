# SPDX-License-Identifier: Apache-2.0
"""From masked changes to the next common model: the same bits for the leader and for whoever checks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from koinon.errors import BadInput
from koinon.learning.aggregation import Update
from koinon.learning.common import CommonModel
from koinon.learning.contribution import Round
from koinon.learning.privacy.noised_sum import NoisedSum
from koinon.learning.privacy.secagg import Unmasking, unmasked_sum
from koinon.learning.privacy.threshold import threshold_for

CONTEXT_BYTES = 32


@dataclass(frozen=True)
class Opening:
    """What opens one round's sum, kept with the masked changes: the sum's name, and what was revealed."""

    context: bytes
    unmasking: Unmasking

    def encode(self) -> bytes:
        return self.context + self.unmasking.encode()

    @classmethod
    def decode(cls, data: bytes) -> Opening:
        """Read what `encode` wrote; BadInput when it is something else."""
        if len(data) < CONTEXT_BYTES:
            raise BadInput("This opens no private sum.", code="learning.secagg_message")
        return cls(data[:CONTEXT_BYTES], Unmasking.decode(data[CONTEXT_BYTES:]))


def advance_by_sum(
    common: CommonModel, masked: Mapping[int, bytes], opening: Opening, rows: Mapping[int, int]
) -> Round:
    """Close a round by its masked changes; everybody in the round found stands for the mean.

    Parameters
    ----------
    masked : mapping of int to bytes
        As they came, by owner index.
    rows : mapping of int to int
        How many each owner said it taught with.

    Raises
    ------
    BadInput, IntegrityError
        The masked changes are not what the opening opens.
    PeerError
        The sum is longer than clipped changes can make it.
    """
    recipe, before, owners = common.recipe, common.vector, len(masked)
    sums = NoisedSum(recipe.privacy, recipe.rounds)
    total = unmasked_sum(masked, opening.unmasking, opening.context, before.shape[0])
    dealt = len(opening.unmasking.mask_keys)
    sums.check(total, owners, threshold_for(dealt, min(recipe.privacy.threshold, dealt)))
    noised = sums.with_common_noise(total, opening.context, opening.unmasking.seeds)
    mean = sums.mean(noised, owners)
    common.advance_by(mean)
    change = mean.astype(np.float32)
    return Round(before, {index: Update(change, rows[index]) for index in sorted(masked)})
