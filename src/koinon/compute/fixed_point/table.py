# SPDX-License-Identifier: Apache-2.0
"""From nodes that hold their children to the one table of `FixedTrees`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from koinon.compute.fixed_point.inputs import Inputs, malformed
from koinon.compute.fixed_point.outputs import Outputs
from koinon.compute.fixed_point.trees import LEAF_BITS, FixedTrees

LARGEST = float(np.finfo(np.float32).max)
LARGEST_LEAF = 2.0**24


@dataclass(frozen=True)
class Node:
    """A decision (``feature`` at most ``threshold`` goes left), or without children a leaf."""

    feature: int = 0
    threshold: float = 0.0
    left: Node | None = None
    right: Node | None = None
    output: int = 0
    value: float = 0.0


def table_of(trees: Sequence[Node], inputs: Inputs, outputs: Outputs, base: Sequence[float]) -> FixedTrees:
    """The trees as one table, parents first.

    Leaves are rounded to multiples of 2^-36, thresholds down to float32: so a threshold decides every float32
    number as before.
    """
    nodes: list[Node] = []
    left: list[int] = []
    right: list[int] = []
    roots: list[int] = []
    for tree in trees:
        roots.append(len(nodes))
        waiting: list[tuple[Node, list[int], int]] = [(tree, roots, len(roots) - 1)]
        while waiting:
            node, told, place = waiting.pop()
            told[place] = index = len(nodes)
            nodes.append(node)
            left.append(index)
            right.append(index)
            if node.left is not None and node.right is not None:
                waiting += [(node.right, right, index), (node.left, left, index)]
    return FixedTrees(
        inputs,
        feature=np.array([node.feature for node in nodes], dtype=np.int64),
        threshold=np.array([rounded_down(node.threshold) for node in nodes], dtype=np.float32),
        left=np.array(left, dtype=np.int64),
        right=np.array(right, dtype=np.int64),
        output=np.array([node.output for node in nodes], dtype=np.int64),
        value=np.array([_leaf(node.value) if node.left is None else 0 for node in nodes], dtype=np.int64),
        roots=np.array(roots, dtype=np.int64),
        base=np.array([_leaf(value) for value in base], dtype=np.int64),
        outputs=outputs,
    )


def rounded_down(threshold: float) -> np.float32:
    """The largest float32 number not above it."""
    within = min(max(threshold, -LARGEST), LARGEST)
    near = np.float32(within)
    return near if float(near) <= within else np.nextafter(near, np.float32(-np.inf))


def _leaf(value: float) -> int:
    if not abs(value) < LARGEST_LEAF:
        raise malformed(f"the leaf value {value} is not finite, or too large")
    return round(value * (1 << LEAF_BITS))
