# SPDX-License-Identifier: Apache-2.0
"""Named bytes as a Flower record: arrays of bytes, which Flower sends in chunks however long they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from flwr.app import Array, ArrayRecord, RecordDict

from koinon.errors import BadInput

NAME = "koinon"


def packed(fields: Mapping[str, bytes]) -> RecordDict:
    """A message's content."""
    arrays = {name: Array(np.frombuffer(data, dtype=np.uint8)) for name, data in fields.items()}
    return RecordDict({NAME: ArrayRecord(arrays)})


def unpacked(content: RecordDict) -> dict[str, bytes]:
    """What `packed` was given; BadInput when it is something else."""
    try:
        return {
            name: np.ascontiguousarray(array.numpy(), dtype=np.uint8).tobytes()
            for name, array in content.array_records[NAME].items()
        }
    except (KeyError, ValueError, TypeError) as error:
        raise BadInput("This is no message of a run.", code="learning.message") from error
