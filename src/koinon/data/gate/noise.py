# SPDX-License-Identifier: Apache-2.0
"""Laplace and Gaussian noise that does not leak through the last digits.

Noise drawn as a floating-point number betrays the value under it by which numbers can come out at all
(Mironov, *On significance of the least significant bits for differential privacy*, 2012). So values are first
rounded to a grid that does not depend on the data, what rounding adds to the sensitivity is added to it, and
whole steps of the grid are added: two-sided geometric for Laplace (Ghosh et al., 2009), a rounded normal for
Gaussian, with the classical calibration (Dwork and Roth, *Algorithmic Foundations*, theorems 3.6 and A.1).
Uniform numbers have 53 bits: what is less likely than 2⁻⁵³ does not happen.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_FINENESS = 1024
"""Steps of the grid in a sensitivity, a coordinate: noise grows by at most a thousandth."""


@dataclass(frozen=True)
class Calibration:
    """``step`` of the grid and ``scale`` of the noise (Laplace's b, Gaussian's σ), in the value's unit."""

    mechanism: str
    step: float
    scale: float


def calibrate(
    mechanism: str,
    *,
    sensitivity: float,
    epsilon: float,
    delta: float,
    length: int,
    largest: float,
    whole: bool = False,
) -> Calibration:
    """How to make numbers private.

    Parameters
    ----------
    sensitivity : float
        Of all ``length`` numbers together, L1 for ``laplace`` and L2 for ``gaussian``.
    largest : float
        Largest magnitude a number can have.
    whole : bool
        Numbers are whole already and stay so.
    """
    step = 1.0
    if not whole:
        finest = max(sensitivity / (_FINENESS * length), largest * 2.0**-50, 2.0**-1000)
        step = 2.0 ** math.floor(math.log2(finest))
        sensitivity += step * (length if mechanism == "laplace" else math.sqrt(length))
    scale = sensitivity / epsilon
    if mechanism == "gaussian":
        scale *= math.sqrt(2 * math.log(1.25 / delta))
    return Calibration(mechanism, step, scale)


def add_noise(values: Numbers, calibration: Calibration, generator: np.random.Generator | None) -> Numbers:
    """The values on the grid, with noise; ``generator`` None draws from the system's secure source."""
    steps = np.rint(values / calibration.step)
    if calibration.mechanism == "laplace":
        decay = calibration.step / calibration.scale
        one, other = (np.floor(-np.log(_uniform(values.size, generator)) / decay) for _ in range(2))
        noise = one - other
    else:
        radius = np.sqrt(-2 * np.log(_uniform(values.size, generator)))
        angle = 2 * math.pi * _uniform(values.size, generator)
        noise = np.rint(radius * np.cos(angle) * (calibration.scale / calibration.step))
    noised: Numbers = (steps + noise.reshape(values.shape)) * calibration.step
    return noised


def keep_bits(values: Numbers, bits: int) -> Numbers:
    """Each number with so many binary digits of its own (relative rounding to nearest)."""
    fraction, exponent = np.frexp(values)
    kept: Numbers = np.ldexp(np.rint(fraction * 2.0**bits) / 2.0**bits, exponent)
    return kept


def _uniform(count: int, generator: np.random.Generator | None) -> Numbers:
    """Uniform in (0, 1], multiples of 2⁻⁵³."""
    if generator is None:
        words = np.frombuffer(secrets.token_bytes(8 * count), dtype=np.uint64)
    else:
        words = generator.integers(0, 1 << 64, count, dtype=np.uint64, endpoint=False)
    return ((words >> np.uint64(11)).astype(np.float64) + 1) * 2.0**-53
