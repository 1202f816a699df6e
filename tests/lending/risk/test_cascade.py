# SPDX-License-Identifier: Apache-2.0
"""Liquidations in a falling market: small cases by hand, and the fast way against the plain one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.lending.risk.book import UNSCORED, Book, Terms, Venue
from koinon.lending.risk.cascade import run_path, shock, shocks

DEEP = Venue(base=1e9, quote=2e12, fee=0.0)


def book(*loans: tuple[float, float, float]) -> Book:
    collateral, debt, lltv = (np.array(part, dtype=np.float64) for part in zip(*loans, strict=True))
    return Book(collateral, debt, lltv, np.full(len(debt), UNSCORED))


def test_nothing_happens_while_loans_are_sound():
    found = shock(book((10, 10_000, 0.8)), DEEP, 0.3)
    assert (found.liquidated, found.bad_debt, found.insolvent, found.count) == (0, 0, 0, 0)


def test_an_unsound_loan_is_repaid_and_its_liquidator_paid():
    found = shock(book((10, 10_000, 0.8)), DEEP, 0.4)
    assert found.liquidated == pytest.approx(10_000)
    assert found.seized == pytest.approx(10_000 * 1.05 / 1_200)
    assert found.profit == pytest.approx(500, rel=1e-3)
    assert (found.count, found.bad_debt, found.net_insolvent) == (1, 0, 0)


def test_where_collateral_is_too_little_the_rest_is_bad_debt():
    found = shock(book((10, 10_000, 0.8)), DEEP, 0.6)
    assert found.liquidated == pytest.approx(8_000 / 1.05, rel=1e-6)
    assert found.bad_debt == pytest.approx(10_000 - 8_000 / 1.05, rel=1e-6)
    assert found.insolvent == 0


def test_nobody_liquidates_at_a_loss():
    dear = replace(DEEP, gas=600)
    found = shock(book((10, 10_000, 0.8)), dear, 0.6)
    assert (found.count, found.liquidated) == (0, 0)
    assert found.insolvent == pytest.approx(2_000), "and the insolvency shows"


def test_sales_push_the_price_and_make_the_next_loan_unsound():
    thin = Venue(base=400, quote=800_000, fee=0.0, max_bonus=0.3, min_bonus=0.3)
    loans = book((50, 66_000, 0.7), (50, 55_000, 0.7))
    alone = shock(book((50, 55_000, 0.7)), thin, 0.1)
    both = shock(loans, thin, 0.1)
    assert alone.count == 0
    assert both.count == 2
    assert both.lowest < 0.9 * 2_000


def test_a_late_oracle_leaves_liquidators_waiting_and_the_pool_insolvent():
    fast = Venue(base=1e6, quote=2e9, fee=0.0)
    slow = replace(fast, oracle_delay_steps=3)
    loans = book((10, 15_000, 0.8))
    fall = np.log([0.9, 0.9, 0.9, 0.9])
    assert run_path(loans, fast, fall).count == 1
    late = run_path(loans, slow, fall)
    assert late.count == 0
    assert late.insolvent == pytest.approx(15_000 - 10 * 2_000 * 0.9**4)


def test_the_auction_raises_the_bonus_until_somebody_comes():
    venue = Venue(base=1e6, quote=2e9, fee=0.0, gas=800, min_bonus=0.0, max_bonus=0.2, auction_steps=4)
    found = shock(book((10, 10_000, 0.8)), venue, 0.4)
    assert found.count == 1
    assert found.steps >= 3, "at 5 % the gas is not paid yet, at 10 % it is"
    assert found.seized == pytest.approx(10_000 * 1.10 / 1_200, rel=1e-3)


def test_part_of_a_loan_is_sold_where_that_is_enough():
    half = replace(DEEP, close_factor=0.5)
    found = shock(book((10, 10_000, 0.8)), half, 0.39)
    assert found.count == 1
    assert found.liquidated == pytest.approx(5_000)


def test_recovery_brings_the_price_back():
    thin = Venue(base=100, quote=200_000, fee=0.0, min_bonus=0.5, max_bonus=0.5)
    loans = book((20, 20_000, 0.55))
    hurt, healed = (shock(loans, replace(thin, recovery=each), 0.1) for each in (0.0, 1.0))
    assert hurt.price < 0.9 * 2_000
    assert healed.price == pytest.approx(0.9 * 2_000)


def plain(loans: Book, venue: Venue, returns: np.ndarray) -> tuple[float, float, float, int]:
    """The same rules, one loan at a time."""
    collateral, debt = loans.collateral.tolist(), loans.debt.tolist()
    order = sorted(range(len(debt)), key=lambda at: -debt[at] / (collateral[at] * loans.lltv[at]))
    since: dict[int, int] = {}
    price = outside = venue.price
    prices = [price] * (venue.oracle_delay_steps + 1)
    liquidated = bad = 0.0
    count = 0
    for step, change in enumerate(np.exp(returns).tolist()):
        price, outside = price * change, outside * change
        prices.append(price)
        oracle = prices[-1 - venue.oracle_delay_steps]
        sold = 0.0
        base, quote = math.sqrt(venue.constant / price), math.sqrt(venue.constant * price)
        stopped = False
        for at in order:
            if debt[at] <= 1e-12 or debt[at] <= collateral[at] * oracle * loans.lltv[at]:
                since.pop(at, None)
                continue
            passed = min(step - since.setdefault(at, step), venue.auction_steps) / venue.auction_steps
            beyond = collateral[at] * oracle / debt[at] - 1
            least = math.floor(min(max(beyond, 0.0), venue.min_bonus) * 10_000 + 1e-12)
            most = venue.max_bonus * 10_000
            bonus = math.floor(least + (most - least) * passed + 1e-12) / 10_000
            paid = debt[at] * venue.close_factor
            if debt[at] - paid < venue.min_debt or collateral[at] * oracle < debt[at] * (1 + bonus):
                paid = debt[at]
            seized = paid * (1 + bonus) / oracle
            if seized >= collateral[at]:
                seized = collateral[at]
                paid = min(paid, seized * oracle / (1 + bonus))
            if stopped or seized * price * (1 - venue.fee) <= paid + venue.gas:
                continue
            got = [
                quote * each / (base + each)
                for each in ((sold + seized) * (1 - venue.fee), sold * (1 - venue.fee))
            ]
            if got[0] - got[1] - paid - venue.gas < 0:
                stopped = True
                continue
            sold, liquidated, count = sold + seized, liquidated + paid, count + 1
            collateral[at], debt[at] = collateral[at] - seized, debt[at] - paid
            if collateral[at] <= 1e-12 * seized:
                bad, debt[at], collateral[at] = bad + max(debt[at], 0.0), 0.0, 0.0
        price = venue.constant / (base + sold * (1 - venue.fee)) ** 2
        prices[-1] = price
        price = price ** (1 - venue.recovery) * outside**venue.recovery
        order.sort(key=lambda at: order_limit(loans, at))
    return liquidated, bad, price, count


def order_limit(loans: Book, at: int) -> float:
    """The order in which loans would first become unsound; it stays, as in the fast way."""
    return float(-loans.debt[at] / (loans.collateral[at] * loans.lltv[at]))


loan = st.tuples(st.floats(0.5, 20), st.floats(0.3, 0.99), st.sampled_from([0.6, 0.7, 0.8]))
venues = st.builds(
    Venue,
    base=st.sampled_from([50.0, 500.0, 5_000.0]),
    quote=st.just(200_000.0),
    fee=st.sampled_from([0.0, 0.003]),
    min_bonus=st.sampled_from([0.0, 0.05]),
    max_bonus=st.sampled_from([0.05, 0.15]),
    auction_steps=st.integers(1, 3),
    close_factor=st.sampled_from([0.5, 1.0]),
    min_debt=st.sampled_from([0.0, 100.0]),
    gas=st.sampled_from([0.0, 20.0]),
    oracle_delay_steps=st.integers(0, 2),
    recovery=st.sampled_from([0.0, 0.5, 1.0]),
)


paths = st.lists(st.floats(-0.4, 0.15), min_size=1, max_size=8)


@settings(max_examples=50)
@given(
    st.lists(loan, min_size=1, max_size=12), venues, st.lists(st.floats(-0.4, 0.15), min_size=1, max_size=8)
)
def test_the_fast_way_is_the_plain_way(loans, venue, returns):
    given_book = book(*((amount, amount * venue.price * lltv * part, lltv) for amount, part, lltv in loans))
    path = np.array(returns)
    found = run_path(given_book, venue, path)
    liquidated, bad, price, count = plain(given_book, venue, path)
    assert found.count == count
    assert found.liquidated == pytest.approx(liquidated, rel=1e-9, abs=1e-6)
    assert found.bad_debt == pytest.approx(bad, rel=1e-9, abs=1e-6)
    assert found.price == pytest.approx(price, rel=1e-9)


@settings(max_examples=30)
@given(st.lists(loan, min_size=1, max_size=30), venues, st.floats(0.0, 0.8))
def test_debt_is_repaid_given_up_or_still_owed(loans, venue, fall):
    given_book = book(*((amount, amount * venue.price * lltv * part, lltv) for amount, part, lltv in loans))
    found = shock(given_book, venue, fall)
    total = given_book.debt.sum()
    assert found.liquidated + found.bad_debt + found.insolvent <= total * (1 + 1e-9)
    assert found.seized <= given_book.collateral.sum() * (1 + 1e-9)
    assert found.profit >= -1e-6
    assert found.lowest <= venue.price


def test_shocks_are_each_on_its_own():
    loans = book((10, 10_000, 0.8), (10, 15_000, 0.8))
    falls = np.array([0.1, 0.4, 0.6])
    assert shocks(loans, DEEP, falls) == [shock(loans, DEEP, float(fall)) for fall in falls]


def test_scores_lend_less_to_the_worse():
    loans = replace(
        book((10, 16_000, 0.9), (10, 16_000, 0.9), (10, 16_000, 0.9)), pd=np.array([0.01, 0.2, UNSCORED])
    )
    tiers = (Terms(0.02, 0.85), Terms(0.1, 0.8), Terms(1.0, 0.5, cap=6_000))
    scored = loans.scored(tiers)
    assert scored.lltv.tolist() == [0.85, 0.5, 0.5]
    assert scored.debt.tolist() == pytest.approx([16_000 * 0.85 / 0.9, 6_000, 6_000])
    assert shock(scored, DEEP, 0.4).net_insolvent <= shock(loans, DEEP, 0.4).net_insolvent
    with pytest.raises(BadInput):
        loans.scored(())


@pytest.mark.parametrize(
    "make",
    [
        lambda: book((1, -1, 0.5)),
        lambda: book((1, 1, 0)),
        lambda: Book.of([{"collateral": 1, "debt": "much", "lltv": 0.5}]),
        lambda: Book.of([{"collateral": 1}]),
        lambda: Venue(0, 1),
        lambda: Venue(1, 1, close_factor=0),
        lambda: run_path(book((1, 1, 0.5)), DEEP, np.array([np.nan])),
    ],
)
def test_nonsense_is_refused(make):
    with pytest.raises(BadInput):
        make()


def test_a_book_comes_back_from_its_rows():
    rows = [{"collateral": 1.5, "debt": 2.0, "lltv": 0.8, "pd": 0.1, "account": "a"}]
    assert Book.of(rows).rows() == rows
