# SPDX-License-Identifier: Apache-2.0
"""How good a ranking is where few are illicit and people can look at few: never accuracy, never ROC alone.

Intervals are bootstrapped over patterns, not rows: the transfers of one planted pattern stand or fall
together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.estimates import Estimate

Labels = NDArray[np.bool_]
Scores = NDArray[np.float64]


def average_precision(labels: Labels, scores: Scores, weights: NDArray[np.int64] | None = None) -> float:
    """Area under the precision-recall curve, ties taken together; the illicit share where nothing is known.

    Raises
    ------
    BadInput
        Nothing is illicit, or everything is.
    """
    weights = np.ones(labels.shape[0], dtype=np.int64) if weights is None else weights
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), labels.shape[0] - 1)
    hits = np.cumsum((labels * weights)[order])[ends]
    seen = np.cumsum(weights[order])[ends]
    if not 0 < hits[-1] < seen[-1]:
        raise BadInput("Precision needs both kinds of transfers.", code="watch.one_kind")
    gained = np.diff(hits, prepend=0)
    return float((gained * hits / np.maximum(seen, 1)).sum() / hits[-1])


def precision_at(
    labels: Labels, scores: Scores, budget: int, weights: NDArray[np.int64] | None = None
) -> float:
    """The illicit share of the ``budget`` that rank first; of ties, the mean of their share."""
    weights = np.ones(labels.shape[0], dtype=np.int64) if weights is None else weights
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), labels.shape[0] - 1)
    hits = np.append(0, np.cumsum((labels * weights)[order])[ends])
    seen = np.append(0, np.cumsum(weights[order])[ends])
    budget = min(budget, int(seen[-1]))
    return float(np.interp(budget, seen, hits) / budget) if budget else 0.0


def bootstrapped(
    measure: Callable[[Labels, Scores, NDArray[np.int64]], float],
    labels: Labels,
    scores: Scores,
    clusters: NDArray[np.int32],
    *,
    draws: int = 200,
    seed: int = 0,
) -> Estimate:
    """The measure with its interval over draws of clusters; rows of cluster -1 are each their own."""
    value = measure(labels, scores, np.ones(labels.shape[0], dtype=np.int64))
    drawn = [measure(labels, scores, weights) for weights in _drawn(labels, clusters, draws, seed)]
    low, high = np.percentile(drawn, [2.5, 97.5]) if drawn else (value, value)
    return Estimate(value, float(low), float(high))


def difference(
    measure: Callable[[Labels, Scores, NDArray[np.int64]], float],
    labels: Labels,
    one: Scores,
    other: Scores,
    clusters: NDArray[np.int32],
    *,
    doubt: float = 0.05,
    draws: int = 200,
    seed: int = 0,
) -> Estimate:
    """How much better one ranking is than another on the same rows, both measured in each draw of clusters;
    the interval holds all but ``doubt`` of the draws."""
    everything = np.ones(labels.shape[0], dtype=np.int64)
    value = measure(labels, one, everything) - measure(labels, other, everything)
    drawn = [
        measure(labels, one, weights) - measure(labels, other, weights)
        for weights in _drawn(labels, clusters, draws, seed)
    ]
    low, high = np.percentile(drawn, [50 * doubt, 100 - 50 * doubt]) if drawn else (-1.0, 1.0)
    return Estimate(value, float(low), float(high))


def _drawn(labels: Labels, clusters: NDArray[np.int32], draws: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each row is drawn, where clusters are drawn; draws without both kinds are left out."""
    alone = clusters < 0
    first = int(clusters.max(initial=-1)) + 1
    owner = clusters.astype(np.int64)
    owner[alone] = first + np.arange(int(alone.sum()))
    count = int(owner.max(initial=0)) + 1
    random = np.random.default_rng(seed)
    for _ in range(draws):
        weights = np.bincount(random.integers(0, count, count), minlength=count)[owner]
        if 0 < int(weights[labels].sum()) < int(weights.sum()):
            yield weights


def chosen(scores: Scores, budget: int) -> NDArray[np.int64]:
    """The rows that rank first, as many as can be looked at."""
    return np.argsort(-scores, kind="stable")[:budget]
