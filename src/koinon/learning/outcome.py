# SPDX-License-Identifier: Apache-2.0
"""What a run came to: the model, how good it is beside what everyone had alone, what each owner is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from koinon.errors import NotFound
from koinon.estimates import Estimate
from koinon.learning import metrics
from koinon.learning.evidence import Contributions, Evidence
from koinon.learning.findings import Findings
from koinon.learning.messages import Joining
from koinon.learning.models.base import Vector
from koinon.learning.privacy.spending import Spent
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling
from koinon.learning.told import OUTCOME
from koinon.learning.traffic import Traffic
from koinon.learning.trained import TrainedModel
from koinon.tables import Table

APPROVAL_RATE: Final = 0.8


@dataclass(frozen=True)
class OwnerOutcome:
    """One owner's part.

    ``alone`` is None where it showed no model; ``value`` what it was found to be worth, with its interval
    (itself where nothing was sampled); ``share`` in 1e-9 of all income.
    """

    index: int
    address: str
    work_id: int
    rows: int
    rounds: int
    alone: float | None
    value: float
    low: float
    high: float
    share: int


@dataclass(frozen=True)
class Money:
    """Defaults among the approved at one approval rate on the held-out set: alone (mean), and together."""

    approval_rate: float
    approved: int
    alone: float
    together: int


@dataclass(frozen=True)
class Outcome:
    """The result of a led run, before it is published.

    Attributes
    ----------
    metric : str
        ``"AUC"`` or ``"accuracy"``, on ``held_out_rows`` rows nobody trained on.
    together, gain
        The common model's score, and its difference to the mean of the models made alone, with bootstrap 95 %
        intervals (``gain`` is None where no owner showed its own).
    money
        For two classes, with models made alone; else None.
    missing
        Owners that did not answer, by round.
    stages
        Seconds a stage took.
    traffic
        Bytes sent, and how many of them until the result was near.
    findings
        Errors by class, groups, who gains on rows of its own, and how owners differ.
    privacy
        What was promised and spent; None where the recipe promises nothing.
    work_id
        The model's Work, where the peers of a swarm have published it themselves; else 0.
    """

    run_id: int
    model: TrainedModel
    metric: str
    together: Estimate
    gain: Estimate | None
    money: Money | None
    owners: tuple[OwnerOutcome, ...]
    held_out_rows: int
    missing: Mapping[int, tuple[str, ...]]
    stages: Mapping[str, float]
    evidence: Evidence = field(repr=False)
    contributions: Contributions = field(repr=False)
    joinings: tuple[Joining, ...] = field(repr=False)
    traffic: Traffic
    findings: Findings
    privacy: Spent | None = None
    work_id: int = 0

    @property
    def alone_mean(self) -> float | None:
        """Mean score of the models made alone."""
        shown = [owner.alone for owner in self.owners if owner.alone is not None]
        return sum(shown) / len(shown) if shown else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: everything but the model's numbers and the evidence."""
        return {
            "run_id": self.run_id,
            "metric": self.metric,
            "together": asdict(self.together),
            "alone_mean": self.alone_mean,
            "gain": None if self.gain is None else asdict(self.gain),
            "money": None if self.money is None else asdict(self.money),
            "owners": [asdict(owner) for owner in self.owners],
            "held_out_rows": self.held_out_rows,
            "missing": {str(number): list(owners) for number, owners in self.missing.items()},
            "stages": dict(self.stages),
            "traffic": asdict(self.traffic),
            "findings": self.findings.to_dict(),
            "privacy": None if self.privacy is None else self.privacy.to_dict(),
            "model": self.evidence.rounds[-1].model.hex(),
            "contributions": self.contributions.digest.hex(),
        }


def kept_run(folder: Path) -> tuple[Evidence, dict[str, int], float]:
    """A finished run's evidence, its owners' places by address and its score, from the folder it was led in.

    Raises
    ------
    NotFound
        No finished run is kept there.
    """
    try:
        evidence = Evidence.from_bytes((folder / "evidence.bin").read_bytes())
        told = orjson.loads((folder / OUTCOME).read_bytes())
        places = {str(owner["address"]): int(owner["index"]) for owner in told["owners"]}
        return evidence, places, float(told["together"]["value"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotFound(
            f"No finished run is kept in {folder.name}.",
            hint="Runs are kept where they were led; koinon learn run makes them.",
            code="learning.no_run",
        ) from error


@dataclass(frozen=True)
class Scores:
    """The common model and those made alone, measured on the held-out set; and the common model's answers."""

    metric: str
    together: Estimate
    alone: Mapping[int, float]
    gain: Estimate | None
    money: Money | None
    probabilities: NDArray[np.float64] = field(repr=False)


def score_all(
    recipe: Recipe, scaling: Scaling, vector: Vector, alone: Mapping[int, Vector], held_out: Table
) -> Scores:
    """Measure on the held-out set, with intervals over the same resampled rows."""
    inputs, labels = scaling.apply(held_out.features), held_out.labels

    def probabilities(one: Vector) -> NDArray[np.float64]:
        return recipe.model.probabilities(one, inputs)

    common = probabilities(vector)
    others = {index: probabilities(one) for index, one in sorted(alone.items())}
    money = None
    if recipe.classes == 2 and others:
        approved = metrics.defaults_among_approved(labels, common, APPROVAL_RATE)
        defaults = [
            metrics.defaults_among_approved(labels, found, APPROVAL_RATE).defaults
            for found in others.values()
        ]
        money = Money(APPROVAL_RATE, approved.approved, float(np.mean(defaults)), approved.defaults)
    return Scores(
        metrics.metric_name(recipe.classes),
        metrics.bootstrap(labels, common),
        {index: metrics.score(labels, found) for index, found in others.items()},
        metrics.bootstrap_difference(labels, common, tuple(others.values())) if others else None,
        money,
        common,
    )
