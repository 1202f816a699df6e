# SPDX-License-Identifier: Apache-2.0
"""Contributions without measuring any: by rows, or the same for all who took part."""

from __future__ import annotations

import numpy as np

from koinon.learning.contribution.base import ContributionRule, History, Valuation, valued


class ByRows(ContributionRule):
    """The rows an owner says it learnt from, added over the rounds, as parts of all.

    Nobody can check them: only for owners who trust one another.
    """

    def valuation(self, history: History) -> Valuation:
        rows = np.zeros(history.owners)
        for one in history.rounds:
            for member, update in one.updates.items():
                rows[member] += update.examples
        return valued(rows / max(1.0, rows.sum()), method="rows")


class Equal(ContributionRule):
    """The same for every owner who took part in a round."""

    def valuation(self, history: History) -> Valuation:
        values = np.zeros(history.owners)
        values[history.participants] = 1 / max(1, len(history.participants))
        return valued(values, method="equal")
