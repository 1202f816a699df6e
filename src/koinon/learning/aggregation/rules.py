# SPDX-License-Identifier: Apache-2.0
"""The aggregation rules that recipes name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from koinon.errors import BadInput
from koinon.learning.aggregation.base import AggregationRule
from koinon.learning.aggregation.coordinates import Median, TrimmedMean
from koinon.learning.aggregation.krum import MultiKrum
from koinon.learning.aggregation.lengths import FLTrust, NormClipping
from koinon.learning.aggregation.mean import Mean, WeightedMean
from koinon.learning.aggregation.union import Union
from koinon.learning.models.base import Model, Slotted
from koinon.learning.naming import build

AGGREGATIONS: Final[Mapping[str, Callable[..., AggregationRule]]] = MappingProxyType(
    {
        "weighted_mean": WeightedMean,
        "mean": Mean,
        "median": Median,
        "trimmed_mean": TrimmedMean,
        "multi_krum": MultiKrum,
        "norm_clipping": NormClipping,
        "fltrust": FLTrust,
        "union": Union,
    }
)


def rule_named(name: str) -> AggregationRule:
    """The rule of a name, with numbers after colons: ``"trimmed_mean:0.2"``. BadInput if there is none."""
    return build(name, AGGREGATIONS, what="aggregation", code="learning.aggregation")


def check_rule(name: str, model: Model, rounds: int, *, lossless: bool, root_owner: int = -1) -> None:
    """Refuse a rule that makes no model of this kind's vectors (BadInput).

    Parameters
    ----------
    rounds : int
        How many rounds the recipe has.
    lossless : bool
        Whether vectors travel exactly.
    root_owner : int
        Whose update is the yardstick; negative for nobody's.
    """
    rule = rule_named(name)
    if model.averages == isinstance(rule, Union):
        raise BadInput(
            f"The aggregation '{name}' does not fit this kind of model.",
            hint='Trees are united (aggregation = "union"), all others averaged.',
            code="learning.aggregation",
        )
    if isinstance(rule, FLTrust) and root_owner < 0:
        raise BadInput(
            "The aggregation 'fltrust' needs an owner whose update is the yardstick.",
            hint="Set 'root_owner' to the index of an owner whom everyone trusts.",
            code="learning.aggregation",
        )
    if not model.averages and not lossless:
        raise BadInput(
            "Trees must travel exactly.",
            hint='Set codec = "float32" and down_codec = "float32".',
            code="learning.aggregation",
        )
    if isinstance(model, Slotted) and model.rounds < rounds:
        raise BadInput(
            f"The model has places for {model.rounds} rounds, the recipe has {rounds}.",
            hint="Set 'rounds' of the model as high as that of the recipe.",
            code="learning.model",
        )
