# SPDX-License-Identifier: Apache-2.0
"""Lengths of updates and angles between them as exact integers, for rules that must agree on any machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.learning.aggregation.base import Update, blocks, fixed_point

WORD: Final = 62
"""Bits that a sum of products may take in int64."""


def products(updates: Sequence[Update]) -> list[list[int]]:
    """Inner products of all pairs of updates, in units of 2^-60.

    Each update is first brought to a common number of bits by an exponent of its own (a block floating
    point), as many as a sum over all coordinates can hold: 20 and the sign at a million parameters. The
    products of what is left are exact, so distances of them are never negative, and one update of giant
    numbers makes no other coarser.
    """
    size = updates[0].change.shape[0]
    bits = (WORD - max(1, size - 1).bit_length()) // 2
    shifts = [max(0, _largest(update).bit_length() - bits) for update in updates]
    total: NDArray[np.int64] = np.zeros((len(updates),) * 2, dtype=np.int64)
    for _, numbers in blocks(updates, size):
        scaled = numbers >> np.array(shifts, dtype=np.int64)[:, None]
        total += scaled @ scaled.T
    return [
        [int(total[one, other]) << shifts[one] + shifts[other] for other in range(len(updates))]
        for one in range(len(updates))
    ]


def squared_lengths(updates: Sequence[Update]) -> list[int]:
    """Squared Euclidean norm of each update alone, in units of 2^-60."""
    return [products([update])[0][0] for update in updates]


def squared_distances(updates: Sequence[Update]) -> list[list[int]]:
    """Squared Euclidean distances of all pairs, in units of 2^-60."""
    inner = products(updates)
    everyone = range(len(updates))
    return [
        [inner[one][one] + inner[other][other] - 2 * inner[one][other] for other in everyone]
        for one in everyone
    ]


def _largest(update: Update) -> int:
    change = update.change
    ends = np.array([change.max(initial=0.0), change.min(initial=0.0)], dtype=np.float32)
    return int(np.abs(fixed_point(ends)).max())
