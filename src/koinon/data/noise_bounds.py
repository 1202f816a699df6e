# SPDX-License-Identifier: Apache-2.0
"""How far noise moves a result, which a buyer wants to know before paying: from the declaration alone."""

from __future__ import annotations

import math
from typing import Final

from koinon.data.gate.noise import calibrate
from koinon.data.gate.policy import Policy
from koinon.data.gate.schema import Measure, ResultSchema

ONE_IN: Final = 20
"""Noise is larger than told once in so many times, for each number."""

_NORMAL: Final = 1.959964


def noise_bounds(schema: ResultSchema, policy: Policy, blocks: int) -> dict[str, float]:
    """For each output with noise, what the noise of a number stays within 19 times in 20, in its own unit.

    A table's counts are those of a table that the gate counts itself.
    """
    bounds = {}
    for output in schema.outputs:
        for name, measure in ((output.name, output.measure), (f"{output.name}.value", output.value)):
            if measure is not None and measure.sensitivity is not None:
                counted = output.kind == "table" and measure is output.measure and bool(output.by)
                bounds[name] = _bound(measure, output.length, policy, blocks, counted=counted)
    return bounds


def _bound(measure: Measure, length: int, policy: Policy, blocks: int, *, counted: bool) -> float:
    """As `gate` makes noise: one row moves every number by the width of its bounds at most."""
    assert measure.sensitivity is not None  # noqa: S101  (the caller sees to it)
    width = measure.high - measure.low
    sensitivity = width * (length if measure.mechanism == "laplace" else math.sqrt(length))
    if policy.trust_sensitivity:
        sensitivity = min(sensitivity, measure.sensitivity)
    if counted:
        sensitivity = min(sensitivity, 1.0)
    scale = calibrate(
        measure.mechanism,
        sensitivity=sensitivity / blocks,
        epsilon=measure.epsilon,
        delta=measure.delta,
        length=length,
        largest=max(abs(measure.low), abs(measure.high)),
        whole=counted,
    ).scale
    return scale * (math.log(ONE_IN) if measure.mechanism == "laplace" else _NORMAL)
