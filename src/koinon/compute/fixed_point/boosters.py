# SPDX-License-Identifier: Apache-2.0
"""Makes fixed-point models from LightGBM's boosted trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from koinon.compute.fixed_point.inputs import Inputs, malformed
from koinon.compute.fixed_point.outputs import Outputs
from koinon.compute.fixed_point.table import Node, table_of
from koinon.compute.fixed_point.trees import FixedTrees


def from_lightgbm(dump: dict[str, Any], classes: Sequence[str]) -> FixedTrees:
    """Boosted trees from `lightgbm.Booster.dump_model`; ``classes`` empty for a regression.

    Features are read as float32, and missing values and categories are refused.
    """
    objective = str(dump.get("objective", "")).split(" ")[0]
    links = {"binary": "logistic", "multiclass": "softmax", "regression": "identity"}
    if objective not in links:
        raise malformed(f"the objective {objective!r} has no conversion")
    outputs = Outputs(links[objective], tuple(classes))
    trees = []
    for number, tree in enumerate(dump["tree_info"]):
        output = number % int(dump["num_tree_per_iteration"])
        trees.append(_lightgbm_node(tree["tree_structure"], output))
    return table_of(trees, Inputs.plain(tuple(dump["feature_names"])), outputs, [0.0] * outputs.scores)


def _lightgbm_node(node: dict[str, Any], output: int) -> Node:
    if "leaf_value" in node:
        return Node(output=output, value=float(node["leaf_value"]))
    if node["decision_type"] != "<=" or node.get("missing_type", "None") != "None":
        raise malformed("it decides by categories or by what is missing")
    left, right = (_lightgbm_node(node[f"{side}_child"], output) for side in ("left", "right"))
    return Node(int(node["split_feature"]), float(node["threshold"]), left, right, output)
