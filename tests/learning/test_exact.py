# SPDX-License-Identifier: Apache-2.0
"""Taught models in fixed point decide as before."""

from __future__ import annotations

import numpy as np
import pytest

from koinon.compute import fixed_point
from koinon.errors import BadInput
from koinon.learning import simulation
from koinon.learning.exact import compare, exact_model
from koinon.learning.models import ModelSpec
from koinon.learning.trained import TrainedModel
from tests.learning.support import SCALING, recipe, table

SPECS = {
    "perceptron": ModelSpec("perceptron", {"hidden": (4,)}),
    "tanh": ModelSpec("perceptron", {"hidden": (4, 3), "activation": "tanh"}),
    "linear": ModelSpec("sklearn", {}),
    "trees": ModelSpec("trees", {"rounds": 3, "owners": 3, "trees": 2, "leaves": 4, "leaf_rows": 5}),
}


def taught(spec: ModelSpec) -> TrainedModel:
    rule = {"aggregation": "union"} if spec.kind == "trees" else {}
    found = recipe(model_spec=spec, **rule)
    together = simulation.train_together(found, [table(60, owner) for owner in range(3)])
    return TrainedModel(found, together.scaling, together.vector)


@pytest.mark.parametrize("kind", SPECS)
def test_a_taught_model_in_fixed_point_decides_as_before(kind):
    if kind == "trees":
        pytest.importorskip("lightgbm")
    model = taught(SPECS[kind])
    exact = exact_model(model)
    rows = table(300, 9).features
    largest, others = compare(model, exact, rows)
    assert largest < 1e-3
    assert others <= 0.01
    again = fixed_point.from_bytes(fixed_point.to_bytes(exact))
    assert again.answers(rows.astype(np.float64)) == exact.answers(rows.astype(np.float64))


def test_a_model_without_such_a_form_is_refused():
    found = recipe(model_spec=ModelSpec("torch", {}))
    pytest.importorskip("torch")
    model = TrainedModel(found, SCALING, np.zeros(found.model.size, dtype=np.float32))
    with pytest.raises(BadInput, match="no fixed-point form"):
        exact_model(model)
