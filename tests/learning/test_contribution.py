# SPDX-License-Identifier: Apache-2.0
"""Pay follows what the data were worth: Shapley's axioms, exact division, and nothing for noise."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.learning import simulation
from koinon.learning.aggregation import Update
from koinon.learning.contribution import (
    CONTRIBUTIONS,
    half_l1,
    shapley,
    subset_values,
    to_shares,
)
from koinon.learning.datasets import load_credit
from koinon.learning.recipe import WHOLE, credit_recipe
from koinon.learning.splits import split_credit
from tests.learning.support import recipe, table

GAMES = st.integers(1, 4).flatmap(
    lambda players: st.lists(st.floats(-1, 1), min_size=2**players, max_size=2**players).map(np.array)
)


@settings(max_examples=50, deadline=None)
@given(GAMES)
def test_shapley_is_the_mean_marginal_gain_over_all_orders(values):
    players = values.shape[0].bit_length() - 1
    expected = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        subset = 0
        for player in order:
            expected[player] += values[subset | 1 << player] - values[subset]
            subset |= 1 << player
    found = shapley(values, players)
    assert np.allclose(found, expected / len(orders))
    assert found.sum() == pytest.approx(values[-1] - values[0])


@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=8),
    st.integers(8, WHOLE),
)
def test_shares_add_up_to_the_pool_and_nobody_is_negative(values, pool):
    shares = to_shares(np.array(values), range(len(values)), pool)
    assert sum(shares.values()) == pool
    assert min(shares.values()) >= 1
    order = sorted(shares, key=lambda index: values[index])
    assert all(shares[a] <= shares[b] + 1 for a, b in pairwise(order))


def test_only_participants_are_paid_and_equal_worthlessness_is_shared_equally():
    assert to_shares(np.array([0.5, 9.0, 0.5]), [0, 2], 100) == {0: 50, 2: 50}
    assert to_shares(np.array([-1.0, -2.0]), [0, 1], 100) == {0: 50, 1: 50}
    for values, members, pool in (([1.0], [], 10), ([1.0, 1.0], [0, 1], 1), ([np.nan], [0], 10)):
        with pytest.raises(BadInput):
            to_shares(np.array(values), members, pool)


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 100)), min_size=1, max_size=8),
    st.integers(800, WHOLE),
)
def test_promised_shares_are_kept_and_the_rest_stays_in_proportion(owners, pool):
    values = np.array([value for value, _ in owners])
    minimums = {index: least for index, (_, least) in enumerate(owners)}
    shares = to_shares(values, range(len(owners)), pool, minimums)
    assert sum(shares.values()) == pool
    assert all(shares[index] >= max(1, least) for index, least in minimums.items())
    plain = to_shares(values, range(len(owners)), pool)
    if all(plain[index] >= least for index, least in minimums.items()):
        assert shares == plain


def test_promises_beyond_the_pool_are_refused():
    with pytest.raises(BadInput):
        to_shares(np.array([1.0, 1.0]), [0, 1], 100, {0: 60, 1: 60})


def test_more_than_ten_owners_are_refused():
    with pytest.raises(BadInput, match="at most 10"):
        subset_values(range(11), lambda _: 0.0, 0.0)


def test_distance_of_shares():
    assert half_l1([1, 1], [2, 2]) == 0
    assert half_l1([1, 0], [0, 1]) == 1


@pytest.mark.parametrize("rule", sorted(CONTRIBUTIONS))
def test_an_owner_who_sat_out_a_round_is_valued_by_the_others(rule):
    found = recipe(contribution=rule)
    tables = [table(80, seed) for seed in range(3)]
    trained = simulation.train_together(found, tables)
    first = trained.rounds[0]
    without = dict(first.updates)
    absent = without.pop(2)
    assert isinstance(absent, Update)
    rounds = (type(first)(first.base, without), *trained.rounds[1:])
    changed = simulation.Trained(trained.vector, rounds, trained.scaling)
    values = simulation.contributions(found, changed, 4, table(200, 9))
    assert values.shape == (4,)
    assert values[3] == 0
    assert np.isfinite(values).all()


@pytest.fixture(scope="module")
def lenders():
    return split_credit(load_credit(), 1)


def test_on_real_data_together_beats_alone(lenders):
    found = credit_recipe()
    trained = simulation.train_together(found, lenders.owners)
    measured = simulation.utility_on(found, lenders.held_out, trained.scaling)
    alone = [
        measured(simulation.train_alone(found, owner, index, trained.scaling))
        for index, owner in enumerate(lenders.owners)
    ]
    together = measured(trained.vector)
    assert together - np.mean(alone) >= 0.02
    assert together >= max(alone)
    shares = to_shares(simulation.contributions(found, trained, 5, lenders.contribution), range(5), WHOLE)
    assert min(shares.values()) > 0.02 * WHOLE


@pytest.mark.parametrize("noisy", range(5))
def test_an_owner_of_random_labels_earns_under_two_per_cent(lenders, noisy):
    found = credit_recipe(rounds=6)
    owners = list(lenders.owners)
    owners[noisy] = simulation.with_random_labels(owners[noisy], 4)
    trained = simulation.train_together(found, owners)
    values = simulation.contributions(found, trained, 5, lenders.contribution)
    assert to_shares(values, range(5), WHOLE)[noisy] < 0.02 * WHOLE
