# SPDX-License-Identifier: Apache-2.0
"""Noise from a cryptographic stream: discrete Gaussian on whole numbers, and Gaussian in floating point.

The discrete one is sampled exactly as by Canonne, Kamath and Steinke 2020 (arXiv 2004.00010, algorithms 1 to
3), many at once. No floating point is involved, so nothing leaks by rounding (Mironov 2012) and a seed gives
the same noise on every machine. A sum with it is at least as private as the accountant's continuous Gaussian
says (theorem 14 there, for the concentrated divergence that bounds every Rényi order).

**What a seed means.** Whoever knows it can subtract the noise. With a fresh secret seed nobody can. With a
seed that several contributed to (`joint_seed`) nobody could choose the noise, and whoever holds all parts can
compute it again: it protects from those who see the noisy sum only, not from those who hold the parts.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.learning.privacy.stream import SEED_BYTES, Stream

LARGEST_DEVIATION: Final = 2**25
"""So that every product below fits 63 bits."""

Whole = NDArray[np.int64]
Yes = NDArray[np.bool_]


def discrete_gaussian(deviation: int, count: int, stream: Stream) -> Whole:
    """``count`` draws, each x with probability in proportion to exp(-x² / (2 deviation²)).

    Parameters
    ----------
    deviation : int
        Standard deviation (closely) in units, 0 to 2^25; 0 is no noise.

    Raises
    ------
    BadInput
        A deviation or count out of range.
    """
    if not 0 <= deviation <= LARGEST_DEVIATION or count < 0:
        raise BadInput("Noise has a deviation of 0 to 2^25 units.", code="learning.noise")
    found = np.zeros(count, dtype=np.int64)
    missing = np.arange(count if deviation else 0)
    while missing.size:
        drawn = _discrete_laplace(deviation, missing.size, stream)
        excess = (np.abs(drawn) - deviation) ** 2
        kept = _with_chance_exp(excess, 2 * deviation**2, stream)
        found[missing[kept]] = drawn[kept]
        missing = missing[~kept]
    return found


def gaussian(deviation: float, count: int, stream: Stream) -> NDArray[np.float64]:
    """``count`` draws of a continuous Gaussian, as closely as float64 holds it.

    Each is half the sum of four draws by Box and Muller: a single one's lowest digits would tell which
    uniform numbers it is of, and so how much of a sum is noise; to find four takes too long (Holohan and
    Braghin 2021, arXiv 2107.10138, section 5.1).

    Parameters
    ----------
    deviation : float
        Standard deviation, 0 or more.
    """
    words = (stream.words64(4 * count) >> np.uint64(11)).reshape(2, 2, count)
    lengths = np.sqrt(-2 * np.log((words[0] + np.uint64(1)) * 2.0**-53))
    angles = words[1] * (2 * np.pi * 2.0**-53)
    return np.asarray((lengths * (np.cos(angles) + np.sin(angles))).sum(axis=0) * (deviation / 2))


def fresh_seed() -> bytes:
    """A seed nobody else knows; forget it after use."""
    return secrets.token_bytes(SEED_BYTES)


def joint_seed(purpose: bytes, parts: Mapping[int, bytes]) -> bytes:
    """The seed that all parts together decide: sha256 over the purpose and (index, part) in index order.

    If each part was committed to before any was shown, whoever knows all but one cannot foresee it.
    """
    if not parts:
        raise BadInput("Nobody contributed to the seed.", code="learning.seed")
    told = b"".join(index.to_bytes(4, "big") + parts[index] for index in sorted(parts))
    return hashlib.sha256(len(purpose).to_bytes(4, "big") + purpose + told).digest()


def _discrete_laplace(scale: int, count: int, stream: Stream) -> Whole:
    """Draws of probability in proportion to exp(-|x| / scale) (algorithm 2)."""
    found = np.zeros(count, dtype=np.int64)
    missing = np.arange(count)
    while missing.size:
        rest = stream.below(scale, missing.size)
        kept = _with_chance_exp(rest, scale, stream)
        places, rest = missing[kept], rest[kept]
        size = rest + scale * _geometric(places.size, stream)
        negative = stream.below(2, places.size).astype(np.bool_)
        single = ~(negative & (size == 0))  # zero would otherwise count twice
        found[places[single]] = np.where(negative, -size, size)[single]
        done = np.zeros(count, dtype=np.bool_)
        done[places[single]] = True
        missing = missing[~done[missing]]
    return found


def _geometric(count: int, stream: Stream) -> Whole:
    """How often a chance of 1/e comes true in a row."""
    found = np.zeros(count, dtype=np.int64)
    going = np.arange(count)
    while going.size:
        going = going[_with_small_chance(np.ones(going.size, dtype=np.int64), 1, stream)]
        found[going] += 1
    return found


def _with_chance_exp(numerators: Whole, denominator: int, stream: Stream) -> Yes:
    """Yes with probability exp(-numerator / denominator) (algorithm 1)."""
    whole, rest = np.divmod(numerators, denominator)
    found = np.ones(numerators.shape[0], dtype=np.bool_)
    for step in range(int(whole.max(initial=0))):
        going = np.flatnonzero(found & (whole > step))
        if not going.size:
            break
        found[going] = _with_small_chance(np.ones(going.size, dtype=np.int64), 1, stream)
    going = np.flatnonzero(found)
    found[going] = _with_small_chance(rest[going], denominator, stream)
    return found


def _with_small_chance(numerators: Whole, denominator: int, stream: Stream) -> Yes:
    """As above for quotients of at most 1: the first k whose chance of quotient / k fails, and is odd."""
    odd = np.zeros(numerators.shape[0], dtype=np.bool_)
    going, k = np.arange(numerators.shape[0]), 1
    while going.size:
        goes_on = stream.below(denominator * k, going.size) < numerators[going]
        odd[going[~goes_on]] = k % 2 == 1
        going, k = going[goes_on], k + 1
    return odd
