# SPDX-License-Identifier: Apache-2.0
"""What is asked of a search, and what it found."""

from __future__ import annotations

from dataclasses import dataclass

from koinon.services.finding.catalogue_rows import Row
from koinon.services.finding.checks import Verdict
from koinon.services.finding.evidence import Evidence
from koinon.services.finding.measured import Measured
from koinon.services.finding.price_list import Listed


@dataclass(frozen=True)
class Filters:
    """What a service must be.

    Parameters
    ----------
    max_price : int, optional
        Of a call, in the coin's smallest unit; services whose price is not known are left out.
    max_latency_ms : float, optional
        Nineteen of twenty calls from this node were answered in so many milliseconds.
    min_quality : float, optional
        Weighted mark, 0 to 100, of feedback that counts.
    validated : bool
        The newest verdict that counts was passed.
    """

    max_price: int | None = None
    max_latency_ms: float | None = None
    min_quality: float | None = None
    validated: bool = False


@dataclass(frozen=True)
class Result:
    """A service that was found. ``quality`` 0 to 1, ½ where nothing counts."""

    row: Row
    listed: Listed | None
    measured: Measured | None
    evidence: Evidence
    verdicts: tuple[Verdict, ...]
    quality: float
    score: float

    @property
    def work_id(self) -> int:
        return self.row.work_id


@dataclass(frozen=True)
class Found:
    """What a search found: the best ``results``, how many services there are ``in_all``, how many have the
    words and conditions (``matching``), and of those that have the words, how many have told no price."""

    results: tuple[Result, ...]
    matching: int
    in_all: int
    without_price: int
