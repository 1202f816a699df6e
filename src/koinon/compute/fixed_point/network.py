# SPDX-License-Identifier: Apache-2.0
"""Perceptrons and linear models in fixed point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from koinon.compute.fixed_point import arithmetic
from koinon.compute.fixed_point.arithmetic import FRACTION, LARGEST_SUM, ONE, Floats, Integers
from koinon.compute.fixed_point.inputs import Inputs, malformed
from koinon.compute.fixed_point.outputs import Outputs

ACTIVATIONS: Final = ("tanh", "relu", "logistic")
LARGEST_INPUT: Final = 128
"""Scaled inputs are kept within ± this many units."""


@dataclass(frozen=True, eq=False)
class FixedNetwork:
    """Layers of weights in multiples of 2^-18 and biases in multiples of 2^-36; a linear model is one layer.

    Refuses (BadInput) weights so large that a sum could leave the range in which sums are exact: the bound is
    carried from layer to layer when the model is made, so no input can ever overflow.

    Parameters
    ----------
    layers : tuple of ((d, k) int64, (k,) int64)
        The first reads the features, the last gives `Outputs.scores` numbers.
    activation : str
        Of every layer but the last: ``"tanh"``, ``"relu"`` or ``"logistic"``.
    """

    inputs: Inputs
    layers: tuple[tuple[Integers, Integers], ...]
    activation: str
    outputs: Outputs

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS or not self.layers:
            raise malformed("it has no layers, or an unknown activation")
        limits = [LARGEST_INPUT * ONE] * len(self.inputs.features)
        for number, (weights, biases) in enumerate(self.layers, 1):
            if biases.ndim != 1 or not biases.size or weights.shape != (len(limits), biases.size):
                raise malformed(f"layer {number} has the shapes {weights.shape} and {biases.shape}")
            reach = arithmetic.bound(limits, weights, biases)
            if max(reach) >= LARGEST_SUM:
                raise malformed(
                    f"the weights of layer {number} are too large to be added up exactly "
                    f"({max(reach) / LARGEST_SUM:.1f} times what fits)"
                )
            rectified = [(limit >> FRACTION) + 1 for limit in reach]
            limits = rectified if self.activation == "relu" else [ONE] * len(reach)
        if len(limits) != self.outputs.scores:
            raise malformed(f"its last layer gives {len(limits)} numbers, not {self.outputs.scores}")

    @classmethod
    def rounded(
        cls, inputs: Inputs, layers: Sequence[tuple[Floats, Floats]], activation: str, outputs: Outputs
    ) -> FixedNetwork:
        """The same network with its float weights (d, k) and biases (k,) rounded once."""
        fixed = tuple(
            (_rounded(weights, FRACTION), _rounded(biases, 2 * FRACTION)) for weights, biases in layers
        )
        return cls(inputs, fixed, activation, outputs)

    def scores(self, rows: Floats) -> Integers:
        """Raw scores (n, scores) in multiples of 2^-18 of raw feature rows (n, d); BadInput."""
        values = arithmetic.to_fixed(self.inputs.prepared(rows), LARGEST_INPUT)
        for weights, biases in self.layers[:-1]:
            values = self._activated(
                arithmetic.shifted(arithmetic.products(values, weights, biases), FRACTION)
            )
        return arithmetic.shifted(arithmetic.products(values, *self.layers[-1]), FRACTION)

    def answers(self, rows: Floats) -> list[dict[str, Any]]:
        """One answer a row, as `Outputs.answers` says."""
        return self.outputs.answers(self.scores(rows))

    def _activated(self, values: Integers) -> Integers:
        if self.activation == "relu":
            return np.maximum(values, 0)
        if self.activation == "tanh":
            return arithmetic.tanh(values)
        return arithmetic.shifted(arithmetic.logistic(values), arithmetic.SHARE_BITS - FRACTION)


def _rounded(values: Floats, bits: int) -> Integers:
    scaled = np.asarray(values, dtype=np.float64) * float(1 << bits)
    if not np.isfinite(scaled).all() or (scaled.size and float(np.abs(scaled).max()) >= LARGEST_SUM):
        raise malformed("a weight is not finite, or too large")
    result: Integers = np.floor(scaled + 0.5).astype(np.int64)
    return result
