# SPDX-License-Identifier: Apache-2.0
"""In which order services stand: words first, and among those what paid-for feedback says.

``score = relevance × (½ + quality)``, relevance 1 for the best text. Quality is the weighted mark between 0
and 1, drawn towards ½ by as much weight as `PRIOR_COINS` coins have: a service nobody spoke of stands at ½,
and no word without weight moves it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

PRIOR_COINS: Final = 1
"""Coins of weight at which the feedback and the lack of it count alike."""

UNKNOWN: Final = 0.5


def quality(mean: Fraction | int | None, weight: Fraction | int, coin: int) -> float:
    """Between 0 and 1. ``mean`` 0 to 100, ``weight`` in the smallest unit, ``coin`` units a coin."""
    if mean is None:
        return UNKNOWN
    prior = PRIOR_COINS * coin
    return float((prior * Fraction(UNKNOWN) + weight * mean / 100) / (prior + weight))


def score(relevance: float, of_quality: float) -> float:
    """What a list is sorted by, highest first."""
    return relevance * (0.5 + of_quality)
