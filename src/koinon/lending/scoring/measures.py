# SPDX-License-Identifier: Apache-2.0
"""How well a score tells good from bad, how true its probabilities are, and how steady it is.

Throughout, labels are 1 for bad, and a higher risk means likelier bad.

Sources: DeLong, DeLong and Clarke-Pearson 1988 (with the fast ranks of Sun and Xu 2014); Siddiqi 2006 for KS
and PSI; Brier 1950; Guo and others 2017 for the calibration error; Cox 1958 for the slope.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.estimates import Z95, Estimate
from koinon.lending.scoring.frame import Floats, Integers


def auc(labels: Integers, risk: Floats) -> Estimate:
    """The chance that a bad row has the higher risk than a good one, ties counting half; DeLong's interval.

    Raises
    ------
    BadInput
        Only one class is there.
    """
    bad, good, value = _components(labels, risk)
    half = Z95 * float(np.sqrt(_variance(bad) + _variance(good)))
    return Estimate(value, max(0.0, value - half), min(1.0, value + half))


def auc_difference(labels: Integers, first: Floats, second: Floats) -> Estimate:
    """AUC of the first minus AUC of the second on the same rows; DeLong's interval for paired curves."""
    bad_one, good_one, one = _components(labels, first)
    bad_two, good_two, two = _components(labels, second)
    spread = _variance(bad_one - bad_two) + _variance(good_one - good_two)
    half = Z95 * float(np.sqrt(spread))
    return Estimate(one - two, one - two - half, one - two + half)


def ks(labels: Integers, risk: Floats) -> float:
    """Kolmogorov and Smirnov's distance between the risks of good and bad rows, 0 to 1."""
    _both(labels)
    order = np.argsort(risk, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(risk[order])), len(order) - 1)
    bad = np.cumsum(labels[order])[ends] / labels.sum()
    good = np.cumsum(1 - labels[order])[ends] / (len(labels) - labels.sum())
    return float(np.abs(bad - good).max())


def brier(labels: Integers, chances: Floats) -> Estimate:
    """Mean squared error of probabilities, with the interval of a mean."""
    return _mean((chances - labels) ** 2)


def calibration_error(labels: Integers, chances: Floats, groups: int = 10) -> float:
    """Expected calibration error: the mean distance between what was said and what happened, over equally
    large groups by probability."""
    order = np.argsort(chances, kind="stable")
    parts = [part for part in np.array_split(order, groups) if part.size]
    gaps = [abs(float(chances[part].mean() - labels[part].mean())) * part.size for part in parts]
    return sum(gaps) / len(labels)


def calibration_slope(labels: Integers, chances: Floats) -> tuple[float, float]:
    """Slope and intercept of the outcome's log odds on the probability's: 1 and 0 are perfect.

    A slope below 1 means probabilities that are too extreme.
    """
    _both(labels)
    logit = log_odds(chances)
    slope, intercept = 1.0, 0.0
    for _ in range(50):  # Newton's steps of a logistic regression in one variable
        found = expit(intercept + slope * logit)
        weight = np.maximum(found * (1 - found), 1e-12)
        error = labels - found
        gradient = np.array([error.sum(), (error * logit).sum()])
        cross = (weight * logit).sum()
        hessian = np.array([[weight.sum(), cross], [cross, (weight * logit**2).sum()]])
        step = np.linalg.solve(hessian + np.eye(2) * 1e-9, gradient)
        intercept, slope = intercept + float(step[0]), slope + float(step[1])
        if float(np.abs(step).max()) < 1e-10:
            break
    return slope, intercept


def psi(before: NDArray[np.generic], after: NDArray[np.generic], groups: int = 10) -> float:
    """Population stability index of a number between two sets of rows, by the first's tenths.

    Below 0.1 is steady, above 0.25 shifted (Siddiqi 2006).
    """
    first, second = before.astype(np.float64), after.astype(np.float64)
    if not first.size or not second.size:
        raise BadInput("Stability needs rows on both sides.", code="lending.measure")
    edges = np.unique(np.quantile(first, np.linspace(0, 1, groups + 1)[1:-1]))
    return _divergence(np.searchsorted(edges, first, "right"), np.searchsorted(edges, second, "right"))


def psi_of_bins(before: NDArray[np.integer], after: NDArray[np.integer]) -> float:
    """The same for numbers of bins."""
    return _divergence(before, after)


def interval_of_rate(hits: int, rows: int) -> Estimate:
    """A rate with Wilson's interval (Wilson 1927), which holds for few rows too."""
    if rows < 1:
        raise BadInput("A rate needs at least one row.", code="lending.measure")
    rate, square = hits / rows, Z95**2
    middle = (rate + square / (2 * rows)) / (1 + square / rows)
    half = Z95 / (1 + square / rows) * float(np.sqrt(rate * (1 - rate) / rows + square / (4 * rows**2)))
    return Estimate(rate, min(rate, max(0.0, middle - half)), max(rate, min(1.0, middle + half)))


def expit(value: Floats) -> Floats:
    """The logistic function."""
    result: Floats = 0.5 * (1.0 + np.tanh(0.5 * value))
    return result


def log_odds(chances: Floats) -> Floats:
    """Its inverse, kept finite."""
    kept = np.clip(chances, 1e-9, 1 - 1e-9)
    result: Floats = np.log(kept / (1 - kept))
    return result


def _components(labels: Integers, risk: Floats) -> tuple[Floats, Floats, float]:
    """DeLong's structural components: of every bad row the share of good ones below it, and the other way."""
    _both(labels)
    bad, good = risk[labels == 1], risk[labels == 0]
    everyone, among_bad, among_good = (_midranks(part) for part in (risk, bad, good))
    of_bad = (everyone[labels == 1] - among_bad) / good.size
    of_good = 1.0 - (everyone[labels == 0] - among_good) / bad.size
    return of_bad, of_good, float(of_bad.mean())


def _midranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    result: Floats = (last - (counts - 1) / 2.0)[inverse]
    return result


def _variance(components: Floats) -> float:
    return float(components.var(ddof=1) / components.size) if components.size > 1 else 0.0


def _mean(values: Floats) -> Estimate:
    value = float(values.mean())
    half = Z95 * float(values.std(ddof=1) / np.sqrt(values.size)) if values.size > 1 else 0.0
    return Estimate(value, value - half, value + half)


def _divergence(before: NDArray[np.integer], after: NDArray[np.integer]) -> float:
    count = int(max(before.max(), after.max())) + 1
    first = (np.bincount(before, minlength=count) + 0.5) / (before.size + 0.5 * count)
    second = (np.bincount(after, minlength=count) + 0.5) / (after.size + 0.5 * count)
    return float(((second - first) * np.log(second / first)).sum())


def _both(labels: Integers) -> None:
    if not 0 < int(labels.sum()) < len(labels):
        raise BadInput(
            "Good and bad rows must both be there to measure a score.",
            hint="Measure on more rows.",
            code="lending.measure",
        )
