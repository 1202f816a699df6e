# SPDX-License-Identifier: Apache-2.0
"""What a pool can pay out, what is asked of it, and a run of its largest holders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.markets.history.history import History
from koinon.markets.history.rows import EventRow
from koinon.markets.routing.pools import PairPool
from koinon.watch.liquidity.coverage import Held, coverage, liquid, resampled, spans
from koinon.watch.liquidity.flows import DAY_S, NOBODY, Flows, Holdings, flows, holdings
from koinon.watch.liquidity.runs import breaks_at, run, runs

VAULT = "0x" + "aa" * 20
MONEY = "0x" + "bb" * 20
OTHER = "0x" + "cc" * 20


def row(place, day, kind, account, amount, *, counterparty="", asset=MONEY, contract=VAULT):
    return EventRow(
        *(place, 0, 0, day * DAY_S + 60, "", "", kind, "erc4626", contract, contract),
        *(account, counterparty, asset, amount, "", 0, ""),
    )


def deposits_of_a_vault():
    return [
        row(1, 10, "vault_deposit", "depositor", 600),
        row(2, 10, "vault_deposit", "saver", 400),
        row(3, 12, "vault_withdraw", "saver", 100),
        row(4, 13, "vault_withdraw", "depositor", 450),
    ]


def test_days_without_events_are_days_too():
    found = flows(History.of(deposits_of_a_vault()), VAULT)
    assert (found.first_day, len(found)) == (10, 4)
    assert found.deposited.tolist() == [1000, 0, 0, 0]
    assert found.withdrawn.tolist() == [0, 0, 100, 450]
    assert found.balance.tolist() == [1000, 1000, 900, 450]
    assert found.rate.tolist() == [0, 0, pytest.approx(0.1), pytest.approx(0.5)]


def test_holdings_are_deposits_less_withdrawals_where_shares_say_nothing():
    found = holdings(History.of(deposits_of_a_vault()), VAULT)
    assert (list(found.names), list(found.amounts)) == (["saver", "depositor"], [300, 150])


def test_whoever_bought_shares_is_who_can_leave():
    rows = [
        row(1, 1, "transfer", NOBODY, 600, counterparty="depositor", asset=VAULT),
        row(2, 1, "transfer", NOBODY, 400, counterparty="saver", asset=VAULT),
        row(3, 2, "transfer", "depositor", 500, counterparty="buyer", asset=VAULT),
        row(4, 3, "transfer", "saver", 400, counterparty=NOBODY, asset=VAULT),
    ]
    found = holdings(History.of(rows), VAULT)
    assert (list(found.names), list(found.amounts)) == (["buyer", "depositor"], [500, 100])
    moved = flows(History.of(rows), VAULT)  # minted and burnt shares are what came and left
    assert moved.deposited.tolist() == [1000, 0, 0]
    assert moved.withdrawn.tolist() == [0, 0, 400]


def test_a_pool_of_supplied_money_is_read_alike():
    rows = [row(1, 1, "supply", "lender", 50), row(2, 2, "withdraw", "lender", 20)]
    assert flows(History.of(rows), VAULT).balance.tolist() == [50, 30]


def test_two_tokens_have_no_sum_and_nothing_is_no_pool():
    rows = [row(1, 1, "supply", "lender", 50), row(2, 2, "supply", "lender", 20, asset=OTHER)]
    for wrong in (
        lambda: flows(History.of(rows), VAULT),
        lambda: flows(History.of(rows), OTHER),
        lambda: holdings(History.of([row(1, 1, "vault_withdraw", "saver", 5)]), VAULT),
    ):
        with pytest.raises(BadInput) as refused:
            wrong()
        assert refused.value.code == "watch.flows"


def test_a_pair_pays_what_its_curve_says_at_two_percent():
    pool = PairPool("0x01", (OTHER, MONEY), (10**9, 2 * 10**9), fee_ppm=0)
    found = liquid(100, [Held(OTHER, 10**9), Held(MONEY, 7)], [pool], MONEY)
    sold, same = found.saleable
    # average price of selling dx is p R / (R + dx): 2 % less at dx = R (1 / 0.98 - 1)
    assert sold.sold == pytest.approx(1e9 * (1 / 0.98 - 1), rel=1e-3)
    assert sold.brings == pytest.approx(sold.sold * 2 * 0.98, rel=1e-3)
    assert same.brings == 7
    assert found.total == 100 + 7 + sold.brings
    # depth by the closed form of constant product: dx = R (1 / sqrt(1 - x) - 1)
    for fall, amount, _ in sold.curve:
        assert amount == pytest.approx(1e9 * ((1 - fall) ** -0.5 - 1), rel=1e-3)


def test_no_more_is_sold_than_is_held_and_what_nobody_buys_is_worth_nothing():
    pool = PairPool("0x01", (OTHER, MONEY), (10**9, 2 * 10**9))
    little, unknown = liquid(0, [Held(OTHER, 1000), Held(VAULT, 9)], [pool], MONEY).saleable
    assert little.sold == 1000
    assert little.brings == pytest.approx(2000 * 0.997, abs=3)
    assert (unknown.sold, unknown.brings) == (0, 0)


def constant(days, rate):
    balance = 1e6 * (1 - rate) ** np.arange(1, days + 1)
    before = np.concatenate([[1e6], balance[:-1]])
    return Flows(0, np.zeros(days), before * rate, balance)


def test_coverage_of_a_pool_that_loses_one_percent_a_day():
    found = coverage(constant(90, 0.01), 300_000, owed=1e6)
    taken = 1 - 0.99**30
    assert found.outflow_share == pytest.approx(taken)
    assert found.historical_share == pytest.approx(taken)
    assert found.ratio == pytest.approx(0.3 / taken)
    assert not found.red
    assert coverage(constant(90, 0.01), 260_000, owed=1e6).red  # thirty such days ask for 260,300
    assert coverage(constant(90, 0.0), 0).document()["ratio"] is None


def test_blocks_keep_bad_days_together():
    rate = np.zeros(300)
    rate[100:107] = 0.1
    blocks = resampled(rate, block=7, draws=4000, seed=1)
    days = resampled(rate, block=1, draws=4000, seed=1)
    assert np.quantile(blocks, 0.95) > 1.3 * np.quantile(days, 0.95)
    assert np.array_equal(blocks, resampled(rate, block=7, draws=4000, seed=1))
    assert spans(rate, 30).max() == pytest.approx(1 - 0.9**7)


def test_too_short_a_history_is_refused():
    with pytest.raises(BadInput) as refused:
        coverage(constant(59, 0.01), 1)
    assert refused.value.code == "watch.short"


def test_a_run_of_the_two_largest_by_hand():
    held = Holdings.of({"whale": 500, "fund": 300, "saver": 200})
    found = run(held, 2, 600)
    assert (found.wanted, found.paid, found.short) == (800, 600, 200)
    assert (found.liquid_left, found.claims_left, found.covered) == (0, 400, 0)
    assert run(held, 1, 600).covered == pytest.approx(100 / 500)
    assert breaks_at(held, 600) == 2
    assert breaks_at(held, 1000) is None
    assert [each.top for each in runs(held, 600)] == [1, 3]
    assert held.concentration == pytest.approx(0.25 + 0.09 + 0.04)
    with pytest.raises(BadInput):
        run(held, 0, 600)


@given(
    st.lists(st.integers(-5, 10**30), min_size=1, max_size=8),
    st.integers(0, 10**31),
    st.integers(1, 9),
)
def test_whoever_leaves_no_unit_is_lost(amounts, ready, top):
    held = Holdings.of({f"holder {number}": amount for number, amount in enumerate(amounts)})
    found = run(held, top, ready)
    assert found.paid + found.short == found.wanted
    assert found.paid + found.liquid_left == ready
    assert found.paid + found.claims_left == held.total
    assert min(found.paid, found.short, found.liquid_left, found.claims_left) >= 0
    broken = breaks_at(held, ready)
    if broken is not None:
        assert run(held, broken, ready).short > 0
        assert broken == 1 or run(held, broken - 1, ready).short == 0
