# SPDX-License-Identifier: Apache-2.0
"""A credit score as one word of an attestation: what pools read, and the points it came from.

From the lowest bit: tier and one (8 bits), probability of default a year in 1e-4 (16 bits), points (32 bits,
signed). `Bundles` and pools read the first two; the points are for people. A word of nothing names no tier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from koinon.errors import BadInput

SCHEMA_TEXT: Final = (
    "Koinon credit score: bits 0-7 the tier and one (1 is the best), bits 8-23 the probability of default a"
    " year in 1e-4, bits 24-55 the scorecard's points (signed). The digest is the scorecard's."
)
"""The text of a schema whose attestations pools can read."""


@dataclass(frozen=True, slots=True)
class ScoreWord:
    """One score: ``tier`` 0 (the best) to 254, ``pd_bps`` 0 to 10,000, ``points`` within int32.

    ``pd_bps`` is for a year; `koinon.lending.scoring.calibration.yearly` makes it from a shorter horizon's.
    """

    tier: int
    pd_bps: int
    points: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.tier < 255 and 0 <= self.pd_bps <= 10_000 and -(2**31) <= self.points < 2**31):
            raise BadInput("The score's tier, probability or points are out of range.", code="lending.score")

    def word(self) -> int:
        """As `Attestation.word` takes it."""
        return self.tier + 1 | self.pd_bps << 8 | (self.points % 2**32) << 24

    @classmethod
    def of(cls, word: int) -> ScoreWord:
        """From an attestation's word; BadInput where it is no score's."""
        points = (word >> 24) & (2**32 - 1)
        if word >> 56 or not word & 255:
            raise BadInput("This word is no credit score's.", code="lending.score")
        return cls((word & 255) - 1, (word >> 8) & 0xFFFF, points - 2**32 if points >> 31 else points)
