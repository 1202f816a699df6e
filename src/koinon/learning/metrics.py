# SPDX-License-Identifier: Apache-2.0
"""How good a model is, with the doubt beside the number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.estimates import Z95, Estimate

Scores = NDArray[np.float64]
Labels = NDArray[np.int64]
Combine = Callable[[list[float]], float]


def auc(labels: Labels, scores: Scores) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Raises
    ------
    BadInput
        Only one class is present.
    """
    return _weighted_auc(labels, scores, np.ones(labels.shape[0], dtype=np.int64))


def accuracy(labels: Labels, probabilities: NDArray[np.float64]) -> float:
    """Share of rows whose likeliest class is right; ``probabilities`` of shape (rows, classes) or (rows,)."""
    if labels.shape[0] == 0:
        raise BadInput("There are no rows to measure on.", code="learning.no_rows")
    return float(np.mean(likeliest(probabilities) == labels))


def likeliest(probabilities: NDArray[np.float64]) -> Labels:
    """Each row's likeliest class."""
    if probabilities.ndim == 1:
        return (probabilities >= 0.5).astype(np.int64)
    found: Labels = probabilities.argmax(axis=1).astype(np.int64)
    return found


def roc_curve(labels: Labels, scores: Scores, points: int = 100) -> tuple[tuple[float, float], ...]:
    """(False positive rate, true positive rate) from (0, 0) to (1, 1), at most so many points.

    Raises
    ------
    BadInput
        Only one class is present.
    """
    auc(labels, scores)  # refuses one class
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), labels.shape[0] - 1)
    hits = np.cumsum(labels[order])[ends]
    rates = np.stack([(ends + 1 - hits) / (labels == 0).sum(), hits / labels.sum()], axis=1)
    if len(rates) > points - 1:
        rates = rates[np.linspace(0, len(rates) - 1, points - 1).round().astype(int)]
    return ((0.0, 0.0), *((float(false), float(true)) for false, true in rates.tolist()))


def confusion(
    labels: Labels, probabilities: NDArray[np.float64], classes: int
) -> tuple[tuple[int, ...], ...]:
    """How many rows of each true class (outer) are taken for each class (inner)."""
    counts = np.bincount(labels * classes + likeliest(probabilities), minlength=classes**2)
    return tuple(tuple(row) for row in counts.reshape(classes, classes).tolist())


def score(labels: Labels, probabilities: NDArray[np.float64]) -> float:
    """AUC for two classes, accuracy for more: the utility that contributions are measured by."""
    return auc(labels, probabilities) if probabilities.ndim == 1 else accuracy(labels, probabilities)


def metric_name(classes: int) -> str:
    """What a model for so many classes is measured by."""
    return "AUC" if classes == 2 else "accuracy"


def chance(classes: int) -> float:
    """What a model that knows nothing scores."""
    return 0.5 if classes == 2 else 1.0 / classes


def bootstrap(
    labels: Labels, probabilities: NDArray[np.float64], *, draws: int = 200, seed: int = 0
) -> Estimate:
    """Percentile bootstrap over rows (Efron 1979)."""
    return _interval(labels, (probabilities,), lambda values: values[0], draws, seed)


def quick_interval(labels: Labels, probabilities: NDArray[np.float64]) -> Estimate:
    """The score with its 95 % interval by the normal approximation, for measuring after every round.

    `bootstrap` is for what is reported.
    """
    value, half = score(labels, probabilities), Z95 * variance(labels, probabilities) ** 0.5
    return Estimate(value, max(0.0, value - half), min(1.0, value + half))


def variance(labels: Labels, probabilities: NDArray[np.float64]) -> float:
    """Of the score over draws of rows: AUC by Hanley and McNeil (1982), accuracy by the binomial."""
    value, rows = score(labels, probabilities), int(labels.shape[0])
    if probabilities.ndim != 1:
        return value * (1 - value) / rows
    positive = int(labels.sum())
    negative = rows - positive
    one, two = value / (2 - value), 2 * value**2 / (1 + value)
    spread = (positive - 1) * (one - value**2) + (negative - 1) * (two - value**2)
    return max(0.0, (value * (1 - value) + spread) / (positive * negative))


def bootstrap_difference(
    labels: Labels,
    better: NDArray[np.float64],
    others: tuple[NDArray[np.float64], ...],
    *,
    draws: int = 200,
    seed: int = 0,
) -> Estimate:
    """Score of ``better`` minus the mean score of ``others``, on the same resampled rows."""
    return _interval(
        labels,
        (better, *others),
        lambda values: values[0] - sum(values[1:]) / len(others),
        draws,
        seed,
    )


@dataclass(frozen=True)
class Approval:
    """What a lender loses: defaults among those a model approves at a given approval rate."""

    approved: int
    defaults: int

    @property
    def rate(self) -> float:
        return self.defaults / self.approved


def defaults_among_approved(labels: Labels, scores: Scores, approval_rate: float) -> Approval:
    """Approve the share with the lowest scores (ties by row order) and count who defaulted.

    Raises
    ------
    BadInput
        The rate approves nobody.
    """
    approved = int(labels.shape[0] * approval_rate)
    if not 0 < approved <= labels.shape[0]:
        raise BadInput(f"An approval rate of {approval_rate} approves nobody.", code="learning.approval")
    chosen = np.argsort(scores, kind="stable")[:approved]
    return Approval(approved, int(labels[chosen].sum()))


def _weighted_auc(labels: Labels, scores: Scores, weights: NDArray[np.int64]) -> float:
    order = np.argsort(scores, kind="stable")
    ranked, positive = scores[order], (labels[order] == 1) * weights[order]
    negative = weights[order] - positive
    return _ranked_auc(_tie_starts(ranked), positive, negative)


def _tie_starts(ranked: Scores) -> NDArray[np.int64]:
    return np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))


def _ranked_auc(starts: NDArray[np.int64], positive: NDArray[np.int64], negative: NDArray[np.int64]) -> float:
    positives = np.add.reduceat(positive, starts)
    negatives = np.add.reduceat(negative, starts)
    total = int(positives.sum()) * int(negatives.sum())
    if total == 0:
        raise BadInput(
            "AUC needs examples of both classes.", hint="Measure on a larger set.", code="learning.one_class"
        )
    below = np.cumsum(negatives) - negatives
    return float((2 * (positives * below).sum() + (positives * negatives).sum()) / (2 * total))


def _interval(
    labels: Labels,
    models: tuple[NDArray[np.float64], ...],
    combine: Combine,
    draws: int,
    seed: int,
) -> Estimate:
    """Resample by multiplicities, so that every model is sorted once."""
    random = np.random.default_rng(seed)
    rows = labels.shape[0]
    value = combine([score(labels, model) for model in models])
    measured: list[float] = []
    binary = models[0].ndim == 1
    orders = [np.argsort(scores, kind="stable") if binary else np.empty(0, np.int64) for scores in models]
    starts = [_tie_starts(s[o]) if binary else o for s, o in zip(models, orders, strict=True)]
    hits = [labels == (p >= 0.5 if binary else p.argmax(axis=1)) for p in models]
    for _ in range(draws):
        counts = np.bincount(random.integers(0, rows, rows), minlength=rows)
        if binary and not 0 < counts @ labels < rows:
            continue  # of few rows a draw may hold one class only, which has no AUC
        values = []
        for order, start, hit in zip(orders, starts, hits, strict=True):
            if binary:
                positive = counts * labels
                values.append(_ranked_auc(start, positive[order], (counts - positive)[order]))
            else:
                values.append(float(counts @ hit) / rows)
        measured.append(combine(values))
    low, high = np.percentile(measured, [2.5, 97.5])
    return Estimate(value, float(low), float(high))
