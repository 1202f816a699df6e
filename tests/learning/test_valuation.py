# SPDX-License-Identifier: Apache-2.0
"""Above ten owners values are sampled with honest doubt; copies share one portion; income adds up exactly."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.learning import simulation
from koinon.learning.aggregation import Update, WeightedMean, rule_named
from koinon.learning.contribution import (
    CONTRIBUTIONS,
    Discounted,
    Equal,
    History,
    Round,
    Sampling,
    Shapley,
    ShapleyOfRounds,
    Valuation,
    discounted,
    duplicates,
    likenesses,
    sampled,
    shapley,
    split_income,
    subset_values,
)
from tests.learning.support import recipe, table


def majority(members):
    """Worth 1 once it has seven votes; player 0 has three of them."""
    return float(sum(3 if member == 0 else 1 for member in members) >= 7)


def diminishing(members):
    return float(np.sqrt(sum(member + 1 for member in members)))


@pytest.mark.parametrize("game", [majority, diminishing])
def test_sampled_values_agree_with_exact_ones_within_their_intervals(game):
    exact = shapley(subset_values(range(10), game, 0.0), 10)
    inside = []
    for seed in range(5):
        found = sampled(range(10), game, 0.0, np.random.default_rng(seed))
        inside.extend(np.abs(found.values - exact) <= found.spread + 0.01 * exact.sum())
        assert found.evaluations <= 1_023
        assert np.corrcoef(found.values, exact)[0, 1] > 0.95 or game is majority
    assert np.mean(inside) > 0.9


def test_the_same_seed_draws_the_same_orders_and_no_subset_is_valued_twice():
    asked = []

    def game(members):
        asked.append(tuple(members))
        return diminishing(members)

    found = sampled(range(14), game, 0.0, np.random.default_rng(7), Sampling(evaluations=300))
    assert len(asked) == len(set(asked)) == found.evaluations
    again = sampled(range(14), diminishing, 0.0, np.random.default_rng(7), Sampling(evaluations=300))
    assert np.array_equal(found.values, again.values)
    assert np.array_equal(found.spread, again.spread)


def test_an_order_ends_once_it_is_worth_the_whole():
    def enough(members):
        return float(len(members) >= 2)

    found = sampled(range(40), enough, 0.0, np.random.default_rng(1))
    assert found.evaluations <= 40 * 39 // 2 + 41
    assert np.allclose(found.values.sum(), 1)


def history(changes, *, rows=10, rounds=1, utility=None, seed=1):
    """Each round the same changes, or those of ``changes[round]`` where there are several rounds."""
    each = changes if rounds > 1 else [changes]
    base = np.zeros(len(each[0][0]), np.float32)
    played = [
        Round(base, {index: Update(np.array(change, np.float32), rows) for index, change in enumerate(one)})
        for one in each
    ]
    return History(
        played, len(each[0]), WeightedMean(), utility or (lambda vector: float(vector[0])), 0.0, seed
    )


def test_twelve_owners_are_sampled_and_ten_are_not():
    changes = np.random.default_rng(1).uniform(0, 1, (12, 4))
    twelve = ShapleyOfRounds().valuation(history(changes))
    assert twelve.method == "sampled"
    assert twelve.evaluations > 100
    assert all(
        low < value < high for low, value, high in zip(twelve.low, twelve.values, twelve.high, strict=True)
    )
    ten = ShapleyOfRounds().valuation(history(changes[:10]))
    assert (ten.method, ten.evaluations, ten.low, ten.high) == ("exact", 1_023, ten.values, ten.values)
    both = CONTRIBUTIONS["shapley"].valuation(history(changes))
    assert both.method == "sampled"
    assert all(
        low <= value <= high for low, value, high in zip(both.low, both.values, both.high, strict=True)
    )
    assert both == CONTRIBUTIONS["shapley"].valuation(history(changes))


def test_values_by_rows_and_equal_values():
    updates = {index: Update(np.eye(3, dtype=np.float32)[index], rows) for index, rows in ((0, 30), (2, 10))}
    played = History([Round(np.zeros(3, np.float32), updates)], 3, WeightedMean(), lambda _: 0.0, 0.0)
    assert CONTRIBUTIONS["rows"].valuation(played).values == (0.75, 0.0, 0.25)
    assert CONTRIBUTIONS["equal"].valuation(played).values == (0.5, 0.0, 0.5)
    assert Equal().valuation(played).method == "equal"


def test_a_copied_set_shares_one_portion_with_its_original():
    tables = [table(120, seed) for seed in range(4)]
    found = recipe(rounds=8, contribution="shapley")
    trained = simulation.train_together(found, [*tables, tables[1]])
    assert duplicates(trained.rounds) == ((1, 4),)
    played = History(
        trained.rounds,
        5,
        rule_named(found.aggregation),
        simulation.utility_on(found, table(300, 9), trained.scaling),
        0.5,
    )
    valued = CONTRIBUTIONS["shapley"].valuation(played)
    assert valued.duplicates == ((1, 4),)
    assert valued.values[1] == valued.values[4]
    plain = Shapley().valuation(played)
    assert valued.values[1] + valued.values[4] == max(plain.values[1], plain.values[4])
    assert valued.values[0] == plain.values[0]


def test_copied_updates_with_a_little_noise_are_found_and_noise_alone_is_not():
    random = np.random.default_rng(2)
    own = random.normal(size=(4, 50))
    rounds = []
    for _ in range(6):
        honest = own + random.normal(0, 0.5, (4, 50))
        copy = honest[0] + random.normal(0, 0.3, 50)
        noise = random.normal(size=(2, 50))
        rounds.append([*honest, copy, *noise])
    assert duplicates(history(rounds, rounds=6).rounds) == ((0, 4),)


def test_one_round_tells_only_what_is_the_same():
    alike = [[1, 0.2, 0], [1, 0, 0.4], [1, 0.2, 0]]
    found = likenesses(history(alike).rounds)
    assert [pair for pair, likeness in found.items() if likeness.copied] == [(0, 2)]
    assert all(likeness.persistence is None for likeness in found.values())
    assert not any(one.copied for one in likenesses(history([[0, 0], [0, 0]]).rounds).values())


def test_copies_of_copies_are_one_group_and_negatives_stay():
    values = (4.0, 3.0, -1.0, -2.0, 5.0)
    found = discounted(Valuation(values, values, values), [(0, 1), (2, 3)])
    assert found.values == (2.0, 2.0, -1.0, -2.0, 5.0)
    assert found.duplicates == ((0, 1), (2, 3))
    same = np.ones((3, 5))
    assert duplicates(history([same, same], rounds=2).rounds) == ((0, 1, 2),)


def test_trees_are_not_compared():
    changes = np.eye(3)
    played = history(changes)
    trees = History(played.rounds, 3, rule_named("union"), played.utility, 0.0)
    assert Discounted(Equal()).valuation(trees).duplicates == ()


def test_honest_owners_are_not_taken_for_copies():
    wrong = 0
    for seed in range(4):
        tables = [table(120, 10 * seed + index) for index in range(5)]
        trained = simulation.train_together(recipe(rounds=8, seed=seed + 1), tables)
        wrong += sum(one.copied for one in likenesses(trained.rounds).values())
    assert wrong <= 1  # of 40 pairs


@given(
    st.dictionaries(st.integers(0, 15), st.floats(-1, 1), min_size=1, max_size=8),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**9), max_size=6),
    st.integers(1_000, 800_000_000),
    st.integers(0, 200_000_000),
)
def test_income_adds_up_exactly(values, work, owners_share, compute_share):
    found = split_income(owners_share, compute_share, values, work)
    assert found.total == owners_share + compute_share
    assert set(found.data) == set(values)
    worked = {account for account, done in work.items() if done}
    assert set(found.compute) == worked
    if worked:
        assert sum(found.data.values()) == owners_share
        for one, other in combinations(worked, 2):
            if work[one] > work[other]:
                assert found.compute[one] >= found.compute[other]
    assert found == split_income(owners_share, compute_share, values, dict(reversed(work.items())))


@pytest.mark.parametrize(
    ("arguments", "minimums"),
    [
        ((100, 10, {}, {"a": 1}), None),
        ((100, -1, {0: 1.0}, {}), None),
        ((100, 10, {0: 1.0}, {"a": -1}), None),
        ((100, 10, {0: float("nan")}, {}), None),
        ((100, 10, {0: 1.0, 1: 1.0}, {"a": 1}), {0: 60, 1: 60}),
    ],
)
def test_income_nobody_can_get_is_refused(arguments, minimums):
    with pytest.raises(BadInput):
        split_income(*arguments, minimums=minimums)
