# SPDX-License-Identifier: Apache-2.0
"""Makes fixed-point models from fitted scikit-learn estimators.

Parameters are rounded once, here; from then on the model is the rounded one, and its answers are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.compute.fixed_point.arithmetic import Floats
from koinon.compute.fixed_point.file import FixedModel
from koinon.compute.fixed_point.inputs import Inputs, malformed
from koinon.compute.fixed_point.network import FixedNetwork
from koinon.compute.fixed_point.outputs import Outputs
from koinon.compute.fixed_point.table import Node, table_of
from koinon.compute.fixed_point.trees import FixedTrees

Layers = list[tuple[Floats, Floats]]


def from_estimator(
    estimator: Any, features: Sequence[str] = (), rows: NDArray[np.generic] | None = None
) -> FixedModel:
    """A fitted scikit-learn estimator: logistic and linear regression, ridge, MLP, trees, forests, gradient
    boosting; or a pipeline of a standard scaler and one of them.

    Parameters
    ----------
    features : sequence of str
        Names of the columns; by default those it was fitted with, or x0, x1, ….
    rows : (n, d), optional
        Some rows it was fitted on. Linear models and perceptrons without a scaler need them, because inputs
        are kept within a range: each is divided by a power of two above the largest seen, and its weights
        are multiplied by it, which changes nothing else. Inputs up to 128 times that keep their value.

    Raises
    ------
    BadInput
        Another kind of estimator, one with several targets, or no scaler and no rows.
    """
    scaler, last = _parts(estimator)
    names = tuple(str(name) for name in (features or getattr(estimator, "feature_names_in_", ())))
    names = names or tuple(f"x{column}" for column in range(int(last.n_features_in_)))
    inputs = Inputs.plain(names) if scaler is None else _scaled(names, scaler)
    kind = type(last).__name__
    if kind in _TREES:
        return _TREES[kind](last, inputs)
    if kind not in _SUMS:
        raise malformed(f"{kind} has no conversion (there is one for {', '.join((*_SUMS, *_TREES))})")
    layers, activation, outputs = _SUMS[kind](last)
    if scaler is None:
        if rows is None:
            raise malformed(
                "it has no scaler: give some rows it was fitted on, or put a StandardScaler first"
            )
        ranges = _ranges(np.asarray(rows, dtype=np.float64))
        inputs = Inputs(names, inputs.signed_log, inputs.center, ranges)
        layers[0] = (layers[0][0] * ranges[:, None], layers[0][1])
    return FixedNetwork.rounded(inputs, layers, activation, outputs)


def _parts(estimator: Any) -> tuple[Any, Any]:
    """The scaler, if there is one, and the model."""
    if type(estimator).__name__ != "Pipeline":
        return None, estimator
    steps = [step for _, step in estimator.steps]
    if len(steps) != 2 or type(steps[0]).__name__ != "StandardScaler":
        raise malformed("of pipelines only a standard scaler and one model can be converted")
    return steps[0], steps[1]


def _scaled(names: tuple[str, ...], scaler: Any) -> Inputs:
    count = len(names)
    center = np.zeros(count) if scaler.mean_ is None else np.asarray(scaler.mean_, dtype=np.float64)
    scale = np.ones(count) if scaler.scale_ is None else np.asarray(scaler.scale_, dtype=np.float64)
    return Inputs(names, np.zeros(count, dtype=np.bool_), center, scale)


def _ranges(rows: Floats) -> Floats:
    """A power of two a column, at least its largest magnitude."""
    _, exponents = np.frexp(np.abs(rows).max(axis=0, initial=0.0))
    result: Floats = np.ldexp(1.0, exponents)
    return result


def _linear(model: Any) -> tuple[Layers, str, Outputs]:
    weights = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64)).T
    classes = _classes(model)
    if not classes and weights.shape[1] != 1:
        raise malformed("it has several targets")
    link = "identity" if not classes else "logistic" if weights.shape[1] == 1 else "softmax"
    biases = np.broadcast_to(np.asarray(model.intercept_, dtype=np.float64), (weights.shape[1],))
    return [(weights, biases)], "relu", Outputs(link, classes)


def _perceptron(model: Any) -> tuple[Layers, str, Outputs]:
    layers = list(zip(model.coefs_, model.intercepts_, strict=True))
    return layers, str(model.activation), Outputs(str(model.out_activation_), _classes(model))


def _tree(model: Any, inputs: Inputs) -> FixedTrees:
    return _forest_of([model], model, inputs)


def _forest(model: Any, inputs: Inputs) -> FixedTrees:
    return _forest_of(list(model.estimators_), model, inputs)


def _forest_of(members: list[Any], model: Any, inputs: Inputs) -> FixedTrees:
    """The mean of the trees' leaves: class shares, or a number. Each class is a tree of its own."""
    classes = _classes(model)
    outputs = Outputs("shares", classes) if classes else Outputs("identity", ())
    trees: list[Node] = []
    for member in members:
        leaves = np.asarray(member.tree_.value, dtype=np.float64)[:, 0, :]
        if classes:
            leaves = leaves / leaves.sum(axis=1, keepdims=True)
        for output in range(leaves.shape[1]):
            trees.append(_sklearn_node(member.tree_, leaves[:, output] / len(members), 0, output))
    return table_of(trees, inputs, outputs, [0.0] * outputs.scores)


def _boosting(model: Any, inputs: Inputs) -> FixedTrees:
    classes = _classes(model)
    rate = float(model.learning_rate)
    stages = model.estimators_
    link = "identity" if not classes else "logistic" if stages.shape[1] == 1 else "softmax"
    outputs = Outputs(link, classes)
    start = np.zeros((1, int(model.n_features_in_)), dtype=np.float32)
    base = np.atleast_1d(model._raw_predict_init(start)[0]).astype(np.float64).tolist()
    trees = [
        _sklearn_node(stage.tree_, rate * stage.tree_.value[:, 0, 0], 0, output)
        for stage_row in stages
        for output, stage in enumerate(stage_row)
    ]
    return table_of(trees, inputs, outputs, base)


def _sklearn_node(tree: Any, leaves: Floats, index: int, output: int) -> Node:
    if tree.children_left[index] < 0:
        return Node(output=output, value=float(leaves[index]))
    children = (tree.children_left[index], tree.children_right[index])
    left, right = (_sklearn_node(tree, leaves, int(child), output) for child in children)
    return Node(int(tree.feature[index]), float(tree.threshold[index]), left, right, output)


def _classes(model: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in getattr(model, "classes_", ()))


_SUMS: Final[dict[str, Callable[[Any], tuple[Layers, str, Outputs]]]] = {
    "LogisticRegression": _linear,
    "LinearRegression": _linear,
    "Ridge": _linear,
    "MLPClassifier": _perceptron,
    "MLPRegressor": _perceptron,
}
_TREES: Final[dict[str, Callable[[Any, Inputs], FixedTrees]]] = {
    "DecisionTreeClassifier": _tree,
    "DecisionTreeRegressor": _tree,
    "RandomForestClassifier": _forest,
    "RandomForestRegressor": _forest,
    "ExtraTreesClassifier": _forest,
    "ExtraTreesRegressor": _forest,
    "GradientBoostingClassifier": _boosting,
    "GradientBoostingRegressor": _boosting,
}
