# SPDX-License-Identifier: Apache-2.0
"""The end of a run at an owner: what it finds out for itself, and as much of that as it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from koinon.chain.keys import write_private
from koinon.learning.drift import Population, largest_shift
from koinon.learning.gains import Gain, OwnReport, OwnRows, as_told, kept_population
from koinon.learning.local import LocalLearner
from koinon.learning.models.base import Vector
from koinon.learning.owner_frames import OwnerFrames
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling
from koinon.tables import Table

OWN_REPORT: Final = "own_report.json"
"""In the owner's folder: everything it found out about itself, whatever of it was told."""


@dataclass(frozen=True)
class Closing:
    """An owner's findings.

    Attributes
    ----------
    gain : Gain, optional
        None where the recipe keeps no rows to measure on, or too few.
    population : Population
        What its own rows are like.
    shown : tuple of (path, frame)
        Signed, in the order in which the leader is told: ``/report``, ``/alone``.
    """

    gain: Gain | None
    population: Population
    shown: tuple[tuple[str, bytes], ...] = field(repr=False)


def close(
    *,
    learner: LocalLearner,
    teaching: Table,
    own: OwnRows,
    scaling: Scaling,
    last: Vector,
    frames: OwnerFrames,
    share_alone: bool,
    share_report: bool,
) -> Closing:
    """Compare the last common vector with what this owner's rows make alone, and sign what is shown of it."""
    recipe = learner.recipe
    share_alone = share_alone and not recipe.privacy.on  # it has no noise
    alone = learner.alone() if share_alone or own.enough else None
    gain = None if alone is None else own.gain(last, alone)
    population = Population.of(recipe, teaching, scaling)
    shown = []
    if share_report and recipe.fairness.asks_owners:
        told = population if recipe.fairness.populations else None
        shown.append(("/report", frames.report(OwnReport(as_told(gain, recipe.fairness.told), told))))
    if share_alone and alone is not None:
        shown.append(("/alone", frames.alone(alone)))
    return Closing(gain, population, tuple(shown))


def keep_own(
    folder: Path,
    gain: Gain | None,
    population: Population,
    recipe: Recipe,
    report: Callable[[dict[str, Any]], None],
) -> None:
    """Leave everything in the owner's folder; say to it alone how far its rows moved since its last run."""
    kept = folder / OWN_REPORT
    before = kept_population(kept.read_bytes(), population) if kept.is_file() else None
    if before is not None:
        column, shift = largest_shift(before, population, recipe.columns)
        report({"event": "moved", "column": column, "shift": shift})
    write_private(kept, OwnReport(gain, population).to_bytes())
