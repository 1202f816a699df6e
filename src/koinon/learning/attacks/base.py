# SPDX-License-Identifier: Apache-2.0
"""What malicious owners know and what they do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from koinon.learning.aggregation import MAXIMUM_CHANGE, Update
from koinon.learning.models.base import Vector
from koinon.tables import Table


@dataclass(frozen=True)
class View:
    """One round as malicious owners see it, who act together.

    Attributes
    ----------
    own : sequence of Update
        What each of them would send if it only trained on its (perhaps poisoned) rows.
    base, previous : float32 array
        The common vector, and that of the round before (in the first round the same).
    owners : int
        How many take part, themselves included.
    random : numpy Generator
        For what they draw.
    """

    own: Sequence[Update]
    base: Vector
    previous: Vector
    owners: int
    random: np.random.Generator


class Attack:
    """The attack that is none: honest rows, honest updates."""

    def poison(self, table: Table, random: np.random.Generator) -> Table:
        """What a malicious owner trains on."""
        del random
        return table

    def forge(self, view: View) -> list[Vector]:
        """What they send instead, in the order of ``view.own``."""
        return [update.change for update in view.own]


def sendable(change: Vector) -> Vector:
    """Cut to what passes for an update, so that the rule has to deal with it."""
    return np.clip(change, -MAXIMUM_CHANGE, MAXIMUM_CHANGE).astype(np.float32)
