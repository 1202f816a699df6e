# SPDX-License-Identifier: Apache-2.0
"""Whether a model tells its training rows from others: a smoke test, not a proof.

The attack is the simplest there is (Yeom et al., *Privacy risk in machine learning*, 2018; Shokri et al.,
2017): guess that rows with a small loss, or a confident prediction, were trained on. Its AUC is how often a
member ranks before a row that was held out. A model that passes can still give single rows away to a
stronger attack; one that fails certainly gives many away. Held-out rows must come from where the members
come from, and the program must not have seen them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.tables import Features, Table

Predictor = Callable[[NDArray[np.float32], Features], NDArray[np.float64]]
"""From a model's vector and rows to probabilities (rows, classes), or to predicted numbers (rows,)."""

_ROWS: Final = 5000
_DRAWS: Final = 200
_LEAST: Final = 1e-12


@dataclass(frozen=True)
class Membership:
    """The better attack's AUC, with a 95 % interval by bootstrap over members and held-out rows."""

    auc: float
    low: float
    high: float


def linear(vector: NDArray[np.float32], features: Features) -> NDArray[np.float64]:
    """``columns`` weights, then the intercept: predicted numbers."""
    weights = vector.astype(np.float64)
    predicted: NDArray[np.float64] = features.astype(np.float64) @ weights[:-1] + weights[-1]
    return predicted


def logistic(vector: NDArray[np.float32], features: Features) -> NDArray[np.float64]:
    """``columns`` weights, then the intercept: probabilities of classes 0 and 1."""
    one = 0.5 * (1 + np.tanh(0.5 * linear(vector, features)))
    return np.stack([1 - one, one], axis=1)


def softmax(vector: NDArray[np.float32], features: Features) -> NDArray[np.float64]:
    """``columns`` weights for each class in turn, then an intercept for each: probabilities."""
    classes = vector.size // (features.shape[1] + 1)
    weights = vector.astype(np.float64)
    scores = features.astype(np.float64) @ weights[:-classes].reshape(classes, -1).T + weights[-classes:]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


FORMS: Final[Mapping[str, Predictor]] = {"linear": linear, "logistic": logistic, "softmax": softmax}


def fits(form: str, size: int, columns: int) -> bool:
    """Whether a vector of this size has the form, with no room for anything else."""
    if form == "softmax":
        return size % (columns + 1) == 0 and size >= 2 * (columns + 1)
    return size == columns + 1


def attack(
    vector: NDArray[np.float32],
    predictor: Predictor,
    members: Table,
    held_out: Table,
    generator: np.random.Generator,
) -> Membership:
    """Attack a model by loss and by confidence, on at most 5000 rows a side.

    Raises ValueError where the predictor does not take the vector, or gives no finite numbers.
    """
    classes = max(2, 1 + int(max(members.labels.max(initial=0), held_out.labels.max(initial=0))))
    inside = _scores(vector, predictor, _some(members, generator), classes)
    outside = _scores(vector, predictor, _some(held_out, generator), classes)
    index = int(np.argmax([auc(one, other) for one, other in zip(inside, outside, strict=True)]))
    one, other = inside[index], outside[index]
    drawn = [auc(generator.choice(one, one.size), generator.choice(other, other.size)) for _ in range(_DRAWS)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Membership(auc(one, other), float(low), float(high))


def auc(members: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """How often a member's score is above another's, ties half: Mann and Whitney's U over all pairs."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, members, "left") + np.searchsorted(ordered, members, "right")
    return float(below.sum()) / (2 * members.size * others.size)


def _some(table: Table, generator: np.random.Generator) -> Table:
    if len(table) <= _ROWS:
        return table
    return table.take(np.sort(generator.choice(len(table), _ROWS, replace=False)).astype(np.int64))


def _scores(
    vector: NDArray[np.float32], predictor: Predictor, table: Table, classes: int
) -> list[NDArray[np.float64]]:
    """Minus the loss, and the confidence where there is one: higher means more like a member."""
    told = np.asarray(predictor(vector, table.features), dtype=np.float64)
    if told.shape[:1] != (len(table),) or not np.isfinite(told).all():
        raise ValueError("the predictor gives no finite numbers for every row")
    if told.ndim == 1:
        return [-((told - table.labels) ** 2)]
    if told.shape[1] != classes:
        raise ValueError(f"the model has {told.shape[1]} classes, and the data {classes}")
    right = told[np.arange(len(table)), table.labels]
    return [np.log(np.maximum(right, _LEAST)), told.max(axis=1)]
