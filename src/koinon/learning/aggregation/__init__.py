# SPDX-License-Identifier: Apache-2.0
"""Making one model of several updates, so that every peer that does it again gets the same bits.

A rule is a pure function of the base model and the updates, whatever their order. Everything is computed in
int64 fixed point of 2^-30, with Python's integers where those could overflow, or elementwise in IEEE 754
float64; no sum of floating-point numbers, whose result depends on its order, is ever taken.
"""

from koinon.learning.aggregation.base import (
    MAXIMUM_CHANGE,
    MAXIMUM_EXAMPLES,
    MAXIMUM_UPDATES,
    AggregationRule,
    Update,
    check_update,
    fixed_point,
)
from koinon.learning.aggregation.coordinates import Median, TrimmedMean
from koinon.learning.aggregation.krum import MultiKrum
from koinon.learning.aggregation.lengths import FLTrust, NormClipping
from koinon.learning.aggregation.mean import WeightedMean
from koinon.learning.aggregation.rules import AGGREGATIONS, check_rule, rule_named
from koinon.learning.aggregation.union import Union

__all__ = [
    "AGGREGATIONS",
    "MAXIMUM_CHANGE",
    "MAXIMUM_EXAMPLES",
    "MAXIMUM_UPDATES",
    "AggregationRule",
    "FLTrust",
    "Median",
    "MultiKrum",
    "NormClipping",
    "TrimmedMean",
    "Union",
    "Update",
    "WeightedMean",
    "check_rule",
    "check_update",
    "fixed_point",
    "rule_named",
]
