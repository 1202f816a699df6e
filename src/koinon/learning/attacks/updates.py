# SPDX-License-Identifier: Apache-2.0
"""Attacks by what malicious owners send, whatever they trained on."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from koinon.learning.attacks.base import Attack, View, sendable
from koinon.learning.models.base import Vector


@dataclass(frozen=True)
class Sign(Attack):
    """The opposite of what was learnt, ``times`` as far."""

    times: float = 4.0

    def forge(self, view: View) -> list[Vector]:
        return [sendable(update.change * np.float32(-self.times)) for update in view.own]


@dataclass(frozen=True)
class Scaling(Attack):
    """What was learnt, ``times`` as far."""

    times: float = 10.0

    def forge(self, view: View) -> list[Vector]:
        return [sendable(update.change * np.float32(self.times)) for update in view.own]


@dataclass(frozen=True)
class Gaussian(Attack):
    """Noise in a random direction, ``times`` as long as what was learnt."""

    times: float = 5.0

    def forge(self, view: View) -> list[Vector]:
        return [_noise(view, self.times * _length(update.change)) for update in view.own]


@dataclass(frozen=True)
class ALittleIsEnough(Attack):
    """All send their updates' mean less ``z`` deviations (ALIE; Baruch, Baruch and Goldberg 2019).

    Attributes
    ----------
    z : float
        0 takes the paper's: the most at which enough honest owners are further out than the attackers.
    """

    z: float = 1.5

    def forge(self, view: View) -> list[Vector]:
        changes = np.stack([update.change for update in view.own]).astype(np.float64)
        z = self.z or _unnoticed(view.owners, len(view.own))
        sent = sendable((changes.mean(axis=0) - z * changes.std(axis=0)).astype(np.float32))
        return [sent] * len(view.own)


@dataclass(frozen=True)
class FreeRider(Attack):
    """Learn nothing; send the common model's last step with a little noise (Lin, Du and Liu 2019).

    Attributes
    ----------
    noise : float
        Length of the noise as a part of that step; in the first round, when there is none, all is noise.
    """

    noise: float = 0.1

    def forge(self, view: View) -> list[Vector]:
        step = view.base - view.previous
        length = _length(step) or 0.1 * _length(view.base)
        return [sendable(step + _noise(view, self.noise * length)) for _ in view.own]


def _unnoticed(owners: int, malicious: int) -> float:
    honest, needed = owners - malicious, owners // 2 + 1 - malicious
    part = (honest - needed) / honest if honest else 0.5
    return NormalDist().inv_cdf(min(max(part, 0.01), 0.99))


def _noise(view: View, length: float) -> Vector:
    direction = view.random.normal(size=view.base.shape)
    return sendable((direction * (length / np.sqrt(np.sum(direction**2)))).astype(np.float32))


def _length(change: Vector) -> float:
    return float(np.sqrt(np.sum(change.astype(np.float64) ** 2)))
