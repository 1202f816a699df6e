# SPDX-License-Identifier: Apache-2.0
"""The contribution rules that recipes name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from koinon.learning.contribution.base import ContributionRule
from koinon.learning.contribution.copies import Discounted
from koinon.learning.contribution.plain import ByRows, Equal
from koinon.learning.contribution.rebuilt import Shapley, ShapleyFromNothing, ShapleyOfRounds

CONTRIBUTIONS: Final[Mapping[str, ContributionRule]] = MappingProxyType(
    {
        "shapley": Discounted(Shapley()),
        "shapley_of_rounds": ShapleyOfRounds(),
        "shapley_from_nothing": ShapleyFromNothing(),
        "rows": Discounted(ByRows()),
        "equal": Equal(),
    }
)
