# SPDX-License-Identifier: Apache-2.0
"""From raw scores to probabilities, in float64 and without overflow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def sigmoid(scores: Scores) -> Scores:
    """1 / (1 + e^-x), of any shape."""
    small = np.exp(-np.abs(scores))
    result: Scores = np.where(scores >= 0, 1.0, small) / (1.0 + small)
    return result


def softmax(scores: Scores) -> Scores:
    """Rows of shape (rows, classes) that sum to one."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Scores = powers / powers.sum(axis=1, keepdims=True)
    return result


def probabilities_of(scores: Scores, classes: int) -> Scores:
    """Shape (rows,) for two classes from (rows, 1) log odds or (rows, 2) logits; else (rows, classes)."""
    if classes > 2:
        return softmax(scores)
    return sigmoid(scores[:, 0] if scores.shape[1] == 1 else scores[:, 1] - scores[:, 0])
