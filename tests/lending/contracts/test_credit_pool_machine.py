# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to a pool, in any order, a few sentences hold."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from tests.lending.contracts.pool_machine import BORROWERS, Happenings
from tests.lending.contracts.support import JUNIOR, SENIOR


class Pools(Happenings):
    """What always holds."""

    @invariant()
    def cash_and_debt_are_what_the_tranches_and_the_model_have_to_the_unit(self):
        senior, junior, fees, debt, debts = self.pool.books()
        cash = self.bank.loan_token.balanceOf(self.pool.address) - self.donated
        assert cash + debt == senior + junior + fees
        assert sum(debts) == debt
        assert cash >= 0
        assert self.pool.liquidity() == cash

    @invariant()
    def no_coin_is_made_or_lost(self):
        assert self.coins() == self.start + self.donated

    @invariant()
    def the_shares_of_all_lenders_are_the_tranches_shares(self):
        for tranche in (SENIOR, JUNIOR):
            held = sum(self.pool.shares_of(tranche, who) for who in self.people.values())
            assert held == self.pool.total_shares(tranche)
            worth = sum(self.pool.assets_of(tranche, who) for who in self.people.values())
            assert worth <= self.pool.books()[tranche]

    @invariant()
    def lenders_who_leave_take_nothing_of_losses_that_were_seen(self):
        seen = {event["borrower"]: event["loss"] for event in self.pool.events("LossSeen")}
        for borrower, loss in seen.items():
            _, debt, _, _, _, auction_from = self.pool.position_of(borrower)
            assert loss <= debt
            assert auction_from or not loss
        senior, junior, *_ = self.pool.books()
        loss = sum(seen.values())
        left = {SENIOR: senior - min(senior, max(0, loss - junior)), JUNIOR: junior - min(junior, loss)}
        for tranche, assets in left.items():
            assert sum(self.pool.assets_of(tranche, who) for who in self.people.values()) <= assets

    @invariant()
    def all_debts_are_the_pools_debt_and_none_is_hidden(self):
        positions = [self.pool.position_of(self.people[role]) for role in BORROWERS]
        total = self.pool.books()[3]
        assert total <= sum(position[1] for position in positions) <= total + len(BORROWERS)

    @invariant()
    def without_collateral_there_is_no_debt(self):
        for role in BORROWERS:
            collateral, debt, shares, *_ = self.pool.position_of(self.people[role])
            assert collateral or not (debt or shares)
            assert debt == 0 or debt >= 1_000

    @invariant()
    def share_prices_fall_by_losses_only(self):
        prices = self.share_prices()
        for tranche, (assets, shares) in prices.items():
            before_assets, before_shares = self.prices[tranche]
            assert assets * before_shares >= before_assets * shares
        self.prices = prices

    @invariant()
    def collateral_is_all_there(self):
        held = sum(self.pool.position_of(self.people[role])[0] for role in BORROWERS)
        assert self.bank.collateral_token.balanceOf(self.pool.address) == held


class PoolsWithLittleCover(Pools):
    """Hardly any junior capital is asked for: the senior tranche, and the model's part, can be lost too."""

    coverage_bps = 1
    lent = (6 * 10**11, 10**10)


class SmallPools(Pools):
    """Tokens of six decimals and a few of their smallest units: roundings are as large as they get."""

    lent = (2 * 10**7, 10**7)
    coin_decimals = 6
    behind = 2_000


def rules(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def test_any_order_of_events_keeps_a_pool_whole():
    run_state_machine_as_test(Pools, settings=rules(12))


def test_any_order_of_events_keeps_a_small_pool_whole():
    run_state_machine_as_test(SmallPools, settings=rules(10))


def test_any_order_of_events_keeps_a_pool_with_little_cover_whole():
    run_state_machine_as_test(PoolsWithLittleCover, settings=rules(8))
