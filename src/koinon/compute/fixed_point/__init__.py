# SPDX-License-Identifier: Apache-2.0
"""A runtime for small models whose answers are the same bits in every batch and on every processor.

Two parties that compute the same model on the same input can compare digests: no tolerance, no committee.
"""

from koinon.compute.fixed_point.boosters import from_lightgbm
from koinon.compute.fixed_point.estimators import from_estimator
from koinon.compute.fixed_point.file import FORMAT, RUNTIME, FixedModel, from_bytes, load, save, to_bytes
from koinon.compute.fixed_point.inputs import Inputs
from koinon.compute.fixed_point.network import FixedNetwork
from koinon.compute.fixed_point.outputs import Outputs, disagreement
from koinon.compute.fixed_point.trees import FixedTrees

__all__ = [
    "FORMAT",
    "RUNTIME",
    "FixedModel",
    "FixedNetwork",
    "FixedTrees",
    "Inputs",
    "Outputs",
    "disagreement",
    "from_bytes",
    "from_estimator",
    "from_lightgbm",
    "load",
    "save",
    "to_bytes",
]
