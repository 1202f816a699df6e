# SPDX-License-Identifier: Apache-2.0
"""Measuring the common model while a run goes on: its score, and how it treats groups."""

from __future__ import annotations

from dataclasses import asdict

from koinon.learning import metrics
from koinon.learning.findings import groups_of
from koinon.learning.global_model import read_global_model
from koinon.learning.groups import GroupReport
from koinon.learning.messages import split_frame
from koinon.learning.progress import ProgressLog
from koinon.learning.recipe import Recipe
from koinon.learning.run import ClosedRound
from koinon.learning.scaling import Scaling
from koinon.learning.traffic import Meter
from koinon.tables import Table

MOST_SCORES = 60
"""How many rounds of a run are measured while it goes on."""


class Gauge:
    """Measures on the held-out rows, and tells the run's log and its meter.

    Attributes
    ----------
    trail : list of (round, GroupReport)
        How groups were treated after each round that was measured, where the recipe names groups.
    """

    def __init__(self, recipe: Recipe, held_out: Table, log: ProgressLog, meter: Meter) -> None:
        self._recipe, self._held_out, self._log, self._meter = recipe, held_out, log, meter
        self.trail: list[tuple[int, GroupReport]] = []

    def measure(self, closed: ClosedRound, scaling: Scaling) -> None:
        """How good the model is after a round; of long runs only some are measured."""
        recipe, held_out = self._recipe, self._held_out
        if closed.number % -(-recipe.rounds // MOST_SCORES) and not closed.model.last:
            return
        payload = split_frame(closed.frame)[1]
        vector = read_global_model(payload, recipe, None, closed.model.model)[: recipe.model.size]
        found = recipe.model.probabilities(vector, scaling.apply(held_out.features))
        score = metrics.quick_interval(held_out.labels, found)
        groups = groups_of(recipe, held_out, found)
        if groups is not None:
            self.trail.append((closed.number, groups))
        self._meter.score(closed.number, score.value)
        self._log.write(
            {
                "event": "score",
                "round": closed.number,
                "metric": metrics.metric_name(recipe.classes),
                "score": score.value,
                "low": score.low,
                "high": score.high,
                "chance": metrics.chance(recipe.classes),
                "groups": None if groups is None else asdict(groups),
            }
        )
