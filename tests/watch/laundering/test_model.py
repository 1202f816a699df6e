# SPDX-License-Identifier: Apache-2.0
"""The ranking: cut by time, measured on what is later, beside simpler ways, and whom its alarms hit."""

import numpy as np
import pytest

from koinon.errors import BadInput, IntegrityError
from koinon.watch.graph import Edges
from koinon.watch.laundering.clusters import clusters
from koinon.watch.laundering.groups import audits, by_age, by_origin, by_size, service_names
from koinon.watch.laundering.measuring import average_precision, bootstrapped, precision_at
from koinon.watch.laundering.model import Model, learn
from koinon.watch.laundering.planted import SERVICES, plant
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
    services = {name: planted.service == at for at, name in enumerate(SERVICES)}
    return report(
        table,
        planted.illicit,
        data="simulated",
        patterns=planted.pattern,
        kinds=planted.kinds,
        services=services,
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
    cycle = document["kinds"]["cycle"]
    assert cycle["patterns_found_by_rule"]["value"] == 1
    assert cycle["patterns_found_by_rule"]["low"] < 1
    assert 0 < cycle["patterns_told_by_chance"] < 1
    told = cycle["patterns_told"]
    assert told["low"] <= told["value"] <= told["high"]
    first = document["cases"]["precision"]["10"]
    assert first["low"] <= first["value"] <= first["high"]
    assert first["value"] > max(0.5, document["cases"]["in_any_order"])
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


def test_origin_is_who_first_paid_the_payer_until_then():
    edges = Edges.of([9, 1, 2, 3, 1, 2], [1, 2, 3, 4, 5, 1], range(6), [1] * 6)
    exchange = np.arange(10) == 9
    found = by_origin(edges, {"exchange": exchange[: edges.accounts]})
    assert list(found) == ["exchange", "another wallet", "not seen"]
    assert found["exchange"].tolist() == [False, True, False, False, True, False]
    assert found["another wallet"].tolist() == [False, False, True, True, False, True]
    assert found["not seen"].tolist() == [True] + [False] * 5
    many = Edges.of([0] * 60 + [5], [*range(1, 61), 70], range(61), [1] * 61)
    assert by_origin(many)["a service"].tolist() == [False] * 60 + [True]


def test_the_planted_history_says_where_money_came_from(planted):
    """Wallets made for laundering have their first money from a bridge more often: origin is no noise."""
    edges = planted.edges
    services = {name: planted.service == at for at, name in enumerate(SERVICES)}
    found = by_origin(edges, services)
    share = {name: planted.illicit[rows].mean() for name, rows in found.items() if rows.any()}
    assert share["bridge"] > 1.5 * share["exchange"] > 0
    assert (planted.service >= 0).sum() == 8
    assert not planted.illicit[planted.service[edges.source] >= 0].any()


def test_unevenness_is_unclear_where_its_interval_holds_four_fifths():
    """The same rates, of few payers and of many."""
    verdicts = []
    for payers in (40, 20_000):
        half = payers // 2
        edges = Edges.of(range(payers), [payers] * payers, np.arange(payers), [1] * payers)
        edges = Edges.of(
            [*range(payers), *range(payers)],
            [payers] * (2 * payers),
            [*([0] * payers), *([5 * 86_400] * payers)],
            [*([1] * half), *([1_000] * half)] * 2,
        )
        told = np.zeros(2 * payers)
        told[payers : payers + half // 2] = 1
        told[payers + half : payers + half + int(half * 0.35)] = 1
        parts = slice(0, payers), slice(payers, 2 * payers)
        found = audits(edges, np.zeros(2 * payers, dtype=bool), told, 0.5, parts, draws=100)
        size = next(each for each in found if each.by == "size")
        assert size.low <= size.ratio <= size.high
        verdicts.append(size.verdict)
    assert verdicts == ["unclear", "uneven"]


def test_no_alarm_among_few_transfers_is_no_certainty():
    edges = Edges.of(range(200), [200] * 200, np.arange(200), [*([1] * 60), *([1_000] * 140)])
    told = np.where(np.arange(200) % 20 == 19, 1.0, 0.0)
    told[:67] = 0
    parts = slice(0, 200), slice(0, 200)
    found = audits(edges, np.zeros(200, dtype=bool), told, 0.5, parts, draws=50)
    size = next(each for each in found if each.by == "size")
    assert size.ratio == 0
    assert size.verdict == "unclear"


def test_wallets_are_grouped_by_what_was_known_then():
    edges = Edges.of([0, 0, 1, 0], [1, 2, 2, 1], [0, 90_000, 90_000, 700_000], [1, 1, 50, 1])
    assert by_age(edges)["first day"].tolist() == [True, False, False, False]
    assert by_age(edges)["first week"].tolist() == [False, True, True, False]
    assert by_size(edges)["large"].tolist() == [False, False, True, True]


def test_who_deals_with_fifty_is_a_service_either_way():
    many = list(range(2, 52))
    pays, gets = [0] * 50 + many, many + [1] * 50
    edges = Edges.of(pays, gets, range(100), [1.0] * 100)
    assert service_names(edges) == {"0", "1"}
    assert service_names(edges.between(1, 100)) == {"1"}
