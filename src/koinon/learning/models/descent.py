# SPDX-License-Identifier: Apache-2.0
"""Gradient descent on a flat vector: mini-batches by seed, Adam and plain SGD."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from koinon.learning.models.base import Training, Vector


class Optimiser(Protocol):
    """Changes parameters in place."""

    def step(self, parameters: Vector, gradient: Vector) -> None:
        """One step down the gradient."""


class Adam:
    """Kingma and Ba 2015, with beta 0.9 and 0.999."""

    def __init__(self, learning_rate: float, parameters: Vector) -> None:
        self._learning_rate = learning_rate
        self._moment, self._variance = np.zeros_like(parameters), np.zeros_like(parameters)
        self._step = 0

    def step(self, parameters: Vector, gradient: Vector) -> None:
        self._step += 1
        self._moment += np.float32(0.1) * (gradient - self._moment)
        self._variance += np.float32(0.001) * (gradient * gradient - self._variance)
        rate = np.float32(self._learning_rate * np.sqrt(1 - 0.999**self._step) / (1 - 0.9**self._step))
        parameters -= rate * self._moment / (np.sqrt(self._variance) + np.float32(1e-8))


class Sgd:
    """Plain stochastic gradient descent, what SCAFFOLD's control variates are derived for."""

    def __init__(self, learning_rate: float) -> None:
        self._rate = np.float32(learning_rate)

    def step(self, parameters: Vector, gradient: Vector) -> None:
        parameters -= self._rate * gradient


def optimiser_of(training: Training, parameters: Vector) -> Optimiser:
    """A fresh optimiser: every round starts without memory."""
    if training.optimiser == "sgd":
        return Sgd(training.learning_rate)
    return Adam(training.learning_rate, parameters)


def mini_batches(rows: int, training: Training, seed: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers of each mini-batch: every pass in a new order."""
    random = np.random.default_rng(seed)
    left = training.batches(rows)
    while left > 0:
        order = random.permutation(rows)
        for start in range(0, rows, training.batch):
            if left == 0:
                return
            left -= 1
            yield order[start : start + training.batch]
