# SPDX-License-Identifier: Apache-2.0
"""Teaching, calibrating and judging a score in one honest go: every step on rows of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from koinon.lending.scorecard_table import ScorecardTable
from koinon.lending.scoring.baselines import constant_chances, logistic_chances
from koinon.lending.scoring.calibration import calibrate
from koinon.lending.scoring.challenger import Challenger, fit_challenger
from koinon.lending.scoring.frame import Frame, Integers, Texts
from koinon.lending.scoring.measures import auc_difference, interval_of_rate, psi, psi_of_bins
from koinon.lending.scoring.points import Plan, fit_points, with_tiers
from koinon.lending.scoring.reader import Reader, read_rows
from koinon.lending.scoring.report import (
    CHALLENGER,
    CHAMPION,
    CONSTANT,
    LOGISTIC,
    SIMULATED,
    Part,
    Report,
    TierSeen,
    check_evidence,
    measured,
)
from koinon.lending.scoring.resampling import gap_of_borrowers
from koinon.lending.scoring.scorecard import Scorecard, tiers_seen
from koinon.lending.scoring.splits import Parts, split


@dataclass(frozen=True)
class Trained:
    """A scorecard, its challenger, and what both were measured to be."""

    scorecard: Scorecard
    challenger: Challenger
    report: Report


def train(
    frame: Frame,
    plan: Plan,
    *,
    data: str,
    evidence: str,
    test: float = 0.3,
    calibrate_share: float = 0.15,
    seed: int | None = None,
) -> Trained:
    """Teach a scorecard and its challenger, and judge them on rows that did neither.

    Parameters
    ----------
    data : str
        What the rows are called in the report.
    evidence : str
        What they come from: one of `koinon.lending.scoring.report.EVIDENCE`.
    test, calibrate_share : float
        Shares of the rows that judge and that calibrate; see `koinon.lending.scoring.splits.split`.
    seed : int, optional
        Of the split; the plan's where not given.

    Raises
    ------
    BadInput
        Too few rows of a kind, columns that are not there, or nothing that tells good from bad.
    SetupError
        LightGBM, scikit-learn or SciPy is not installed.
    """
    check_evidence(evidence)
    plan.check(frame)
    parts = split(frame, test=test, calibrate=calibrate_share, seed=plan.seed if seed is None else seed)
    teach, middle, judge = (frame.take(rows) for rows in (parts.train, parts.calibrate, parts.test))
    scorecard = make_scorecard(teach, middle, plan)
    challenger = fit_challenger(teach, plan.seed).calibrated(middle, plan.calibration)
    report = judged(scorecard, challenger, frame, parts, data=data, evidence=evidence)
    about = {
        "data": data,
        "evidence": evidence,
        "digest": frame.digest,
        "split": parts.how,
        "binner": plan.binner,
        "seed": plan.seed,
        "monotone": dict(plan.monotone),
        "report": report.to_dict(),
    }
    del judge
    return Trained(replace(scorecard, about=about), challenger, report)


def make_scorecard(teach: Frame, middle: Frame, plan: Plan, **about: Any) -> Scorecard:
    """A scorecard from rows that teach and rows that calibrate; nothing is judged."""
    table, readers = fit_points(teach, plan)
    points = _points(table, readers, middle)
    calibration = calibrate(points, middle.labels, plan.calibration)
    table = with_tiers(table, points, calibration, plan.tiers)
    tiers = tiers_seen(table, points, middle.labels, calibration.chances(points))
    kept = {name: way for name, way in plan.actionable.items() if name in table.names}
    return Scorecard(table, readers, calibration, tiers, kept, about)


def judged(
    scorecard: Scorecard,
    challenger: Challenger,
    frame: Frame,
    parts: Parts,
    *,
    data: str,
    evidence: str,
) -> Report:
    """What the rows that judge say of both, beside the baselines.

    Where a borrower has several of these rows, the intervals of AUC, its gap and the Brier score draw
    borrowers instead of rows.
    """
    teach, judge = frame.take(parts.train), frame.take(parts.test)
    labels, borrowers = judge.labels, _borrowers(judge)
    own, theirs = scorecard.chances(judge), challenger.chances(judge)
    models = (
        measured(CHAMPION, labels, own, borrowers),
        measured(CHALLENGER, labels, theirs, borrowers),
        measured(LOGISTIC, labels, logistic_chances(teach, judge), borrowers),
        measured(CONSTANT, labels, constant_chances(teach, judge), borrowers),
    )
    points = -scorecard.points(judge).astype(np.float64)
    gap = auc_difference(labels, theirs, points)
    if borrowers is not None:
        gap = gap_of_borrowers(labels, theirs, points, borrowers)
    before, after = scorecard.rows(teach), scorecard.rows(judge)
    shifts = {
        feature.name: psi_of_bins(feature.bins(before[:, place]), feature.bins(after[:, place]))
        for place, feature in enumerate(scorecard.table.features)
    }
    worst = sorted(shifts, key=lambda name: -shifts[name])
    return Report(
        data=data,
        digest=frame.digest,
        evidence=evidence,
        split=parts.how,
        rows={"train": len(parts.train), "calibrate": len(parts.calibrate), "test": len(parts.test)},
        bad={
            name: int(frame.labels[rows].sum())
            for name, rows in (("train", parts.train), ("calibrate", parts.calibrate), ("test", parts.test))
        },
        models=models,
        gap=gap,
        psi_points=psi(scorecard.table.points(before), scorecard.table.points(after)),
        psi_columns={
            name: shifts[name] for place, name in enumerate(worst) if place < 3 or shifts[name] > 0.1
        },
        tiers=_tiers(scorecard, scorecard.tiers_of(judge), labels),
        notes=_notes(evidence, int(labels.sum()), frame, borrowers is not None),
        stretches={
            name: Part(len(rows), int(frame.labels[rows].sum()))
            for name, rows in zip(("train", "calibrate", "test"), parts.stretches or (), strict=False)
        },
        known=_known(scorecard, frame.take(parts.known)) if len(parts.known) else None,
    )


def _borrowers(frame: Frame) -> Texts | None:
    """Whose rows they are, where one has several."""
    if frame.entity is None or len(np.unique(frame.entity)) == len(frame):
        return None
    return frame.entity


def _known(scorecard: Scorecard, rows: Frame) -> Part:
    """How later rows of borrowers seen before fare."""
    bad, said, borrowers = int(rows.labels.sum()), scorecard.chances(rows), _borrowers(rows)
    area = None
    if 0 < bad < len(rows):
        area = measured(CHAMPION, rows.labels, said, borrowers).auc
    return Part(len(rows), bad, float(said.mean()), area)


def _tiers(scorecard: Scorecard, tiers: Integers, labels: Integers) -> tuple[TierSeen, ...]:
    found = []
    for number, tier in enumerate(scorecard.tiers):
        inside = tiers == number
        rows = int(inside.sum())
        seen = interval_of_rate(int(labels[inside].sum()), rows) if rows else None
        found.append(TierSeen(number, rows, tier.chance, seen))
    return tuple(found)


def _notes(evidence: str, bad: int, frame: Frame, repeated: bool) -> tuple[str, ...]:
    notes = []
    if evidence == SIMULATED:
        notes.append("Simulated borrowers: the figures say nothing about real ones.")
    if bad < 100:
        notes.append(f"Only {bad} bad rows judge: read the intervals, not the values.")
    if repeated:
        notes.append(
            "Intervals of AUC and Brier score draw borrowers, for some have several rows; those of tiers "
            "take rows as independent, and are too narrow."
        )
    if frame.time is None:
        notes.append("These rows have no time: whether the score holds in the future was not measured.")
    return tuple(notes)


def _points(table: ScorecardTable, readers: tuple[Reader, ...], frame: Frame) -> Integers:
    found: Integers = table.points(read_rows(readers, frame))
    return found
