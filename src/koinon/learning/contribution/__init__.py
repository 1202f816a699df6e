# SPDX-License-Identifier: Apache-2.0
"""What each owner's data were worth, and how a model's income is divided by it.

Rules are pure functions of a run's history: anyone who has the updates and the contribution set, committed
before the run and revealed after it, finds the same values.
"""

from koinon.learning.contribution.base import ContributionRule, History, Round, Utility, Valuation, Values
from koinon.learning.contribution.copies import Discounted, Likeness, discounted, duplicates, likenesses
from koinon.learning.contribution.games import (
    EXACT_LIMIT,
    Estimate,
    Sampling,
    sampled,
    shapley,
    subset_values,
)
from koinon.learning.contribution.plain import ByRows, Equal
from koinon.learning.contribution.rebuilt import Shapley, ShapleyFromNothing, ShapleyOfRounds
from koinon.learning.contribution.rules import CONTRIBUTIONS
from koinon.learning.contribution.shares import Income, half_l1, split_income, to_shares

__all__ = [
    "CONTRIBUTIONS",
    "EXACT_LIMIT",
    "ByRows",
    "ContributionRule",
    "Discounted",
    "Equal",
    "Estimate",
    "History",
    "Income",
    "Likeness",
    "Round",
    "Sampling",
    "Shapley",
    "ShapleyFromNothing",
    "ShapleyOfRounds",
    "Utility",
    "Valuation",
    "Values",
    "discounted",
    "duplicates",
    "half_l1",
    "likenesses",
    "sampled",
    "shapley",
    "split_income",
    "subset_values",
    "to_shares",
]
