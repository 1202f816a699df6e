# SPDX-License-Identifier: Apache-2.0
"""What is done to the numbers of a private sum before the masks go on, and after they are off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from koinon.errors import PeerError
from koinon.learning.models.base import Vector
from koinon.learning.privacy.clipping import NORM, Units, clipped_units, mean_of_units, squared_length
from koinon.learning.privacy.noise import discrete_gaussian, joint_seed
from koinon.learning.privacy.plan import Privacy
from koinon.learning.privacy.stream import Stream


@dataclass(frozen=True)
class NoisedSum:
    """The sums of a run of ``rounds`` rounds under these settings."""

    privacy: Privacy
    rounds: int

    def own(self, change: Vector) -> Units:
        """An owner's change, clipped, in units (BadInput when it is not finite)."""
        return clipped_units(change, self.privacy.clip_norm)

    def own_deviation(self, threshold: int) -> int:
        """Deviation, in units, of the noise that an owner adds when so many owners must stay."""
        full = NORM * self.privacy.multiplier(self.rounds)
        match self.privacy.noise:
            case "local":
                return ceil(full)
            case "distributed":
                return ceil(full / sqrt(threshold))
            case _:
                return 0

    def with_own_noise(self, units: Units, threshold: int, seed: bytes) -> Units:
        """What an owner masks. ``seed``: 32 bytes that only the owner ever knows."""
        return units + discrete_gaussian(self.own_deviation(threshold), units.shape[0], Stream(seed))

    def noise_of_all(self, size: int, owners: int, threshold: int, seed: bytes) -> Units:
        """What so many owners' own noises add up to, all drawn at once, for simulations."""
        drawn = discrete_gaussian(self.own_deviation(threshold), owners * size, Stream(seed))
        found: Units = drawn.reshape(owners, size).sum(axis=0)
        return found

    def with_common_noise(self, total: Units, context: bytes, seeds: Mapping[int, bytes]) -> Units:
        """The sum with the noise that everybody's seed decided together, where the recipe has ``central``.

        Whoever holds the seeds, as the leader does, can compute the same bits again and take them away.
        """
        if self.privacy.noise != "central":
            return total
        deviation = ceil(NORM * self.privacy.multiplier(self.rounds))
        seed = joint_seed(b"koinon common noise 1" + context, seeds)
        return total + discrete_gaussian(deviation, total.shape[0], Stream(seed))

    def check(self, total: Units, owners: int, threshold: int) -> None:
        """Refuse a sum that clipped changes and their noise cannot make.

        Masks hide who sent too much: an owner that does not clip is noticed here only by what it does to the
        sum, and not found.

        Raises
        ------
        PeerError
            The sum is too long.
        """
        size, deviation = total.shape[0], self.own_deviation(threshold) * sqrt(owners)
        longest = owners * NORM + deviation * sqrt(size + 12 * sqrt(size) + 72)
        if squared_length(total) > longest**2:
            raise PeerError(
                "The sum of the owners' changes is longer than clipped changes can make it.",
                hint="An owner sent more than the recipe allows. Masks hide which one; "
                "the accountable mode would tell.",
                code="learning.sum_too_long",
            )

    def mean(self, total: Units, owners: int) -> NDArray[np.float64]:
        """The mean change, in the model's own numbers."""
        return mean_of_units(total, self.privacy.clip_norm, owners)

    def noised_alone(self, change: Vector, seed: bytes) -> Vector:
        """A change clipped and noised to be sent by itself (``local`` noise in the accountable mode)."""
        units = self.with_own_noise(self.own(change), 1, seed)
        return self.mean(units, 1).astype(np.float32)
