# SPDX-License-Identifier: Apache-2.0
"""Linear classifiers of scikit-learn: an estimator's coefficients as the flat vector.

The estimator only trains. What it learnt is served by NumPy alone, so a process that answers needs no
scikit-learn.
"""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.extras import required
from koinon.learning.models.base import Labels, Matrix, Training, Vector
from koinon.learning.models.outputs import probabilities_of, softmax

FROM_RECIPE = ("warm_start", "random_state", "max_iter", "C", "alpha", "eta0", "learning_rate", "n_jobs")
"""Settings that follow from the recipe's training and are no options of the model."""


@dataclass(frozen=True)
class LinearModel:
    """A classifier of `sklearn.linear_model` with ``coef_`` and ``intercept_``.

    Parameters
    ----------
    inputs, classes : int
    estimator : str
        ``LogisticRegression`` (L-BFGS, ``epochs`` iterations a round from the common coefficients; L2 by
        ``weight_decay`` on the mean loss), or one with ``partial_fit``: ``SGDClassifier`` (logistic loss
        unless an option says otherwise; constant step), ``Perceptron``, … In those an epoch is one pass,
        row by row in the seed's order, and ``batch`` has no meaning.
    options : mapping
        Other settings of the estimator.
    """

    inputs: int
    classes: int
    estimator: str = "LogisticRegression"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.inputs < 1 or self.classes < 2:
            raise BadInput("A model needs inputs and at least two classes.", code="learning.model")
        taken = sorted(set(self.options) & set(FROM_RECIPE))
        if taken:
            raise BadInput(
                f"'{taken[0]}' of {self.estimator} follows from the recipe.",
                hint="Set epochs, learning_rate, weight_decay and seed of the recipe instead.",
                code="learning.model",
            )

    @property
    def outputs(self) -> int:
        """Linear functions: one for two classes, else one each."""
        return 1 if self.classes == 2 else self.classes

    @property
    def size(self) -> int:
        return (self.inputs + 1) * self.outputs

    @property
    def guided(self) -> bool:
        return False

    @property
    def averages(self) -> bool:
        return True

    @property
    def schema(self) -> bytes:
        options = sorted(self.options.items())
        name = f"sklearn {self.estimator} {options} {self.inputs}-{self.outputs} float32"
        return hashlib.sha256(name.encode()).digest()

    def initial(self, seed: int) -> Vector:
        """Zeros: the losses are convex."""
        del seed
        return np.zeros(self.size, dtype=np.float32)

    def coefficients(self, vector: Vector) -> tuple[Matrix, Vector]:
        """Views (outputs, inputs) and (outputs,) into the vector; BadInput for another length."""
        if vector.shape != (self.size,):
            raise BadInput(
                f"The model has {self.size} parameters, the vector {vector.shape}.",
                code="learning.vector_size",
            )
        split = self.inputs * self.outputs
        return vector[:split].reshape(self.outputs, self.inputs), vector[split:]

    def probabilities(self, vector: Vector, inputs: Matrix) -> NDArray[np.float64]:
        """Softmax of the scores for logistic regression; one against the rest, normalised, for others.

        A perceptron's scores are no log odds: their order means something, their size little.
        """
        weights, biases = self.coefficients(vector)
        scores = (inputs @ weights.T + biases).astype(np.float64)
        if self.classes == 2 or self.estimator == "LogisticRegression":
            return probabilities_of(scores, self.classes)
        return softmax(-np.logaddexp(0.0, -scores))  # sigmoids over their sum, which may itself underflow

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
        """BadInput for ``steps`` or guidance, which these estimators cannot follow."""
        if drift is not None or training.proximal or training.steps:
            raise BadInput(
                "scikit-learn's estimators train by whole passes and take no guidance.",
                hint="Set epochs instead of steps, and use fedavg, fedadam or outer.",
                code="learning.method",
            )
        kind = self._kind()
        estimator = kind(**self._settings(kind, training, inputs.shape[0], seed))
        weights, biases = self.coefficients(vector)
        if hasattr(estimator, "partial_fit"):
            self._make_room(estimator, inputs, labels)
            estimator.coef_[...], estimator.intercept_[...] = weights, biases
            random = np.random.default_rng(seed)
            for _ in range(training.epochs):
                order = random.permutation(inputs.shape[0])
                estimator.partial_fit(inputs[order], labels[order])
        else:
            self._from_warm_start(estimator, weights, biases, inputs, labels)
        learnt = (np.ravel(estimator.coef_), np.ravel(estimator.intercept_))
        return np.concatenate(learnt).astype(np.float32)

    def _kind(self) -> Any:
        linear = required("sklearn.linear_model", extra="sklearn")
        mixin = required("sklearn.base", extra="sklearn").ClassifierMixin
        kind = getattr(linear, self.estimator, None) if self.estimator in linear.__all__ else None
        goes_on = self.estimator == "LogisticRegression" or hasattr(kind, "partial_fit")
        if not isinstance(kind, type) or not issubclass(kind, mixin) or not goes_on:
            raise BadInput(
                f"'{self.estimator}' is no classifier of sklearn.linear_model that can go on learning.",
                hint="Use LogisticRegression, SGDClassifier or Perceptron.",
                code="learning.model",
            )
        return kind

    def _settings(self, kind: Any, training: Training, rows: int, seed: int) -> dict[str, Any]:
        decay = training.weight_decay
        wanted = {
            "random_state": seed % 2**32,
            "warm_start": True,
            "max_iter": max(1, training.epochs),
            "C": 1.0 / (decay * rows) if decay else np.inf,
            "alpha": decay,
            "eta0": training.learning_rate,
            "learning_rate": "constant",
            "loss": "log_loss",
        }
        known = inspect.signature(kind).parameters
        return {name: value for name, value in wanted.items() if name in known} | dict(self.options)

    def _make_room(self, estimator: Any, inputs: Matrix, labels: Labels) -> None:
        """Let the estimator know all classes; what this one row teaches is overwritten."""
        estimator.partial_fit(inputs[:1], labels[:1], classes=np.arange(self.classes))
        if hasattr(estimator, "t_"):
            estimator.t_ = 1.0

    def _from_warm_start(
        self, estimator: Any, weights: Matrix, biases: Vector, inputs: Matrix, labels: Labels
    ) -> None:
        """Rows of weight zero stand for classes this owner has no example of."""
        absent = np.setdiff1d(np.arange(self.classes), labels)
        shown = np.concatenate([inputs, np.zeros((absent.size, self.inputs), dtype=np.float32)])
        counted = np.concatenate([np.ones(labels.size), np.zeros(absent.size)])
        estimator.classes_ = np.arange(self.classes)
        estimator.coef_, estimator.intercept_ = weights.astype(np.float64), biases.astype(np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # stopping before convergence is what a round means
            estimator.fit(shown, np.concatenate([labels, absent]), sample_weight=counted)
