# SPDX-License-Identifier: Apache-2.0
"""A small neural network in NumPy: multi-layer perceptrons, logistic and softmax regression."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.learning.models.base import Labels, Matrix, Training, Vector
from koinon.learning.models.descent import mini_batches, optimiser_of


@dataclass(frozen=True)
class Perceptron:
    """Multi-layer perceptron: tanh or ReLU hidden layers, a logistic or softmax output.

    Parameters
    ----------
    inputs : int
    hidden : tuple of int
        Units a hidden layer; empty is plain logistic regression.
    classes : int
        2 has one output (log odds of class 1), more have one output each.
    activation : str
        ``"tanh"`` or ``"relu"``.
    """

    inputs: int
    hidden: tuple[int, ...]
    classes: int = 2
    activation: str = "tanh"

    def __post_init__(self) -> None:
        if self.inputs < 1 or self.classes < 2 or any(units < 1 for units in self.hidden):
            raise BadInput(
                "A model needs inputs, at least two classes and no empty layer.", code="learning.model"
            )
        if self.activation not in ("tanh", "relu"):
            raise BadInput(
                f"Unknown activation '{self.activation}'.", hint="Use tanh or relu.", code="learning.model"
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of every layer from inputs to outputs."""
        return (self.inputs, *self.hidden, 1 if self.classes == 2 else self.classes)

    @property
    def size(self) -> int:
        return sum(
            (fan_in + 1) * fan_out for fan_in, fan_out in zip(self.widths, self.widths[1:], strict=False)
        )

    @property
    def guided(self) -> bool:
        return True

    @property
    def averages(self) -> bool:
        return True

    @property
    def schema(self) -> bytes:
        name = f"perceptron {'-'.join(map(str, self.widths))} {self.activation} float32"
        return hashlib.sha256(name.encode()).digest()

    def initial(self, seed: int) -> Vector:
        """Glorot normal weights, zero biases."""
        random = np.random.default_rng(seed)
        parts = []
        for fan_in, fan_out in zip(self.widths, self.widths[1:], strict=False):
            scale = np.sqrt(2.0 / (fan_in + fan_out))
            parts.append((random.standard_normal(fan_in * fan_out) * scale).astype(np.float32))
            parts.append(np.zeros(fan_out, dtype=np.float32))
        return np.concatenate(parts)

    def layers(self, vector: Vector) -> list[tuple[Matrix, Vector]]:
        """Views of (weights, biases) into the vector, one pair a layer.

        Raises
        ------
        BadInput
            The vector has another length.
        """
        if vector.shape != (self.size,):
            raise BadInput(
                f"The model has {self.size} parameters, the vector {vector.shape}.",
                code="learning.vector_size",
            )
        found, start = [], 0
        for fan_in, fan_out in zip(self.widths, self.widths[1:], strict=False):
            weights = vector[start : start + fan_in * fan_out].reshape(fan_in, fan_out)
            start += fan_in * fan_out
            found.append((weights, vector[start : start + fan_out]))
            start += fan_out
        return found

    def probabilities(self, vector: Vector, inputs: Matrix) -> NDArray[np.float64]:
        layers = self.layers(vector)
        values: Matrix = inputs
        for weights, biases in layers[:-1]:
            values = self._activate(values @ weights + biases)
        weights, biases = layers[-1]
        return self._output((values @ weights + biases).astype(np.float64))

    def train(
        self,
        vector: Vector,
        inputs: Matrix,
        labels: Labels,
        training: Training,
        seed: int,
        *,
        drift: Vector | None = None,
    ) -> Vector:
        parameters = vector.copy()
        layers = self.layers(parameters)
        gradient = np.empty_like(parameters)
        gradient_layers = self.layers(gradient)
        optimiser = optimiser_of(training, parameters)
        targets = self._targets(labels)
        for chosen in mini_batches(inputs.shape[0], training, seed):
            self._gradient(layers, gradient_layers, inputs[chosen], targets[chosen])
            if training.weight_decay:
                gradient += np.float32(training.weight_decay) * parameters
            if training.proximal:
                gradient += np.float32(training.proximal) * (parameters - vector)
            if drift is not None:
                gradient += drift
            optimiser.step(parameters, gradient)
        return parameters

    def _activate(self, values: Matrix) -> Matrix:
        result: Matrix = np.tanh(values) if self.activation == "tanh" else np.maximum(values, 0)
        return result

    def _output(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.classes == 2:
            single = logits[:, 0]
            positive = 1.0 / (1.0 + np.exp(-np.abs(single)))
            result: NDArray[np.float64] = np.where(single >= 0, positive, 1.0 - positive)
            return result
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)

    def _targets(self, labels: Labels) -> Matrix:
        if self.classes == 2:
            return labels.astype(np.float32)[:, None]
        return np.eye(self.classes, dtype=np.float32)[labels]

    def _gradient(
        self,
        layers: list[tuple[Matrix, Vector]],
        gradient: list[tuple[Matrix, Vector]],
        inputs: Matrix,
        targets: Matrix,
    ) -> None:
        """Write the mean cross-entropy's gradient into ``gradient`` (views of one vector)."""
        values = [inputs]
        for weights, biases in layers[:-1]:
            values.append(self._activate(values[-1] @ weights + biases))
        weights, biases = layers[-1]
        output = self._output((values[-1] @ weights + biases).astype(np.float64)).astype(np.float32)
        error = ((output[:, None] if self.classes == 2 else output) - targets) / np.float32(inputs.shape[0])
        for index in range(len(layers) - 1, -1, -1):
            gradient_weights, gradient_biases = gradient[index]
            np.matmul(values[index].T, error, out=gradient_weights)
            error.sum(axis=0, out=gradient_biases)
            if index:
                back = error @ layers[index][0].T
                active = values[index]
                error = back * (1 - active * active) if self.activation == "tanh" else back * (active > 0)
