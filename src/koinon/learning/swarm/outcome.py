# SPDX-License-Identifier: Apache-2.0
"""What a swarm came to, in the form that every way of learning together has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from koinon.estimates import Estimate
from koinon.learning import metrics
from koinon.learning.evidence import Evidence
from koinon.learning.findings import find, groups_of
from koinon.learning.gains import OwnReport
from koinon.learning.gauge import MOST_SCORES
from koinon.learning.groups import GroupReport
from koinon.learning.models.base import Vector
from koinon.learning.outcome import Outcome, OwnerOutcome, score_all
from koinon.learning.privacy.spending import spent_by
from koinon.learning.swarm.keeping import Kept
from koinon.learning.traffic import NEAR, Traffic
from koinon.learning.trained import TrainedModel
from koinon.tables import Table


def swarm_outcome(
    kept: Kept,
    run_id: int,
    *,
    held_out: Table,
    alone: Mapping[int, Vector],
    reports: Mapping[int, OwnReport],
    peers: int,
    stages: Mapping[str, float],
    work_id: int,
) -> Outcome:
    """Measure a run that is over.

    Parameters
    ----------
    kept : Kept
        As a peer kept it.
    alone : mapping of int to float32 array
        By member, the models that owners made alone and showed.
    reports : mapping of int to OwnReport
        By member, what they told of themselves.
    peers : int
        How many there are: every update goes to all others.
    work_id : int
        The model's Work.
    """
    evidence, recipe, joinings = kept.evidence, kept.evidence.recipe, kept.joinings
    rounds, shares = evidence.replay(), kept.contributions
    scores = score_all(recipe, evidence.scaling, kept.model.vector, alone, held_out)
    trail, groups = course_of(kept.model, evidence, held_out)
    rows = [joining.examples for joining in joinings]
    owners = tuple(
        OwnerOutcome(
            index=index,
            address=joining.owner,
            work_id=joining.work_id,
            rows=joining.examples,
            rounds=sum(index in one.updates for one in evidence.rounds),
            alone=scores.alone.get(index),
            value=shares.values[index],
            low=shares.low[index],
            high=shares.high[index],
            share=shares.shares.get(index, 0),
        )
        for index, joining in enumerate(joinings)
    )
    up = np.cumsum([sum(map(len, one.updates.values())) * (peers - 1) for one in evidence.rounds])
    near = next(number for number, score in trail if score.value >= trail[-1][1].value - NEAR)
    return Outcome(
        run_id=run_id,
        model=kept.model,
        metric=scores.metric,
        together=scores.together,
        gain=scores.gain,
        money=scores.money,
        owners=owners,
        held_out_rows=len(held_out),
        missing=_missing([one.owner for one in joinings], [set(one.updates) for one in evidence.rounds]),
        stages=stages,
        evidence=evidence,
        contributions=shares,
        joinings=joinings,
        traffic=Traffic(int(up[-1]), 0, near, int(up[near - 1])),
        findings=find(
            recipe,
            held_out,
            scores.probabilities,
            rows=rows,
            reports=reports,
            rounds=rounds,
            trail=groups,
        ),
        privacy=spent_by(recipe.privacy, len(rounds), recipe.rounds, recipe.training, rows),
        work_id=work_id,
    )


def course_of(
    model: TrainedModel, evidence: Evidence, held_out: Table
) -> tuple[list[tuple[int, Estimate]], list[tuple[int, GroupReport]]]:
    """The score after each round, and how groups were treated; of long runs only some are measured."""
    recipe, inputs = evidence.recipe, evidence.scaling.apply(held_out.features)
    every = -(-recipe.rounds // MOST_SCORES)
    vectors = [*(one.base[: recipe.model.size] for one in evidence.replay()[1:]), model.vector]
    trail, groups = [], []
    for number, vector in enumerate(vectors, start=1):
        if number % every == 0 or number == len(vectors):
            found = recipe.model.probabilities(vector, inputs)
            trail.append((number, metrics.quick_interval(held_out.labels, found)))
            report = groups_of(recipe, held_out, found)
            if report is not None:
                groups.append((number, report))
    return trail, groups


def _missing(accounts: Sequence[str], rounds: Sequence[set[int]]) -> dict[int, tuple[str, ...]]:
    """Who took part before a round, or in it first, and is not in it."""
    missing, known = {}, set[int]()
    for number, members in enumerate(rounds, start=1):
        absent = sorted(known - members)
        known |= members
        if absent:
            missing[number] = tuple(accounts[member] for member in absent)
    return missing
