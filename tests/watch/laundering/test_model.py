# SPDX-License-Identifier: Apache-2.0
"""The ranking: cut by time, measured on what is later, beside simpler ways, and whom its alarms hit."""

import numpy as np
import pytest

from koinon.errors import BadInput, IntegrityError
from koinon.watch.graph import Edges
from koinon.watch.laundering.clusters import clusters
from koinon.watch.laundering.groups import by_age, by_size, wilson
from koinon.watch.laundering.measuring import average_precision, bootstrapped, precision_at
from koinon.watch.laundering.model import Model, learn
from koinon.watch.laundering.planted import ORIGINS, plant
from koinon.watch.laundering.report import report
from koinon.watch.laundering.table import Table, names, split_by_time


@pytest.fixture(scope="module")
def planted():
    return plant(accounts=900, honest=5_000, patterns=64, days=20, seed=2)


@pytest.fixture(scope="module")
def table(planted):
    return Table.of(planted.edges)


@pytest.fixture(scope="module")
def found(planted, table):
    origins = {name: planted.origin == at for at, name in enumerate(ORIGINS)}
    return report(
        table,
        planted.illicit,
        data="simulated",
        patterns=planted.pattern,
        kinds=planted.kinds,
        origins=origins,
        draws=40,
    )


def test_on_later_transfers_the_model_ranks_better_than_amount_or_rules_alone(found):
    model, rules, amount = found[0].rankings
    assert [each.name for each in found[0].rankings] == ["model", "rules only", "amount only"]
    assert model.pr_auc.value > 2 * amount.pr_auc.value
    assert model.pr_auc.value > rules.pr_auc.value
    for each in found[0].rankings:
        assert each.pr_auc.low <= each.pr_auc.value <= each.pr_auc.high


def test_the_report_states_data_split_budget_kinds_and_cases(found):
    document = found[0].document()
    assert document["data"]["what"] == "simulated"
    assert document["split"]["by"] == "time"
    assert document["split"]["choose_from"] < document["split"]["measure_from"]
    assert document["budget"] == round(0.05 * document["split"]["measure"])
    assert document["kinds"]["cycle"]["patterns_found_by_rule"] == 1
    assert document["cases"]["precision"]["10"] > 0.5
    assert [each["by"] for each in document["false_alarms"]] == ["age", "size", "origin"]
    groups = document["false_alarms"][0]["groups"]
    assert [each["name"] for each in groups] == ["first day", "first week", "older"]
    assert all(each["low"] <= each["rate"] <= each["high"] for each in groups)


def test_the_model_is_not_told_who_is_new_or_where_money_came_from():
    assert not [each for each in names() if "age" in each.split("_") or "origin" in each]


def test_a_model_is_the_same_after_it_was_kept(found, table, tmp_path):
    model = found[1]
    model.save(tmp_path / "model.json")
    again = Model.load(tmp_path / "model.json")
    np.testing.assert_array_equal(again.scores(table), model.scores(table))
    row = int(np.argmax(model.scores(table)))
    assert model.reasons(table, row)
    (tmp_path / "model.json").write_bytes((tmp_path / "model.json").read_bytes().replace(b"tree", b"twig", 1))
    with pytest.raises(IntegrityError):
        Model.load(tmp_path / "model.json")
    with pytest.raises(IntegrityError):
        Model.load(tmp_path / "absent.json")


def test_a_split_is_by_time_and_never_within_a_moment():
    edges = Edges.of(range(100), range(1, 101), np.arange(100) // 7, np.ones(100))
    split = split_by_time(edges)
    for part in (split.choose, split.measure):
        assert edges.timestamp[part.start] > edges.timestamp[part.start - 1]
    assert split.measure.stop == 100
    for shares in ((0.5, 0.5), (0.6, 0.5, -0.1), (0.5, 0.2, 0.2)):
        with pytest.raises(BadInput):
            split_by_time(edges, shares)
    with pytest.raises(BadInput):
        split_by_time(Edges.of([0] * 9, [1] * 9, [5] * 9, [1] * 9))


def test_a_pattern_that_a_cut_divides_is_purged_from_before_the_cut():
    edges = Edges.of(range(100), range(1, 101), np.arange(100), np.ones(100))
    patterns = np.full(100, -1, dtype=np.int32)
    patterns[[10, 20]] = 0
    patterns[[55, 65]] = 1
    patterns[[70, 90]] = 2
    patterns[[50, 95]] = 3
    split = split_by_time(edges, patterns=patterns)
    assert split.purged.tolist() == [50, 55, 70]
    assert not set(patterns[split.learning]) & {1, 2, 3}
    assert not set(patterns[split.choosing]) & {2, 3}
    assert split.learning.size + split.choosing.size == 80 - 3


def test_illicit_transfers_that_share_an_account_within_a_day_belong_together():
    edges = Edges.of([0, 1, 5, 2, 7, 2], [1, 2, 6, 3, 8, 9], [0, 10, 11, 20, 30, 900_000], [1] * 6)
    found = clusters(edges, np.array([True, True, False, True, True, True]))
    assert found.tolist() == [0, 0, -1, 0, 1, 2]
    many = Edges.of([0] * 101, range(1, 102), range(101), [1] * 101)
    assert len(set(clusters(many, np.ones(101, dtype=bool)).tolist())) == 101


def test_labels_of_which_nothing_can_be_learned_are_refused(table):
    with pytest.raises(BadInput):
        learn(table, np.zeros(len(table.edges), dtype=bool))
    with pytest.raises(BadInput):
        learn(table, np.ones(3, dtype=bool))
    with pytest.raises(BadInput):
        learn(table, np.ones(len(table.edges), dtype=bool), budget=2)


def test_precision_counts_what_it_says():
    labels, scores = np.array([True, False, True, False]), np.array([4.0, 3.0, 2.0, 1.0])
    assert average_precision(labels, scores) == pytest.approx((1 + 2 / 3) / 2)
    assert precision_at(labels, scores, 2) == 0.5
    assert precision_at(labels, scores, 99) == 0.5
    assert average_precision(labels, np.zeros(4)) == 0.5
    assert precision_at(labels, np.zeros(4), 1) == 0.5
    with pytest.raises(BadInput):
        average_precision(np.ones(4, dtype=bool), scores)


def test_an_interval_is_wider_where_rows_stand_or_fall_together():
    random = np.random.default_rng(0)
    labels = np.arange(400) < 40
    scores = labels + random.normal(0, 1, 400) + np.repeat(random.normal(0, 2, 40), 10)
    alone = bootstrapped(average_precision, labels, scores, np.full(400, -1, dtype=np.int32))
    together = bootstrapped(average_precision, labels, scores, (np.arange(400) // 10).astype(np.int32))
    assert together.high - together.low > alone.high - alone.low


def test_wallets_are_grouped_by_what_was_known_then():
    edges = Edges.of([0, 0, 1, 0], [1, 2, 2, 1], [0, 90_000, 90_000, 700_000], [1, 1, 50, 1])
    assert by_age(edges)["first day"].tolist() == [True, False, False, False]
    assert by_age(edges)["first week"].tolist() == [False, True, True, False]
    assert by_size(edges)["large"].tolist() == [False, False, True, True]
    assert wilson(0, 0) == (0, 1)
    assert wilson(5, 10)[0] < 0.5 < wilson(5, 10)[1]
