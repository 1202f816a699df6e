# SPDX-License-Identifier: Apache-2.0
"""A taught model in fixed point: the same bits in every batch and on every processor.

Its parameters are rounded once, to multiples of 2^-18, leaves of trees to 2^-36. `compare` says what that
changes on rows of one's own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from koinon.compute import fixed_point
from koinon.compute.fixed_point.table import Node, table_of
from koinon.errors import BadInput
from koinon.learning.models import LinearModel, Perceptron, Trees, Vector
from koinon.learning.trained import TrainedModel
from koinon.tables import Features


def exact_model(trained: TrainedModel) -> fixed_point.FixedModel:
    """The same model in fixed point; BadInput where there is no such form of it."""
    recipe, scaling = trained.recipe, trained.scaling
    classes = tuple(str(name) for name in recipe.class_names)
    inputs = fixed_point.Inputs(
        tuple(recipe.columns),
        np.array(scaling.signed_log, dtype=np.bool_),
        np.array(scaling.center, dtype=np.float64),
        np.array(scaling.scale, dtype=np.float64),
    )
    model, vector = recipe.model, trained.vector
    two = len(classes) == 2 and not (isinstance(model, Perceptron) and model.widths[-1] > 1)
    outputs = fixed_point.Outputs("logistic" if two else "softmax", classes)
    if isinstance(model, Perceptron):
        layers = [
            (weights.astype(np.float64), biases.astype(np.float64))
            for weights, biases in model.layers(vector)
        ]
        return fixed_point.FixedNetwork.rounded(inputs, layers, model.activation, outputs)
    if isinstance(model, LinearModel):
        weights, biases = model.coefficients(vector)
        layers = [(weights.T.astype(np.float64), biases.astype(np.float64))]
        return fixed_point.FixedNetwork.rounded(inputs, layers, "relu", outputs)
    if isinstance(model, Trees):
        return table_of(_trees(model, vector), inputs, outputs, [0.0] * outputs.scores)
    raise BadInput(
        f"There is no fixed-point form of {type(model).__name__}.",
        hint="There is one of perceptrons, linear models and boosted trees.",
        code="learning.no_exact_form",
    )


def compare(trained: TrainedModel, exact: fixed_point.FixedModel, rows: Features) -> tuple[float, float]:
    """How the two differ on raw rows: the largest difference of a probability, and the share of rows with
    another label."""
    shares = exact.outputs.shares(exact.scores(rows.astype(np.float64))) / (1 << 30)
    before = trained.predict(rows)
    both = np.stack([1.0 - before, before], axis=1) if before.ndim == 1 else before
    return fixed_point.disagreement(shares, both)


def _trees(model: Trees, vector: Vector) -> list[Node]:
    """Every tree, its leaves weighed by its owner's part of the round's rows."""
    found = []
    for slot_row in model.slots(vector):
        counts = slot_row[:, 0].astype(np.float64)
        for owner in np.flatnonzero(counts):
            weight = float(counts[owner] / counts.sum())
            trees = slot_row[owner, 1:].reshape(-1, model.tree_size)
            found += [_node(model, tree, 0, at % model.outputs, weight) for at, tree in enumerate(trees)]
    return found


def _node(model: Trees, tree: NDArray[np.float32], index: int, output: int, weight: float) -> Node:
    splits = model.leaves - 1
    if index < 0:
        return Node(output=output, value=weight * float(tree[4 * splits - 1 - index]))
    children = (int(tree[2 * splits + index]), int(tree[3 * splits + index]))
    left, right = (_node(model, tree, child, output, weight) for child in children)
    return Node(int(tree[index]), float(tree[splits + index]), left, right, output)
