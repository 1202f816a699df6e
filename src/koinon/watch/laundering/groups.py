# SPDX-License-Identifier: Apache-2.0
"""Whom false alarms hit: by a wallet's age, size and origin, lest the watch punish the small and new.

A false alarm is an honest transfer that is told. Its rate is compared between groups of the payer's wallet;
the ratio of the lowest to the highest is shown with its interval over draws of payers: red where all of it is
below 0.8 as in the four-fifths rule, green where none is, amber between. Thresholds of each group's own,
which make the rates alike, are shown beside it with what they cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.estimates import wilson
from koinon.watch.graph.edges import Edges
from koinon.watch.graph.windows import DAY_S
from koinon.watch.laundering.measuring import Labels, Scores

AGES: Final = ("first day", "first week", "older")
SIZES: Final = ("small", "middle", "large")
ORIGINS: Final = ("a service", "another wallet", "not seen")
SERVICE: Final = 50
"""Who pays so many different accounts, or is paid by so many, is a service, where nobody says what it is."""
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
    low: float
    high: float

    @property
    def ratio(self) -> float:
        """The lowest rate of false alarms over the highest, among groups of some size; 1 is even."""
        return _ratio([each.rate for each in self.groups if each.honest >= FEWEST])

    @property
    def own_ratio(self) -> float:
        """The same with each group's own threshold."""
        return _ratio([each.own_rate for each in self.groups if each.honest >= FEWEST])

    @property
    def verdict(self) -> str:
        """``even`` where the interval reaches four fifths, ``uneven`` where it does not, else ``unclear``."""
        if self.low >= FAIR_RATIO:
            return "even"
        return "uneven" if self.high < FAIR_RATIO else "unclear"

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "by": self.by,
            "ratio": round(self.ratio, 3),
            "low": round(self.low, 3),
            "high": round(self.high, 3),
            "own_ratio": round(self.own_ratio, 3),
            "verdict": self.verdict,
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
    services: Mapping[str, NDArray[np.bool_]] | None = None,
    draws: int = 200,
    seed: int = 0,
) -> tuple[Audit, ...]:
    """Audits by age, size and origin.

    Parameters
    ----------
    parts : (slice, slice)
        Rows to choose group thresholds on, and later rows to measure on.
    services : dict, optional
        As `by_origin`.
    """
    every = {"age": by_age(edges), "size": by_size(edges), "origin": by_origin(edges, services)}
    found = []
    for by, named in every.items():
        groups = [_group(name, rows, illicit, scores, threshold, parts) for name, rows in named.items()]
        compared = [
            rows[parts[1]]
            for rows, group in zip(named.values(), groups, strict=True)
            if group.honest >= FEWEST
        ]
        part, told = parts[1], scores[parts[1]] >= threshold
        low, high = _interval(compared, ~illicit[part], told, edges.source[part], draws, seed)
        found.append(Audit(by, tuple(groups), low, high))
    return tuple(found)


def partners(edges: Edges) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many different accounts each account paid, and was paid by."""
    pairs = np.unique(np.stack([edges.source, edges.target], axis=1), axis=0)
    paid, got = (np.bincount(pairs[:, end], minlength=edges.accounts) for end in (0, 1))
    return paid.astype(np.int64), got.astype(np.int64)


def service_names(edges: Edges) -> frozenset[str]:
    """The accounts that look like services: everybody deals with them, so they join nobody to anybody."""
    paid, got = partners(edges)
    return frozenset(edges.name(int(account)) for account in np.flatnonzero(np.maximum(paid, got) >= SERVICE))


def by_origin(
    edges: Edges, services: Mapping[str, NDArray[np.bool_]] | None = None
) -> dict[str, NDArray[np.bool_]]:
    """Rows by who first paid the payer, up to then.

    Parameters
    ----------
    services : dict, optional
        Name → which accounts are of that kind. Without it, who pays many different accounts is a service.
    """
    if services is None:
        services = {ORIGINS[0]: partners(edges)[0] >= SERVICE}
    first = np.full(edges.accounts, len(edges), dtype=np.int64)
    np.minimum.at(first, edges.target, np.arange(len(edges)))
    row = first[edges.source]
    seen = row < np.arange(len(edges))
    giver = edges.source[np.minimum(row, max(0, len(edges) - 1))]
    found = {name: seen & accounts[giver] for name, accounts in services.items()}
    known = np.any(list(found.values()), axis=0)
    return {**found, ORIGINS[1]: seen & ~known, ORIGINS[2]: ~seen}


def _interval(  # noqa: PLR0917
    groups: Sequence[NDArray[np.bool_]],
    honest: NDArray[np.bool_],
    told: NDArray[np.bool_],
    payer: NDArray[np.int32],
    draws: int,
    seed: int,
) -> tuple[float, float]:
    """The 95 % interval of the lowest group's rate over the highest's, over draws of payers: one payer's
    transfers are told or not together."""
    if len(groups) < 2:
        return (1.0, 1.0) if groups else (0.0, 1.0)
    _, at = np.unique(payer, return_inverse=True)
    count = int(at.max()) + 1
    seen = np.stack([np.bincount(at[rows & honest], minlength=count) for rows in groups])
    hits = np.stack([np.bincount(at[rows & honest & told], minlength=count) for rows in groups])
    rates = hits.sum(axis=1) / seen.sum(axis=1)
    pair = [int(rates.argmin()), int(rates.argmax())]
    random, drawn = np.random.default_rng(seed), []
    for _ in range(draws):
        weights = np.bincount(random.integers(0, count, count), minlength=count)
        alarms, number = hits[pair] @ weights, seen[pair] @ weights
        if number.min() > 0:
            low, high = alarms / number
            drawn.append(float(min(low, high) / max(low, high)) if max(low, high) else 1.0)
    one, other = np.percentile(drawn, [2.5, 97.5]) if drawn else (0.0, 1.0)
    if rates.min() == 0 < rates.max():  # no draw of no alarms has any, yet of few transfers that says little
        other = min(1.0, wilson(0, int(seen[pair[0]].sum())).high / float(rates.max()))
    return float(one), float(other)


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
    rate = wilson(alarms, count)
    return Group(
        name,
        count,
        alarms,
        rate.value,
        rate.low,
        rate.high,
        own,
        float((own_told & honest).sum()) / count if count else 0.0,
        float(told[guilty].mean()) if guilty.any() else 0.0,
        float(own_told[guilty].mean()) if guilty.any() else 0.0,
    )


def _ratio(rates: Sequence[float]) -> float:
    if not rates or max(rates) == 0:
        return 1.0
    return min(rates) / max(rates)
