# SPDX-License-Identifier: Apache-2.0
"""Real models in files: scikit-learn's, torch's, and the sandbox that opens them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from koinon.compute.sandbox.bubblewrap import BubblewrapSandbox
from koinon.errors import SetupError


@lru_cache
def sandbox() -> BubblewrapSandbox:
    """The sandbox; a test that needs it is left out where the host cannot isolate."""
    found = BubblewrapSandbox()
    try:
        found.check()
    except SetupError as error:
        pytest.skip(f"{error.message} {error.hint}")
    return found


def cancer() -> tuple[Any, Any]:
    """569 tumours, 30 numbers each, scaled down to six."""
    rows, labels = load_breast_cancer(return_X_y=True)
    return rows[:, :6], labels


def logistic(path: Path, seed: int = 0) -> Any:
    """A logistic regression with its scaler, taught on a part of the tumours; kept at ``path``."""
    rows, labels = cancer()
    part = np.random.default_rng(seed).permutation(len(rows))[:400]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(rows[part], labels[part])
    joblib.dump(model, path)
    return model
