# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import orjson
import pytest

from koinon.chain import artifacts
from koinon.errors import BadInput, NotFound
from koinon.lending.scorecard_table import MISSING
from koinon.lending.scoring.binning.base import pooled_monotone
from koinon.lending.scoring.binning.one_by_one import optimal_bins, tree_bins
from koinon.lending.scoring.challenger import Challenger, fit_challenger, tightened
from koinon.lending.scoring.frame import Categorical, Frame, Numeric
from koinon.lending.scoring.measures import auc
from koinon.lending.scoring.points import Plan, fit_points
from koinon.lending.scoring.reader import read_rows, scale_for
from koinon.lending.scoring.report import CHALLENGER, CONSTANT, OFF_CHAIN, SIMULATED
from koinon.lending.scoring.scorecard import Scorecard
from koinon.lending.scoring.training import train
from koinon.works.registration import Card
from tests.contracts_support import account
from tests.lending.scoring.made_up import made_up


def test_points_tell_good_from_bad_as_the_report_says(trained):
    report = trained.report
    assert report.evidence == "simulated"
    assert report.champion.auc.value > 0.7
    assert report.named(CONSTANT).auc.value == 0.5
    assert abs(report.gap.value) < 0.05
    assert report.gap.low <= report.gap.value <= report.gap.high
    assert report.champion.ece < 0.06
    assert report.psi_points < 0.1
    assert sum(report.rows.values()) == 2400
    rates = [tier.seen.value for tier in report.tiers if tier.seen]
    assert rates == sorted(rates)


def test_a_report_says_what_it_is_in_every_form(trained):
    report = trained.report
    for form in (report.text(), report.markdown()):
        assert "simulated" in form
        assert "raw logistic" in form
        assert "say nothing about real ones" in form
    assert orjson.loads(orjson.dumps(report.to_dict()))["evidence"] == "simulated"
    metric = report.metric()
    assert metric.interval[0] <= metric.value <= metric.interval[1]
    assert metric.samples == report.rows["test"]
    Card("model", "points", "made up", ("simulated",), "ask", metric)
    with pytest.raises(BadInput, match="what its figures come from"):
        dataclasses.replace(report, evidence="real")


def test_a_report_tells_what_was_left_out_and_draws_borrowers_who_come_back():
    frame = made_up(1600, timed=True, repeat=700)
    assert frame.time is not None
    frame = dataclasses.replace(frame, known_at=frame.time + 8)
    report = train(frame, Plan(binner="tree", tiers=3), data="made up", evidence=SIMULATED).report
    assert report.known is not None
    assert report.known.rows + report.rows["test"] == report.stretches["test"].rows
    assert report.known.bad + report.bad["test"] == report.stretches["test"].bad
    assert sum(part.rows for part in report.stretches.values()) == 1600
    assert report.stretches["train"].rows - report.rows["train"] == 80
    assert f"test {report.stretches['test'].rows} ({report.stretches['test'].rate:.1%} bad)" in report.text()
    assert f"Later rows of borrowers seen before: {report.known.rows} (" in report.text()
    assert "draw borrowers" in report.text()
    assert report.champion.auc.low < report.champion.auc.value < report.champion.auc.high
    told = orjson.loads(orjson.dumps(report.to_dict()))
    assert told["known"]["rows"] == report.known.rows
    assert told["stretches"]["calibrate"]["bad"] == report.stretches["calibrate"].bad


def test_the_contract_gives_a_thousand_borrowers_the_same_points_and_tiers(trained, borrowers):
    pyrevm = pytest.importorskip("pyrevm")
    card = trained.scorecard
    rows = card.rows(borrowers)[:1000]
    assert (rows == MISSING).any()
    artifact = artifacts.load("Scorecard")
    machine, caller = pyrevm.EVM(), account("lender")
    place = machine.deploy(caller, artifact.creation(card.table.encode()))
    score = artifact.functions["score"]
    said = [
        tuple(score.decode(machine.message_call(caller, place, calldata=score.encode(row))))
        for row in rows.tolist()
    ]
    points = card.table.points(rows)
    assert said == list(zip(points.tolist(), card.table.tiers(points).tolist(), strict=True))


def test_zero_and_missing_have_places_of_their_own_and_a_stranger_counts_as_missing(trained):
    card = trained.scorecard
    by_name = {feature.name: feature for feature in card.table.features}
    assert by_name["arrears"].zero_points is not None
    assert by_name["income"].missing_points != min(by_name["income"].points)
    assert by_name["debt"].missing_points == min(by_name["debt"].points)  # never seen: as bad as it gets
    one = Frame(
        {
            "debt": Numeric(np.array([0.1])),
            "arrears": Numeric(np.array([0.0])),
            "income": Numeric(np.array([np.nan])),
            "home": Categorical(np.array([0], dtype=np.int32), ("houseboat",)),
            "noise": Numeric(np.array([0.0])),
        },
        np.array([0]),
    )
    assert card.rows(one)[0][card.columns.index("home")] == MISSING


def test_risk_only_rises_where_that_was_asked_for(trained):
    by_name = {feature.name: feature for feature in trained.scorecard.table.features}
    for name in ("debt", "arrears"):
        points = by_name[name].points
        assert list(points) == sorted(points, reverse=True)
    assert by_name["arrears"].zero_points >= max(by_name["arrears"].points)


def test_the_same_rows_and_seed_make_the_same_file_and_it_comes_back(trained, borrowers, tmp_path):
    path = tmp_path / "folder" / "scorecard.json"
    trained.scorecard.save(path)
    read = Scorecard.load(path)
    assert read.digest == trained.scorecard.digest
    assert np.array_equal(read.points(borrowers), trained.scorecard.points(borrowers))
    assert np.array_equal(read.chances(borrowers), trained.scorecard.chances(borrowers))
    path.write_bytes(b'{"format": "other"}')
    with pytest.raises(BadInput, match="not a scorecard"):
        Scorecard.load(path)
    with pytest.raises(NotFound):
        Scorecard.load(tmp_path / "none.json")


def test_training_again_gives_the_same_points():
    frame = made_up(600)
    one, two = (fit_points(frame, Plan(seed=4)) for _ in range(2))
    assert one == two


def test_the_challenger_only_tightens(trained, borrowers, tmp_path):
    own = trained.scorecard.tiers_of(borrowers)
    tiers, chances = tightened(trained.scorecard, trained.challenger, borrowers)
    assert (tiers >= own).all()
    assert (tiers > own).any()
    assert (chances >= trained.scorecard.chances(borrowers)).all()
    path = tmp_path / "challenger.json"
    path.write_bytes(trained.challenger.to_bytes())
    again = Challenger.load(path)
    assert np.array_equal(again.chances(borrowers), trained.challenger.chances(borrowers))
    path.write_bytes(b"{}")
    with pytest.raises(BadInput, match="not a challenger"):
        Challenger.load(path)
    with pytest.raises(NotFound):
        Challenger.load(tmp_path / "none.json")


def test_contributions_of_trees_add_up_to_what_they_say(trained, borrowers):
    some = borrowers.take(np.arange(50))
    log_odds = trained.challenger.contributions(some).sum(axis=1)
    assert np.allclose(1 / (1 + np.exp(-log_odds)), trained.challenger.raw(some))
    with pytest.raises(BadInput, match="not there as they know it"):
        trained.challenger.raw(some.without("debt"))


@pytest.mark.parametrize("binner", [tree_bins, optimal_bins])
def test_bins_made_one_column_at_a_time_tell_too(binner):
    frame = made_up(800)
    if binner is optimal_bins:
        pytest.importorskip("optbinning")
        frame = frame.without("home", "noise")
    bins = binner(frame, {"debt": 1}, 0)
    debt = next(each for each in bins if each.reader.name == "debt")
    assert list(debt.evidence) == sorted(debt.evidence)
    arrears = next(each for each in bins if each.reader.name == "arrears")
    assert arrears.zero is not None
    assert arrears.zero < max(arrears.evidence)
    told = sum(each.evidence_of(each.reader.read(frame.columns[each.reader.name])) for each in bins)
    assert auc(frame.labels, told).value > 0.65


def test_rows_with_a_time_are_trained_and_judged_by_it():
    made = train(made_up(900, timed=True), Plan(binner="tree", tiers=3), data="made up", evidence=SIMULATED)
    assert made.report.split.startswith("by time")
    assert not any("no time" in note for note in made.report.notes)
    assert made.report.named(CHALLENGER).auc.value > 0.5


def test_tiers_by_probability_end_where_the_calibration_says():
    made = train(
        made_up(900), Plan(binner="tree", tiers=(0.1, 0.3)), data="made up", evidence=OFF_CHAIN, seed=2
    )
    card = made.scorecard
    for threshold, chance in zip(card.table.thresholds, (0.1, 0.3), strict=True):
        assert float(card.calibration.chances(np.array([threshold]))[0]) <= chance
        assert float(card.calibration.chances(np.array([threshold - 1]))[0]) > chance


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"binner": "quantiles"}, "no binner"),
        ({"monotone": {"debt": 2}}, "direction"),
        ({"tiers": 40}, "1 to 17 tiers"),
        ({"tiers": (0.3, 0.1)}, "rise"),
        ({"monotone": {"wealth": 1}}, "no column 'wealth'"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong, sentence, borrowers):
    with pytest.raises(BadInput, match=sentence):
        Plan(**wrong).check(borrowers)


def test_columns_that_say_nothing_or_are_not_there_are_refused(trained):
    flat = Frame({"a": Numeric(np.ones(300))}, np.tile([0, 1], 150))
    with pytest.raises(BadInput, match="No column tells"):
        fit_points(flat, Plan(binner="tree"))
    with pytest.raises(BadInput, match="reads the column 'debt'"):
        trained.scorecard.points(made_up(10).without("debt"))
    names = {"debt": Categorical(np.zeros(10, dtype=np.int32), ("much",))}
    strange = made_up(10).with_columns(names)
    with pytest.raises(BadInput, match="holds names"):
        read_rows(trained.scorecard.readers, strange)


def test_weights_count_in_teaching():
    frame = made_up(600)
    heavy = dataclasses.replace(frame, weights=np.where(frame.labels == 1, 3.0, 1.0))
    light, heavier = (fit_challenger(each).raw(frame).mean() for each in (frame, heavy))
    assert heavier > light + 0.1


def test_violators_are_pooled_and_scales_keep_whole_numbers():
    pooled = pooled_monotone(np.array([1.0, 3.0, 2.0, 4.0]), np.ones(4), 1)
    assert pooled.tolist() == [1.0, 2.5, 2.5, 4.0]
    assert pooled_monotone(np.array([1.0, 2.0]), np.ones(2), -1).tolist() == [1.5, 1.5]
    assert scale_for(np.array([1.0, 5.0, np.nan])) == 1
    assert scale_for(np.array([0.001, 0.002, 0.003])) >= 10**6
