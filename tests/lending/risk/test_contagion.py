# SPDX-License-Identifier: Apache-2.0
"""Clearing and fire sales: a textbook's network, and what must hold of every one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.lending.risk.book import UNSCORED, Book, Terms
from koinon.lending.risk.contagion import System, clear
from koinon.lending.risk.ecosystem import Ecosystem, Holder, Pool, compare, failures, spread


def network(cash, liabilities, outside=None, holdings=None, depth=np.inf) -> System:
    count = len(cash)
    return System(
        [f"bank {at}" for at in range(count)],
        ["asset"],
        np.array(cash, dtype=np.float64),
        np.array(holdings or [0] * count, dtype=np.float64).reshape(count, 1),
        np.array(liabilities, dtype=np.float64),
        np.array(outside or [0] * count, dtype=np.float64),
        np.array([1.0]),
        np.array([depth], dtype=np.float64),
    )


def test_a_chain_of_debts_clears():
    """A owes B 100 and has 60; B owes C 80 and has 10: A pays 60, B 70, C keeps it."""
    found = clear(network([60, 10, 0], [[0, 100, 0], [0, 0, 80], [0, 0, 0]]))
    assert found.paid.tolist() == pytest.approx([60, 70, 0])
    assert found.failed.tolist() == [True, True, False]
    assert found.equity.tolist() == pytest.approx([0, 0, 70])
    assert found.unpaid == pytest.approx(50)


def test_of_several_fits_the_greatest_is_taken():
    """Two who owe each other 10 and nothing else: both pay, though nobody paying would fit as well."""
    found = clear(network([0, 0], [[0, 10], [10, 0]]))
    assert found.paid.tolist() == [10, 10]
    assert not found.failed.any()


def test_selling_lowers_the_price_that_others_hold_at():
    calm = network([0, 0], np.zeros((2, 2)), outside=[50, 80], holdings=[100, 100])
    assert not clear(calm).failed.any()
    thin = replace(calm, depth=np.array([500.0]))
    found = clear(thin)
    assert found.prices[0] < 1
    assert found.sold[0] > 130
    assert found.failed.tolist() == [False, True]


amounts = st.floats(0, 100, allow_subnormal=False)


@settings(max_examples=30)
@given(st.integers(2, 5), st.data())
def test_clearing_pays_what_there_is_and_no_more(count, data):
    """Nobody pays more than he owes or has; who pays less than he owes has nothing left; money received is
    money paid; more cash never makes anybody pay less."""
    draw = st.lists(amounts, min_size=count, max_size=count)
    liabilities = np.array([data.draw(draw) for _ in range(count)])
    np.fill_diagonal(liabilities, 0)
    system = network(
        data.draw(draw),
        liabilities,
        data.draw(draw),
        data.draw(draw),
        data.draw(st.sampled_from([50.0, np.inf])),
    )
    found = clear(system)
    owed = system.owed
    shares = np.divide(
        system.liabilities, owed[:, None], out=np.zeros_like(liabilities), where=owed[:, None] > 0
    )
    means = system.cash + shares.T @ found.paid + system.holdings @ found.prices
    assert (found.paid <= owed + 1e-9).all()
    assert (found.paid <= means + 1e-6).all()
    assert (found.equity[found.failed] <= 1e-6).all()
    assert (found.prices <= system.prices + 1e-12).all()
    richer = clear(replace(system, cash=system.cash + 10))
    assert (richer.paid >= found.paid - 1e-6).all()


def loans(*positions: tuple[float, float]) -> Book:
    collateral, debt = (np.array(part, dtype=np.float64) for part in zip(*positions, strict=True))
    return Book(collateral, debt, np.full(len(debt), 0.8), np.full(len(debt), UNSCORED))


def world(depth: float = 100.0) -> Ecosystem:
    """Two pools that share collateral, a vault in both, and somebody who holds the vault."""
    pools = [
        Pool("first pool", "ETH", loans((10, 15_500), (10, 15_500)), 1_000, {"vault": 31_500}),
        Pool("second pool", "ETH", loans((10, 13_000)), 500, {"vault": 13_400}),
    ]
    vault = Holder("vault", cash=200, owes={"saver": 44_400})
    return Ecosystem(pools, [vault, Holder("saver")], {"ETH": 2_000.0}, {"ETH": depth})


def test_a_fall_spreads_through_shared_collateral():
    calm, deep, thin = spread(world()), spread(world(1e9), {"ETH": 0.1}), spread(world(30), {"ETH": 0.1})
    assert (calm.failed, calm.unsound) == ([], 0)
    assert (deep.failed, deep.unsound) == ([], 2)
    assert thin.unsound == 3, "the first pool's sales make the second pool's loan unsound"
    assert {"first pool", "second pool", "vault"} <= set(thin.failed)
    assert thin.rounds > deep.rounds


def test_one_failure_is_followed_to_everybody():
    found = failures(world())
    first = next(each for each in found if each["name"] == "first pool")
    assert first["brings_down"] == ["vault"]
    assert first["unpaid"] >= 31_500
    saver = next(each for each in found if each["name"] == "saver")
    assert (saver["brings_down"], saver["unpaid"]) == ([], 0)
    assert found[0]["unpaid"] == max(each["unpaid"] for each in found)


def test_scores_that_lend_less_stop_it():
    tiers = (Terms(1.0, 0.5),)
    found = compare(world(200), tiers, {"ETH": 0.1})
    assert found["before"]["failed"]
    assert found["after"]["failed"] == []
    assert found["after"]["unpaid"] == 0


def test_who_fails_sells_what_he_held():
    eco = world(60)
    whale = Holder("whale", holdings={"ETH": 200.0})
    with_whale = replace(eco, holders=[*eco.holders, whale])
    assert spread(with_whale).unsound == 0
    assert spread(with_whale, failing="whale").unsound == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: network([-1], [[0]]),
        lambda: network([1], [[5]]),
        lambda: clear(network([1], [[0]])) and network([1], [[0]]).without("nobody"),
        lambda: replace(world(), holders=[]),
        lambda: replace(world(), prices={}),
        lambda: spread(world(), {"BTC": 0.5}),
    ],
)
def test_nonsense_is_refused(make):
    with pytest.raises(BadInput):
        make()
