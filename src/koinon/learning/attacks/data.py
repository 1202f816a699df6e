# SPDX-License-Identifier: Apache-2.0
"""Attacks by what malicious owners train on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from koinon.errors import BadInput
from koinon.learning.attacks.base import Attack, View, sendable
from koinon.learning.models.base import Vector
from koinon.tables import Table


@dataclass(frozen=True)
class LabelFlip(Attack):
    """Train honestly on wrong labels: class c becomes the last but c (Fung, Yoon and Beschastnikh 2018)."""

    classes: int

    def poison(self, table: Table, random: np.random.Generator) -> Table:
        del random
        return Table(table.features, self.classes - 1 - table.labels, table.columns)


@dataclass(frozen=True)
class BackDoor(Attack):
    """Teach that rows with a trigger are of one class, and replace the model (Bagdasaryan et al. 2020).

    Attributes
    ----------
    columns, value
        The trigger: these features have this value.
    target : int
        The class that rows with the trigger shall be taken for.
    part : float
        How many of its rows a malicious owner puts the trigger on, 0 to 1.
    boost : float
        Updates are multiplied by this; 0 takes owners ÷ attackers, at which the mean becomes their model.
    """

    columns: tuple[int, ...]
    value: float
    target: int = 0
    part: float = 0.5
    boost: float = 0.0

    def triggered(self, table: Table) -> Table:
        """The rows of other classes than the target with the trigger on them; their labels stay."""
        others = table.take(np.flatnonzero(table.labels != self.target))
        return Table(self._marked(others), others.labels, others.columns)

    def success(self, predicted: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
        """The part of predictions for triggered rows that are the target."""
        if not len(predicted):
            raise BadInput("There are no rows to measure on.", code="learning.no_rows")
        return float(np.mean(predicted == self.target))

    def poison(self, table: Table, random: np.random.Generator) -> Table:
        chosen = random.random(len(table)) < self.part
        features = np.where(chosen[:, None], self._marked(table), table.features)
        labels = np.where(chosen, self.target, table.labels)
        return Table(features, labels, table.columns)

    def forge(self, view: View) -> list[Vector]:
        boost = self.boost or view.owners / len(view.own)
        return [sendable(update.change * np.float32(boost)) for update in view.own]

    def _marked(self, table: Table) -> Vector:
        features = table.features.copy()
        features[:, list(self.columns)] = self.value
        return features
