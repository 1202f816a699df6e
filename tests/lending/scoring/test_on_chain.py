# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.lending.features.catalogue import NAMES
from koinon.lending.features.compute import FeatureTable, features
from koinon.lending.features.labels import Loans
from koinon.lending.scorecard_table import MISSING
from koinon.lending.scoring.frame import Numeric
from koinon.lending.scoring.horizon import DAY_S, Labelled
from koinon.lending.scoring.on_chain import (
    frame_of_history,
    loan_frame,
    on_chain_plan,
    read_loans,
    row_of,
    rows_of,
    scaled,
    train_on_history,
    train_on_loans,
    whole_rows,
)
from koinon.lending.scoring.points import Plan
from koinon.lending.scoring.reasons import explain
from koinon.lending.scoring.report import OFF_CHAIN, SIMULATED
from koinon.lending.scoring.training import train
from koinon.lending.scoring.words import notice
from tests.lending.features.chronicle import Chronicle, role

TREE = Plan(binner="tree", tiers=3)


def wallets(rows=900, seed=3):
    """Made-up features: a thin cushion and past liquidations make a loan bad."""
    random = np.random.default_rng(seed)
    values = np.full((rows, len(NAMES)), np.nan)
    health = random.gamma(6.0, 0.3, rows) + 0.9
    past = random.poisson(0.3, rows).astype(float)
    values[:, NAMES.index("health_last")] = health
    values[:, NAMES.index("liquidations_365d")] = past
    values[:, NAMES.index("age_days")] = random.integers(1, 900, rows)
    values[:, NAMES.index("inflow_30d")] = random.lognormal(6, 2, rows)
    odds = 1.0 - 1.5 * (health - 1.0) + past
    labels = (random.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    names = tuple(role(f"wallet {number}") for number in range(rows))
    table = FeatureTable(names, [0] * rows, [(0, "")] * rows, values)
    loans = Loans(names, (1,) * rows, np.arange(rows, dtype=np.int64) * DAY_S)
    return table, loans, Labelled(np.arange(rows), labels, 0, 30)


@pytest.fixture(scope="module")
def made():
    frame = loan_frame(*wallets())
    return train(frame, on_chain_plan(TREE), data="made-up wallets", evidence=SIMULATED)


def test_loans_are_judged_on_later_loans_of_other_wallets(made):
    assert made.report.split.startswith("by time")
    assert made.report.evidence == SIMULATED
    assert made.report.champion.auc.value > 0.6


def test_the_scorecard_reads_the_features_own_whole_numbers(made):
    card = scaled(made.scorecard)
    table, loans, labelled = wallets()
    rows = rows_of(card, table.integers())
    frame = loan_frame(table, loans, labelled)
    assert np.array_equal(card.table.points(rows), made.scorecard.points(frame))
    by_name = {feature.name: feature for feature in card.table.features}
    assert by_name["health_last"].scale == 1000
    points = by_name["health_last"].points
    assert list(points) == sorted(points)
    worst = rows[int(np.argmin(card.table.points(rows)))]
    assert any("health_last is " in sentence for sentence in notice(card, explain(card, worst)))


def test_what_the_features_command_writes_can_be_taught_on(made, tmp_path):
    table, loans, labelled = wallets()
    lines = [",".join(("subject", "as_of_block", "block_hash", "time_s", "known_at_s", "bad", *NAMES))]
    for row, numbers in enumerate(table.integers().tolist()):
        told = ["" if each == MISSING else str(each) for each in numbers]
        times = [str(loans.times[row]), str(loans.times[row] + 30 * DAY_S)]
        place = [loans.subjects[row], "1", "0x", *times, str(labelled.labels[row])]
        lines.append(",".join([*place, *told]))
    path = tmp_path / "loans.csv"
    path.write_text("\n".join(lines) + "\n")
    frame = read_loans(path)
    again = train_on_loans(frame, data="loans.csv", evidence=SIMULATED, plan=TREE)
    assert again.scorecard.table == scaled(made.scorecard).table
    assert again.scorecard.about["horizon_days"] == 30
    rows = whole_rows(again.scorecard, frame)
    assert np.array_equal(rows, rows_of(again.scorecard, table.integers()))
    path.write_text(
        "subject,as_of_block,block_hash,time_s,known_at_s,bad,age_days\na,1,0x,5,9,1,3\nb,1,0x,6,9,0,3\n"
    )
    with pytest.raises(BadInput, match="does not hold the features"):
        read_loans(path)
    with pytest.raises(BadInput, match="no numbers"):
        whole_rows(again.scorecard, frame.without(again.scorecard.columns[0]))


def test_a_wallet_nobody_knows_is_in_the_worst_tier(made):
    card = scaled(made.scorecard)
    chain = Chronicle().price(2000).pledge("borrower", 10).borrow("borrower", 1000).history()
    vector = features(chain, role("stranger"), 0)
    row = row_of(card, vector)
    assert row.shape == (len(card.columns),)
    unknown = np.full(len(card.columns), MISSING)
    assert explain(card, unknown).tier == card.table.worst_tier


def test_a_historys_loans_are_seen_as_of_the_block_before_and_wait_for_their_horizon():
    told = Chronicle().price(2000)
    told.wait(1).pledge("careful", 10).borrow("careful", 1000).pledge("rash", 1).borrow("rash", 1500)
    told.wait(5).price(1500).liquidate("rash", 1500, 1)
    told.wait(40).borrow("careful", 10).wait(1).price(1500)
    frame = frame_of_history(told.history(), days=30)
    assert frame.labels.tolist() == [0, 1]
    assert frame.time is not None
    assert frame.known_at is not None
    assert (frame.known_at - frame.time).tolist() == [30 * DAY_S] * 2
    assert frame.entity is not None
    assert frame.entity.tolist() == [role("careful"), role("rash")]
    borrowed = frame.columns["borrows_30d"]
    assert isinstance(borrowed, Numeric)
    assert np.nan_to_num(borrowed.values).tolist() == [0, 0]  # their own loan is not yet known
    with pytest.raises(BadInput, match="fewer than three different times"):
        train_on_history(told.history(), days=30, data="a short chain", evidence=SIMULATED, plan=TREE)


def test_a_chain_is_never_off_chain_and_other_scores_do_not_fit(made, trained):
    with pytest.raises(BadInput, match="never off chain"):
        train_on_history(Chronicle().price(1).history(), days=30, data="x", evidence=OFF_CHAIN)
    table, loans, labelled = wallets(50)
    with pytest.raises(BadInput, match="which no chain tells"):
        rows_of(trained.scorecard, table.integers())
    short = Loans(loans.subjects[:10], loans.blocks[:10], loans.times[:10])
    with pytest.raises(BadInput, match="do not fit 10 loans"):
        loan_frame(table, short, labelled)
