# SPDX-License-Identifier: Apache-2.0
"""Uniting what owners wrote apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from koinon.errors import BadInput
from koinon.learning.aggregation.base import Update, check_number
from koinon.learning.models.base import Vector


class Union:
    """Each number is the one that wrote it: for models whose owners have places of their own, like trees.

    Places are written once. Bits are copied, nothing is rounded, and how many rows an update claims has no
    influence here (the model may weigh by them).
    """

    def aggregate(self, base: Vector, updates: Sequence[Update]) -> Vector:
        check_number(updates)
        result, taken = base.copy(), base != 0
        for update in updates:
            if update.change.shape != base.shape:
                raise BadInput("An update has another size than the model.", code="learning.vector_size")
            if not np.isfinite(update.change).all():
                raise BadInput("An update holds numbers that are not finite.", code="learning.not_finite")
            written = update.change != 0
            if (written & taken).any():
                raise BadInput(
                    "Two updates write to the same place.",
                    hint="Uniting is for models whose owners write apart: trees.",
                    code="learning.overlap",
                )
            result[written] = update.change[written]
            taken |= written
        return result
