# SPDX-License-Identifier: Apache-2.0
"""Scorecards of wallets: taught on a chain's own loans, each seen as it stood in the block before it.

A loan is bad if it was liquidated, or its borrower's health factor fell below 1, within the horizon. Rows
have a time, a borrower and the end of their horizon, so the score is judged on later loans of other wallets,
and taught on what was known before them. It reads the whole numbers
of `koinon.lending.features`, as the contract gets them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from koinon.errors import BadInput, SetupError
from koinon.lending.fairness import approve_safest, audit, wallet_groups
from koinon.lending.features.catalogue import FEATURES, NAMES
from koinon.lending.features.compute import FeatureTable, FeatureVector, feature_table
from koinon.lending.features.labels import Loans, labels
from koinon.lending.features.point_in_time import Options
from koinon.lending.scorecard_table import MISSING
from koinon.lending.scoring.frame import Column, Floats, Frame, Integers, Numeric, Texts
from koinon.lending.scoring.frame_reading import read_frame
from koinon.lending.scoring.horizon import DAY_S, Labelled
from koinon.lending.scoring.points import Plan
from koinon.lending.scoring.reader import whole
from koinon.lending.scoring.report import APPROVED, OFF_CHAIN, Report
from koinon.lending.scoring.scorecard import Scorecard
from koinon.lending.scoring.splits import split
from koinon.lending.scoring.training import Trained, train
from koinon.lending.scoring.wallets import COLUMNS, groups_of_history
from koinon.markets.history.history import History

WALLET_AGE: Final = "wallet age"
GROUPS: Final = tuple(COLUMNS.values())
"""What wallets are compared by."""

SCALES: Final[Mapping[str, int]] = {feature.name: feature.scale for feature in FEATURES}

MONOTONE: Final[Mapping[str, int]] = {
    **{f"liquidations_{days}d": 1 for days in (30, 90, 365)},
    "repaid_to_borrowed": -1,
    "days_since_liquidation": -1,
    "health_last": -1,
    "health_min_90d": -1,
    "health_mean_90d": -1,
    "days_health_below_1_2_90d": 1,
    "loan_to_value": 1,
    "sigmas_to_liquidation": -1,
    "volatility_30d": 1,
    "age_days": -1,
    "taint_share": 1,
    "hops_from_listed": -1,
}
"""What must never pay: more liquidations, a thinner cushion, a younger wallet, money from listed accounts."""

ACTIONABLE: Final[Mapping[str, int]] = {
    "repaid_to_borrowed": 1,
    "health_last": 1,
    "loan_to_value": -1,
    "debt_value": -1,
    "sigmas_to_liquidation": 1,
    "depth_to_debt": 1,
}
"""What a borrower can change before asking again."""


def on_chain_plan(plan: Plan | None = None) -> Plan:
    """A plan with the directions that wallets' features must have, beside its own."""
    given = plan or Plan()
    return replace(
        given, monotone={**MONOTONE, **given.monotone}, actionable={**ACTIONABLE, **given.actionable}
    )


def loan_frame(
    table: FeatureTable, loans: Loans, labelled: Labelled, groups: Mapping[str, Texts] | None = None
) -> Frame:
    """Loans whose horizon is over, with what was known when each was decided.

    Columns are the features' whole numbers. ``groups`` (one text a loan) are audited and never learned from;
    without them wallets are compared by age alone.

    Raises
    ------
    BadInput
        The table has not one row a loan.
    """
    if len(table) != len(loans.subjects):
        raise BadInput(
            f"{len(table)} rows of features do not fit {len(loans.subjects)} loans.", code="lending.table"
        )
    rows = labelled.rows
    if groups is None:
        groups = _by_age(table.column("age_days"))
    numbers = table.integers()[rows]
    columns = {
        name: Numeric(np.where(numbers[:, place] == MISSING, np.nan, numbers[:, place].astype(np.float64)))
        for place, name in enumerate(NAMES)
    }
    return Frame(
        columns,
        labelled.labels,
        loans.times[rows],
        {name: whose[rows] for name, whose in groups.items()},
        np.array(loans.subjects, dtype=np.str_)[rows],
        known_at=loans.times[rows] + labelled.days * DAY_S,
    )


def frame_of_history(history: History, *, days: int, options: Options | None = None) -> Frame:
    """Every ripe loan of a history as of the block before it."""
    loans, labelled = labels(history, days, options)
    before = [max(0, block - 1) for block in loans.blocks]
    table = feature_table(history, loans.subjects, before, options)
    groups = groups_of_history(history, loans.subjects, before, table.column("age_days"), options)
    return loan_frame(table, loans, labelled, groups)


def train_on_history(
    history: History,
    *,
    days: int,
    data: str,
    evidence: str,
    plan: Plan | None = None,
    options: Options | None = None,
) -> Trained:
    """A scorecard of wallets, judged on later loans of other wallets.

    Parameters
    ----------
    days : int
        The horizon: 30 or 90 are usual.
    evidence : str
        ``simulated`` or ``on-chain real``; whoever brings the history knows.

    Raises
    ------
    BadInput
        Too few loans of a kind, or the evidence is said to be off chain.
    """
    frame = frame_of_history(history, days=days, options=options)
    return train_on_loans(frame, data=f"{data}, {days} days", evidence=evidence, plan=plan)


def train_on_loans(frame: Frame, *, data: str, evidence: str, plan: Plan | None = None) -> Trained:
    """The same from loans that are a frame already; see `train_on_history`."""
    if evidence == OFF_CHAIN:
        raise BadInput(
            "A chain's history is simulated or real, and never off chain.",
            hint="Say --evidence simulated or --evidence 'on-chain real'.",
            code="lending.evidence",
        )
    made = train(frame, on_chain_plan(plan), data=data, evidence=evidence)
    report = with_audits(made, frame, on_chain_plan(plan).seed)
    card = scaled(made.scorecard)
    card = replace(card, about={**card.about, "report": report.to_dict()})
    if frame.time is not None and frame.known_at is not None:
        # what its probabilities are for: `koinon.lending.scoring.calibration.yearly` makes them a year's
        horizon_days = -(-int((frame.known_at - frame.time).max()) // DAY_S)
        card = replace(card, about={**card.about, "horizon_days": horizon_days})
    return replace(made, scorecard=card, report=report)


def with_audits(made: Trained, frame: Frame, seed: int) -> Report:
    """The report with how groups of wallets fare on the rows that judge, where `APPROVED` of them are lent
    to; a note says which groups could not be compared, and why."""
    judge = frame.take(split(frame, test=0.3, calibrate=0.15, seed=seed).test)
    passed = approve_safest(made.scorecard.chances(judge), APPROVED)
    audits, notes = [], []
    for attribute in GROUPS:
        whose = judge.groups.get(attribute)
        try:
            if whose is None:
                notes.append(f"How wallets fare by {attribute} was not looked at: these rows do not tell it.")
            else:
                audits.append(audit(attribute, whose, judge.labels, passed, seed=seed))
        except (BadInput, SetupError) as fault:
            notes.append(f"How wallets fare by {attribute} was not looked at: {fault.message}")
    return replace(made.report, audits=tuple(audits), notes=(*made.report.notes, *notes))


def read_loans(path: Path) -> Frame:
    """Loans from what ``koinon lending features --out`` wrote: whole numbers, times, borrowers and labels.

    Labels count from ``known_at_s`` on, the end of each loan's horizon.

    Raises
    ------
    BadInput
        The file is something else.
    """
    frame = read_frame(
        path,
        "bad",
        time="time_s",
        entity="subject",
        known_at="known_at_s",
        drop=("as_of_block", "block_hash"),
    )
    groups = {told: _texts(frame.columns[name]) for name, told in COLUMNS.items() if name in frame.columns}
    columns = {name: frame.columns[name] for name in NAMES if name in frame.columns}
    if len(columns) != len(NAMES) or not all(isinstance(column, Numeric) for column in columns.values()):
        raise BadInput(
            f"{path.name} does not hold the features of wallets.",
            hint="Make it with `koinon lending features HISTORY --out loans.csv`.",
            code="lending.table",
        )
    if not groups:
        ages = columns["age_days"]
        assert isinstance(ages, Numeric)  # noqa: S101  (looked at above)
        groups = _by_age(ages.values)
    return replace(frame, columns=columns, groups=groups)


def _by_age(age_days: Floats) -> dict[str, Texts]:
    """Groups by age, where nothing else is known of the wallets."""
    return {WALLET_AGE: wallet_groups(age_days, np.full(age_days.size, np.nan))[WALLET_AGE]}


def _texts(column: Column) -> Texts:
    """A column of names; empty where it is a column of numbers, as one without any name is read."""
    if isinstance(column, Numeric):
        return np.full(column.values.size, "", dtype=np.str_)
    names: Texts = np.array([*column.categories, ""], dtype=np.str_)[column.codes]
    return names


def whole_rows(scorecard: Scorecard, frame: Frame) -> Integers:
    """Loans whose columns are whole numbers already, as a scorecard reads them, (rows, features)."""
    rows = np.empty((len(frame), len(scorecard.columns)), dtype=np.int64)
    for place, name in enumerate(scorecard.columns):
        column = frame.columns.get(name)
        if not isinstance(column, Numeric):
            raise BadInput(f"There are no numbers '{name}'.", code="lending.columns")
        rows[:, place] = whole(column.values, 1)
    return rows


def scaled(scorecard: Scorecard) -> Scorecard:
    """A scorecard taught on whole numbers, told in the features' own units: the points stay the same."""
    features = tuple(
        replace(feature, scale=SCALES.get(feature.name, 1)) for feature in scorecard.table.features
    )
    readers = tuple(replace(reader, scale=SCALES.get(reader.name, 1)) for reader in scorecard.readers)
    return replace(scorecard, table=replace(scorecard.table, features=features), readers=readers)


def rows_of(scorecard: Scorecard, numbers: Integers) -> Integers:
    """Of features in the catalogue's order, (rows, features), those that a scorecard reads, in its order.

    Raises
    ------
    BadInput
        The scorecard reads something that no chain tells.
    """
    lacking = [name for name in scorecard.columns if name not in SCALES]
    if lacking:
        raise BadInput(
            f"The scorecard reads '{lacking[0]}', which no chain tells.",
            hint="Take a scorecard that was taught on a chain's history.",
            code="lending.columns",
        )
    return np.ascontiguousarray(numbers[:, places(scorecard.columns)])


def row_of(scorecard: Scorecard, vector: FeatureVector) -> Integers:
    """One wallet's whole numbers as a scorecard reads them, shape (features,); see `rows_of`."""
    found: Integers = rows_of(scorecard, vector.integers().reshape(1, -1))[0]
    return found


def places(columns: Sequence[str]) -> list[int]:
    """Where columns stand in the catalogue."""
    return [NAMES.index(name) for name in columns]
