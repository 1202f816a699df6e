# SPDX-License-Identifier: Apache-2.0
"""Whom false alarms hit: by a wallet's age, size and origin, lest the watch punish the small and new.

A false alarm is an honest transfer that is told. Its rate is compared between groups of the payer's wallet;
the ratio of the lowest to the highest is shown, red below 0.8 as in the four-fifths rule. Thresholds of each
group's own, which make the rates alike, are shown beside it with what they cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.watch.graph.edges import Edges
from koinon.watch.graph.windows import DAY_S
from koinon.watch.laundering.measuring import Labels, Scores

AGES: Final = ("first day", "first week", "older")
SIZES: Final = ("small", "middle", "large")
FAIR_RATIO: Final = 0.8
FEWEST: Final = 30


@dataclass(frozen=True)
class Group:
    """One group of wallets, in the part that is measured on.

    ``rate`` of false alarms with its 95 % Wilson interval; ``own_threshold`` that brings it to the common
    rate, chosen on the middle part; ``own_rate`` what it then is; ``found`` the share of illicit transfers
    told, with the common and with the own threshold.
    """

    name: str
    honest: int
    alarms: int
    rate: float
    low: float
    high: float
    own_threshold: float
    own_rate: float
    found: float
    own_found: float


@dataclass(frozen=True)
class Audit:
    """All groups by one property."""

    by: str
    groups: tuple[Group, ...]

    @property
    def ratio(self) -> float:
        """The lowest rate of false alarms over the highest, among groups of some size; 1 is even."""
        return _ratio([each.rate for each in self.groups if each.honest >= FEWEST])

    @property
    def own_ratio(self) -> float:
        """The same with each group's own threshold."""
        return _ratio([each.own_rate for each in self.groups if each.honest >= FEWEST])

    @property
    def fair(self) -> bool:
        """Whether the ratio reaches four fifths."""
        return self.ratio >= FAIR_RATIO

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "by": self.by,
            "ratio": round(self.ratio, 3),
            "own_ratio": round(self.own_ratio, 3),
            "fair": self.fair,
            "groups": [
                {
                    key: round(value, 5) if isinstance(value, float) else value
                    for key, value in vars(each).items()
                }
                for each in self.groups
            ],
        }


def audits(
    edges: Edges,
    illicit: Labels,
    scores: Scores,
    threshold: float,
    parts: tuple[slice, slice],
    *,
    origins: Mapping[str, NDArray[np.bool_]] | None = None,
) -> tuple[Audit, ...]:
    """Audits by age, size and, where it is known, origin.

    Parameters
    ----------
    parts : (slice, slice)
        Rows to choose group thresholds on, and later rows to measure on.
    origins : dict, optional
        Name → which accounts' first money came from there.
    """
    groups = {"age": by_age(edges), "size": by_size(edges)}
    if origins is not None:
        groups["origin"] = {name: accounts[edges.source] for name, accounts in origins.items()}
    return tuple(
        Audit(by, tuple(_group(name, rows, illicit, scores, threshold, parts) for name, rows in each.items()))
        for by, each in groups.items()
    )


def by_age(edges: Edges) -> dict[str, NDArray[np.bool_]]:
    """Rows by how long before them the payer was first seen."""
    first = np.full(edges.accounts, np.iinfo(np.int64).max)
    np.minimum.at(first, edges.source, edges.timestamp)
    np.minimum.at(first, edges.target, edges.timestamp)
    age = edges.timestamp - first[edges.source]
    return _named(AGES, np.digitize(age, [DAY_S, 7 * DAY_S]))


def by_size(edges: Edges) -> dict[str, NDArray[np.bool_]]:
    """Rows by what the payer had sent until then, in thirds of the rows."""
    order = np.argsort(edges.source, kind="stable")
    total = np.cumsum(edges.amount[order])
    starts = np.flatnonzero(np.diff(edges.source[order], prepend=-1))
    base = np.repeat(total[starts] - edges.amount[order][starts], np.diff(np.append(starts, len(edges))))
    sent = np.empty(len(edges))
    sent[order] = total - base
    return _named(SIZES, np.digitize(sent, np.quantile(sent, [1 / 3, 2 / 3]) if len(edges) else [0, 1]))


def _named(names: Sequence[str], which: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    return {name: which == at for at, name in enumerate(names)}


def _group(  # noqa: PLR0917
    name: str,
    rows: NDArray[np.bool_],
    illicit: Labels,
    scores: Scores,
    threshold: float,
    parts: tuple[slice, slice],
) -> Group:
    choose, measure = parts
    honest = rows[measure] & ~illicit[measure]
    guilty = rows[measure] & illicit[measure]
    told = scores[measure] >= threshold
    alarms, count = int((told & honest).sum()), int(honest.sum())
    common = float((scores[choose] >= threshold)[~illicit[choose]].mean())
    middle = scores[choose][rows[choose] & ~illicit[choose]]
    own = float(np.quantile(middle, 1 - common)) if middle.size >= FEWEST else threshold
    own_told = scores[measure] > own if middle.size >= FEWEST else told
    low, high = wilson(alarms, count)
    return Group(
        name,
        count,
        alarms,
        alarms / count if count else 0.0,
        low,
        high,
        own,
        float((own_told & honest).sum()) / count if count else 0.0,
        float(told[guilty].mean()) if guilty.any() else 0.0,
        float(own_told[guilty].mean()) if guilty.any() else 0.0,
    )


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * float(np.sqrt(share * (1 - share) / count + z * z / (4 * count**2)))
    return max(0.0, middle - half), min(1.0, middle + half)


def _ratio(rates: Sequence[float]) -> float:
    if not rates or max(rates) == 0:
        return 1.0
    return min(rates) / max(rates)
