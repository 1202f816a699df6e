# SPDX-License-Identifier: Apache-2.0
"""A taught model as a scorecard: points that come as close to its answers as points can, or one more column.

What `koinon learn` or the tour taught is a neural network, which no contract computes cheaply and nobody
reads. Its answers teach a points table on the same columns (distillation; Hinton, Vinyals and Dean 2015): a
row counts as bad by the model's probability. Rows that taught neither say how faithful the points are.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from koinon.errors import BadInput
from koinon.estimates import Estimate
from koinon.lending.fairness import approve_safest
from koinon.lending.scoring.calibration import calibrate
from koinon.lending.scoring.frame import Categorical, Floats, Frame, Numeric
from koinon.lending.scoring.measures import auc, auc_difference, log_odds
from koinon.lending.scoring.points import Plan, fit_points, with_tiers
from koinon.lending.scoring.reader import read_rows
from koinon.lending.scoring.report import check_evidence
from koinon.lending.scoring.scorecard import Scorecard, tiers_seen
from koinon.services.models.perceptron import Mlp


@dataclass(frozen=True)
class Fidelity:
    """How close points come to the model they were made from, on rows that taught neither.

    Attributes
    ----------
    rows : int
    explained : float
        R² of the model's log odds by the points' own.
    rank : float
        Spearman's correlation of risks.
    same_decisions : float
        Share of rows treated alike when either approves the safest 80 %.
    model, points : Estimate
        AUC of each on what really happened.
    lost : Estimate
        The model's AUC less the points', on the same rows.
    """

    rows: int
    explained: float
    rank: float
    same_decisions: float
    model: Estimate
    points: Estimate
    lost: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Distilled:
    """A scorecard made from a model, and how faithful it is."""

    scorecard: Scorecard
    fidelity: Fidelity


def model_chances(model: Mlp, frame: Frame) -> Floats:
    """The model's probability of its second class for each row.

    Raises
    ------
    BadInput
        It has other than two classes, or reads a column that is not a number in every row.
    """
    if len(model.classes) != 2:
        raise BadInput(
            "Only a model of two classes, paid and not paid, becomes a scorecard.", code="lending.model"
        )
    parts = []
    for name in model.features:
        column = frame.columns.get(name)
        if not isinstance(column, Numeric) or column.missing.any():
            raise BadInput(
                f"The model reads '{name}', which is not a number in every row.",
                hint=f"It reads: {', '.join(model.features)}.",
                code="lending.columns",
            )
        parts.append(column.values)
    found: Floats = model.probabilities(np.stack(parts, axis=1))[:, 1]
    return found


def with_model(frame: Frame, model: Mlp, name: str = "model") -> Frame:
    """The frame with the model's probability as one more column.

    Only honest on rows that did not teach the model: on those that did, it has seen the answer.
    """
    if name in frame.columns:
        raise BadInput(f"There is a column '{name}' already.", code="lending.columns")
    return frame.with_columns({name: Numeric(model_chances(model, frame))})


def distil(
    model: Mlp,
    teach: Frame,
    held_out: Frame,
    plan: Plan,
    *,
    data: str,
    evidence: str,
) -> Distilled:
    """A scorecard from a model's answers.

    Parameters
    ----------
    teach : Frame
        Rows to ask the model about; their labels are not looked at.
    held_out : Frame
        Labelled rows that taught neither: one half calibrates, the other measures.

    Raises
    ------
    BadInput
        The model does not fit the columns.
    """
    check_evidence(evidence)
    asked = replace(
        teach, columns={name: teach.columns[name] for name in model.features if name in teach.columns}
    )
    chances = np.clip(model_chances(model, asked), 1e-6, 1 - 1e-6)
    if any(isinstance(column, Categorical) for column in asked.columns.values()):
        raise BadInput("A model's columns are numbers.", code="lending.columns")
    twice = asked.take(np.tile(np.arange(len(asked)), 2))
    rows = len(asked)
    labels = np.repeat(np.array([1, 0], dtype=np.int64), rows)
    soft = replace(
        twice,
        labels=labels,
        weights=np.concatenate([chances, 1 - chances]),
        time=None,
        entity=None,
        groups={},
    )
    table, readers = fit_points(soft, plan)
    order = np.random.default_rng(plan.seed).permutation(len(held_out))
    middle, judge = (held_out.take(np.sort(part)) for part in np.array_split(order, 2))
    points = table.points(read_rows(readers, middle))
    calibration = calibrate(points, middle.labels, plan.calibration)
    table = with_tiers(table, points, calibration, plan.tiers)
    fidelity = _fidelity(table.points(read_rows(readers, judge)).astype(np.float64), model, judge)
    scorecard = Scorecard(
        table,
        readers,
        calibration,
        tiers_seen(table, points, middle.labels, calibration.chances(points)),
        {name: way for name, way in plan.actionable.items() if name in table.names},
        {
            "data": data,
            "evidence": evidence,
            "digest": held_out.digest,
            "binner": plan.binner,
            "seed": plan.seed,
            "fidelity": fidelity.to_dict(),
        },
    )
    return Distilled(scorecard, fidelity)


def _fidelity(points: Floats, model: Mlp, judge: Frame) -> Fidelity:
    theirs = model_chances(model, judge)
    logit = log_odds(theirs)
    line = np.polyfit(points, logit, 1)
    left = logit - np.polyval(line, points)
    same = approve_safest(-points, 0.8) == approve_safest(theirs, 0.8)
    return Fidelity(
        len(judge),
        1.0 - float(left.var() / logit.var()),
        float(np.corrcoef(_ranks(-points), _ranks(theirs))[0, 1]),
        float(same.mean()),
        auc(judge.labels, theirs),
        auc(judge.labels, -points),
        auc_difference(judge.labels, theirs, -points),
    )


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle: Floats = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    return middle
