# SPDX-License-Identifier: Apache-2.0
"""Real models, taught here on scikit-learn's data, as functions from rows to probabilities."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from koinon.works.fingerprints.behaviour import Answers, Array

DATA = {"cancer": load_breast_cancer, "wine": load_wine}


def rows_of(name: str) -> tuple[Array, Any]:
    """A data set with its columns scaled."""
    rows, labels = DATA[name](return_X_y=True)
    return StandardScaler().fit_transform(rows), labels


def taught(name: str, seed: int, *, width: int = 16, rounds: int = 80) -> Any:
    """A network taught on its own part of the rows."""
    rows, labels = rows_of(name)
    part = np.random.default_rng(seed).permutation(len(rows))[: len(rows) * 7 // 10]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MLPClassifier((width,), max_iter=rounds, random_state=seed).fit(rows[part], labels[part])


def answers(model: Any) -> Answers:
    def ask(rows: Array) -> Array:
        return np.asarray(model.predict_proba(rows))

    return ask


def changed(model: Any, change: Callable[[Any], Any]) -> Any:
    """A copy with each matrix of weights changed."""
    other = copy.deepcopy(model)
    other.coefs_ = [change(weights) for weights in other.coefs_]
    return other


def noisy(model: Any, part: float, seed: int) -> Any:
    draw = np.random.default_rng(seed)
    return changed(model, lambda each: each + part * each.std() * draw.standard_normal(each.shape))


def taught_on(model: Any, name: str, seed: int, rounds: int) -> Any:
    """A copy taught further on other rows."""
    rows, labels = rows_of(name)
    part = np.random.default_rng(1_000 + seed).permutation(len(rows))[: len(rows) // 2]
    other = copy.deepcopy(model)
    for _ in range(rounds):
        other.partial_fit(rows[part], labels[part])
    return other


def renumbered(model: Any, seed: int) -> Any:
    """The same function with its hidden neurons in another order."""
    other = copy.deepcopy(model)
    order = np.random.default_rng(seed).permutation(other.coefs_[0].shape[1])
    other.coefs_ = [other.coefs_[0][:, order], other.coefs_[1][order]]
    other.intercepts_ = [other.intercepts_[0][order], other.intercepts_[1]]
    return other
