# SPDX-License-Identifier: Apache-2.0
"""An owner finds out whether it gains, and tells of it exactly what the recipe says and it allows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import orjson
import pytest

from koinon.errors import BadInput, IntegrityError
from koinon.estimates import Estimate
from koinon.learning import simulation
from koinon.learning.drift import LARGE, Population, largest_shift
from koinon.learning.fairness import Fairness
from koinon.learning.gains import Gain, OwnReport, OwnRows, as_told, kept_population, set_aside
from koinon.learning.messages import Report, payload_digest
from koinon.tables import Table
from tests.learning.support import COLUMNS, DOMAIN, SCALING, key, recipe, started, table

KEEPS = Fairness(own_rows=0.25, told="scores")
GAIN = Gain(
    Estimate(0.0312, -0.0149, 0.0551), 40, Estimate(0.8, 0.7, 0.9), Estimate(0.77, 0.6, 0.9), ((1, 0.7),)
)


def test_rows_are_set_aside_by_class_the_same_way_each_time():
    found, own = recipe(fairness=KEEPS), table(101, 3)
    teaching, kept = set_aside(found, own)
    assert len(teaching) + len(kept) == 101
    both = np.concatenate([teaching.features, kept.features])
    assert np.array_equal(np.sort(both[:, 1]), np.sort(own.features[:, 1]))
    assert kept.labels.sum() == own.labels.sum() // 4
    assert set_aside(found, own)[1].digest == kept.digest
    assert len(set_aside(recipe(), own)[1]) == 0


def test_whoever_had_few_rows_gains_and_is_told_so():
    found = recipe(fairness=KEEPS, rounds=8, epochs=3, learning_rate=0.02)
    flipped = table(30, 7)
    lonely = Table(
        flipped.features, 1 - flipped.labels, COLUMNS
    )  # what it learnt alone is wrong for the others
    tables = [table(200, seed) for seed in range(3)]
    trained = simulation.train_together(found, [*tables, lonely], scaling=SCALING)
    alone = simulation.train_alone(found, lonely, 3, SCALING)
    own = OwnRows(found, table(400, 9), SCALING)
    for number in (1, 2):
        own.note(number, trained.vector)
    gain = own.gain(trained.vector, alone)
    assert gain is not None
    assert gain.together is not None
    assert gain.alone is not None
    assert gain.verdict == "gains"
    assert gain.difference.value == pytest.approx(gain.together.value - gain.alone.value)
    assert [number for number, _ in gain.trail] == [1, 2]
    other_way, same = own.gain(alone, trained.vector), own.gain(alone, alone)
    assert [one and one.verdict for one in (other_way, same)] == ["loses", "unclear"]


@pytest.mark.parametrize("rows", [table(19, 1), Table(table(40).features, np.ones(40, int), COLUMNS)])
def test_too_few_rows_or_one_class_say_nothing(rows):
    own = OwnRows(recipe(fairness=KEEPS), rows, SCALING)
    vector = recipe().model.initial(1)
    assert not own.enough
    assert own.note(1, vector) is None
    assert own.gain(vector, vector) is None


def test_no_more_is_told_than_was_agreed():
    assert as_told(GAIN, "nothing") is None
    assert as_told(GAIN, "gain") == Gain(Estimate(0.03, -0.01, 0.06))
    assert as_told(GAIN, "scores") == GAIN
    assert as_told(None, "scores") is None


def test_a_report_comes_back_as_it_was_sent():
    found = recipe(fairness=replace(KEEPS, populations=True))
    report = OwnReport(GAIN, Population.of(found, table(), SCALING))
    assert OwnReport.from_bytes(report.to_bytes(), found) == report
    assert OwnReport.from_bytes(OwnReport().to_bytes(), recipe()) == OwnReport()


def test_an_owner_sees_how_far_its_rows_moved_since_the_last_run():
    found, own = recipe(fairness=KEEPS), table(300)
    older = own.features.copy()
    older[:, 0] += 30
    before, now = (Population.of(found, one, SCALING) for one in (own, Table(older, own.labels, own.columns)))
    kept = OwnReport(GAIN, before).to_bytes()
    assert kept_population(kept, now) == before
    column, shift = largest_shift(before, now, COLUMNS)
    assert (column, shift > LARGE) == ("age", True)
    assert largest_shift(before, before, COLUMNS) == ("", 0.0)
    assert largest_shift(before, replace(before, labels=before.labels[::-1]), COLUMNS)[0] == ""
    for strange in (
        b"",
        b"[]",
        kept.replace(b"[13,", b'["a",'),
        kept.replace(b":[[2,", b":[[-2,"),
        b'{"population": 3}',
        kept.replace(b"columns", b"rows"),
    ):
        assert kept_population(strange, now) is None
    assert kept_population(kept, replace(now, labels=(10, 5, 5))) is None


def _changed(**changes):
    return {**orjson.loads(OwnReport(GAIN).to_bytes())["gain"], **changes}


HOSTILE = [
    b"",
    b"[]",
    b"{}",
    b'{"gain": 3, "population": null}',
    b'{"gain": null, "population": null, "rows": []}',
    *(
        orjson.dumps({"gain": gain, "population": None})
        for gain in (
            _changed(rows=-1),
            _changed(rows=True),
            _changed(rows=2**63),
            _changed(difference={"value": 1e9, "low": 0, "high": 1}),
            _changed(difference={"value": 0, "low": 0.5, "high": 0.1}),
            _changed(together={"value": -0.5, "low": 0, "high": 1}),
            _changed(together={"value": "0.5", "low": 0, "high": 1}),
            _changed(trail=[[9, 0.5]]),
            _changed(trail=[[1, 0.5], [1, 0.5]]),
            _changed(trail=[[1, 0.5, 7]]),
            _changed(more=1),
        )
    ),
    *(
        orjson.dumps({"gain": None, "population": population})
        for population in (
            {"labels": [20, 0], "columns": [[20, 0, 0, 0, 0]] * 2},
            {"labels": [20], "columns": [[20, 0, 0, 0, 0]] * 3},
            {"labels": [0, 0], "columns": [[20, 0, 0, 0, 0]] * 3},
            {"labels": [20, 0], "columns": [[21, 0, 0, 0, 0]] * 3},
            {"labels": [20, 0], "columns": [[20, 0, 0, 0, 0.5]] * 3},
            {"labels": [20, 0], "columns": [[20, 0, 0, 0]] * 3},
            {"labels": "20", "columns": 3},
        )
    ),
]


@pytest.mark.parametrize("content", HOSTILE)
def test_a_report_that_is_none_is_refused(content):
    with pytest.raises(BadInput) as caught:
        OwnReport.from_bytes(content, recipe(fairness=replace(KEEPS, populations=True)))
    assert caught.value.code == "learning.report"


@pytest.mark.parametrize("told", ["nothing", "gain"])
def test_more_than_the_recipe_asks_for_is_refused(told):
    found = recipe(fairness=replace(KEEPS, told=told))
    for report in (OwnReport(GAIN), OwnReport(None, Population.of(found, table(), SCALING))):
        with pytest.raises(BadInput):
            OwnReport.from_bytes(report.to_bytes(), found)


def test_a_leader_takes_reports_of_members_signed_by_them():
    run, owners = started(fairness=KEEPS)
    payload = OwnReport(GAIN).to_bytes()
    frame = Report(1, owners[1].address, payload_digest(payload)).pack(owners[1], DOMAIN, payload)
    assert run.receive_report(frame).index == 1
    assert run.reports == {1: OwnReport(GAIN)}
    for frame, error in (
        (Report(2, owners[1].address, payload_digest(payload)).pack(owners[1], DOMAIN, payload), BadInput),
        (Report(1, owners[1].address, payload_digest(b"")).pack(owners[1], DOMAIN, payload), IntegrityError),
        (
            Report(1, owners[0].address, payload_digest(payload)).pack(owners[1], DOMAIN, payload),
            IntegrityError,
        ),
        (Report(1, key("x").address, payload_digest(payload)).pack(key("x"), DOMAIN, payload), BadInput),
    ):
        with pytest.raises(error):
            run.receive_report(frame)
    assert run.reports == {1: OwnReport(GAIN)}
