# SPDX-License-Identifier: Apache-2.0
"""Taking the masks off a sum, by anyone who has the masked vectors and what was revealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from koinon.errors import BadInput, IntegrityError
from koinon.learning.privacy.secagg.masks import (
    Units,
    decode_words,
    from_words,
    pair_mask,
    public_of,
    self_mask,
)
from koinon.learning.privacy.secagg.messages import KEY_BYTES, pack, unpack


@dataclass(frozen=True)
class Unmasking:
    """What the collector learns besides the masked vectors; nobody's vector follows from it.

    Attributes
    ----------
    seeds : mapping of int to bytes
        Survivors' seeds of their own masks.
    keys : mapping of int to bytes
        Private mask keys of those who dropped out after they had dealt shares.
    mask_keys : mapping of int to bytes
        Public mask keys of both.
    """

    seeds: Mapping[int, bytes]
    keys: Mapping[int, bytes]
    mask_keys: Mapping[int, bytes]

    def encode(self) -> bytes:
        return pack(dict(enumerate(pack(one) for one in (self.seeds, self.keys, self.mask_keys))))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote; BadInput when it is something else."""
        parts = unpack(data)
        if list(parts) != [0, 1, 2]:
            raise BadInput("This is no unmasking.", code="learning.secagg_message")
        found = cls(*(unpack(part) for part in parts.values()))
        secrets = [*found.seeds.values(), *found.keys.values(), *found.mask_keys.values()]
        together = sorted([*found.seeds, *found.keys])
        if any(len(one) != KEY_BYTES for one in secrets) or together != sorted(found.mask_keys):
            raise BadInput("This is no unmasking.", code="learning.secagg_message")
        return found


def unmasked_sum(masked: Mapping[int, bytes], unmasking: Unmasking, context: bytes, size: int) -> Units:
    """The exact sum of the survivors' values.

    Parameters
    ----------
    masked : mapping of int to bytes
        Survivors' masked vectors as they came.
    context : bytes
        The sum's name.
    size : int
        Numbers in each vector.

    Raises
    ------
    BadInput
        Vectors of another size, or of others than the survivors.
    IntegrityError
        A dropped participant's key is not the one it advertised.
    """
    if set(masked) != set(unmasking.seeds):
        raise BadInput("The masked vectors are not those of the survivors.", code="learning.secagg_message")
    total = np.zeros(size, dtype=np.uint32)
    for index, data in masked.items():
        total += decode_words(data, size)
        total -= self_mask(unmasking.seeds[index], context, size)
    for dropped, private in unmasking.keys.items():
        if public_of(private) != unmasking.mask_keys[dropped]:
            raise IntegrityError(
                f"The key revealed of participant {dropped} is not its own.", code="learning.secagg_share"
            )
        for index in masked:
            shared = pair_mask(private, unmasking.mask_keys[index], context, (index, dropped), size)
            if index < dropped:
                total -= shared
            else:
                total += shared
    return from_words(total)
