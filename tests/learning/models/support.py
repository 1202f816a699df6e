# SPDX-License-Identifier: Apache-2.0
"""Small learnable tables for every kind of model."""

from __future__ import annotations

import numpy as np

from koinon.learning.models import Labels, Matrix, Training

TRAINING = Training(epochs=3, batch=16, learning_rate=0.02)


def blobs(rows: int = 240, classes: int = 2, columns: int = 4, seed: int = 0) -> tuple[Matrix, Labels]:
    """Clouds around one corner a class, which a linear model can tell apart almost always."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    centers = np.random.default_rng(7).normal(0, 4, (classes, columns))
    return (centers[labels] + random.normal(0, 1, (rows, columns))).astype(np.float32), labels
