# SPDX-License-Identifier: Apache-2.0
"""The patterns as rules: each planted kind is found, each finding names its transfers, none sees ahead."""

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.watch.findings import Finding
from koinon.watch.graph import Edges
from koinon.watch.laundering.planted import plant
from koinon.watch.laundering.rules import TYPOLOGIES, Rules
from koinon.watch.laundering.table import Table
from koinon.watch.laundering.typologies import COLUMNS, look


@pytest.fixture(scope="module")
def planted():
    return plant(accounts=1_500, honest=6_000, patterns=40, days=20, seed=4)


@pytest.fixture(scope="module")
def findings(planted):
    return look(planted.edges).findings()


def key(edge):
    return (edge["source"], edge["target"], edge["timestamp"], edge["amount"])


def told(planted, pattern):
    return {key(edge) for edge in planted.edges.rows(np.flatnonzero(planted.pattern == pattern))}


@pytest.mark.parametrize("kind", TYPOLOGIES)
def test_every_planted_pattern_is_found_by_its_rule_with_all_its_transfers(planted, findings, kind):
    named = [{key(edge) for edge in each.edges} for each in findings if each.kind == kind]
    if kind == "pass_through":  # every account on the way is a finding of its own
        named = [set().union(*named)]
    wanted = [number for number, each in enumerate(planted.kinds) if each == kind]
    assert wanted
    missed = [number for number in wanted if not any(told(planted, number) <= each for each in named)]
    assert len(missed) <= (1 if kind == "pass_through" else 0)


def test_a_finding_is_the_same_when_it_is_found_again_and_says_why(findings, planted):
    again = look(planted.edges).findings()
    assert [each.digest for each in again] == [each.digest for each in findings]
    for each in findings:
        assert each.edges
        assert each.why.endswith(".")
        assert 0 <= each.strength <= 1
        assert each.start <= each.end
        assert Finding.from_document(each.document()) == each


def test_columns_never_see_a_later_transfer(planted):
    edges = planted.edges.between(0, 3_000)
    whole = look(edges).columns
    for end in (500, 1_777, 2_999):
        np.testing.assert_array_equal(look(edges.between(0, end)).columns, whole[:end])


def test_what_everybody_does_is_no_pattern():
    edges = Edges.of([0, 1, 2, 0], [1, 2, 3, 3], [1, 90_000, 200_000, 400_000], [5, 6, 7, 8])
    found = look(edges)
    assert found.findings() == []
    assert found.columns[:, COLUMNS.index("cycle")].tolist() == [0, 0, 0, 0]


def test_dust_from_many_sides_makes_nobody_a_fan(planted):
    victim = int(planted.edges.source[-1])
    strangers = np.arange(200) + planted.edges.accounts
    columns = (planted.edges.source, planted.edges.target, planted.edges.timestamp, planted.edges.amount)
    dust = (strangers, np.full(200, victim), np.full(200, planted.edges.timestamp[-100]), np.full(200, 0.001))
    source, target, moment, amount = (np.concatenate(each) for each in zip(columns, dust, strict=True))
    dusted = Edges.of(source, target, moment, amount)
    plain = Edges.of(*columns)
    assert [each.digest for each in look(dusted).findings()] == [
        each.digest for each in look(plain).findings()
    ]
    clean = dusted.amount >= 0.01
    np.testing.assert_array_equal(Table.of(dusted).features[clean], Table.of(plain).features)


def test_a_hub_is_nobodys_helper():
    payers = [0] * 5 + list(range(100, 160))
    edges = Edges.of([*payers, *[50] * 5], [*[50] * 65, *[7] * 5], range(70), [1] * 70)
    rules = Rules(busiest_middle=50, middles=2)
    assert not any(each.kind == "scatter_gather" for each in look(edges, rules).findings())


def test_a_step_of_a_peel_chain_is_known_once_both_parts_were_sent():
    edges = Edges.of([0, 1, 1, 2, 2, 3, 3], [1, 8, 2, 9, 3, 10, 4], range(7), [100, 5, 94, 5, 88, 5, 82])
    found = look(edges, Rules(peels=3, pass_amount=1e9))
    assert found.columns[:, COLUMNS.index("peel_chain")].tolist() == [0, 0, 1, 0, 2, 0, 3]
    (chain,) = [each for each in found.findings() if each.kind == "peel_chain"]
    assert len(chain.edges) == 7
    assert chain.accounts[0] == "0"


@pytest.mark.parametrize(
    "wrong",
    [
        {"longest_cycle": 7},
        {"fan": 1},
        {"peel_share": 0.6},
        {"window_s": 0},
        {"threshold": -1},
        {"dust": -1},
        {"below": 1},
    ],
)
def test_thresholds_that_cannot_be_are_refused(wrong):
    with pytest.raises(BadInput) as refused:
        Rules(**wrong)
    assert refused.value.code == "watch.rules"


def test_the_same_seed_plants_the_same_and_honest_ones_are_most(planted):
    again = plant(accounts=1_500, honest=6_000, patterns=40, days=20, seed=4)
    np.testing.assert_array_equal(again.edges.amount, planted.edges.amount)
    assert 0.01 < planted.illicit.mean() < 0.1
    assert planted.service.shape[0] == len(planted.edges.names)
    with pytest.raises(BadInput):
        plant(accounts=10)
