# SPDX-License-Identifier: Apache-2.0
"""Many hands at one vault in any order, held to a16z's properties and Yearn's invariants as sentences.

Sources: a16z/erc4626-tests; yearn/yearn-vaults-v3 foundry_tests/utils/BaseInvariant.sol.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from koinon.errors import TransactionFailed
from tests.bench_support import account, refused, wait
from tests.treasury.contracts.support import DAY, DOLLAR, NONE, VIRTUAL, Options, Scene

HOLDERS = ("saver", "lender", "attacker")
AMOUNTS = st.integers(1, 10) | st.integers(1, 10**6 * DOLLAR)
PARTS = st.integers(1, 1_000)


class Vaults(RuleBasedStateMachine):
    """Holders come and go, the pool earns and loses, the token's price moves, the allocator allocates."""

    @initialize(
        fee_bps=st.sampled_from((0, 1_000, 2_000)),
        spread_bps=st.sampled_from((0, 30)),
        unlock_s=st.sampled_from((0, 7 * DAY)),
    )
    def begin(self, fee_bps, spread_bps, unlock_s):
        self.scene = Scene(
            Options(
                fee_bps=fee_bps, spread_bps=spread_bps, unlock_s=unlock_s, reserves=10**9, drawdown_bps=5_000
            )
        )
        self.vault, self.asset = self.scene.vault, self.scene.asset
        self.people = {role: account(role) for role in HOLDERS}
        for person in self.people.values():
            self.asset.approve(self.vault, 2**256 - 1, sender=person)
        self.priced = True
        self.lied = False

    def worth(self, share_count=10**18):
        """A share's price, as a fraction: what is held for all, and all."""
        return self.vault.totalAssets() + 1, self.vault.totalSupply() + VIRTUAL

    def holds(self, person):
        return int(self.vault.balanceOf(person))

    def leave(self, name, *arguments, sender):
        """What leaving for the asset returns; None where a pool that lied has not what it says."""
        try:
            return getattr(self.vault, name)(*arguments, sender=sender)
        except TransactionFailed as refusal:
            reason = refusal.reason
        assert reason == "not liquid: redeem in kind"
        assert self.lied
        return None

    # ------------------------------------------------------------ holders

    @rule(role=st.sampled_from(HOLDERS), assets=AMOUNTS, by_shares=st.booleans())
    def somebody_comes(self, role, assets, by_shares):
        person = self.people[role]
        self.vault.settle()
        if not self.priced:
            assert self.vault.maxDeposit(person) == 0
            return
        shares = self.vault.previewDeposit(assets)
        if shares == 0:
            return
        before, price = self.worth(), self.vault.previewMint(10**15)
        self.asset.mint(person, 2 * assets)
        if self.vault.maxDeposit(person) == 0:  # a pool says it has gained more than is believed yet
            with refused("not all that it says is believed"):
                self.vault.deposit(assets, person, sender=person)
            return
        if by_shares:
            cost = self.vault.previewMint(shares)
            assert cost <= assets  # what a deposit would give costs no more than the deposit
            assert self.vault.mint(shares, person, sender=person) == cost
        else:
            assert self.vault.deposit(assets, person, sender=person) == shares
        after = self.worth()
        assert after[0] * before[1] >= before[0] * after[1]  # nobody's share lost by it
        # nor what it is worth when all is unlocked, up to the fee on a unit
        assert self.vault.previewMint(10**15) >= price - price // 10**9 - 2

    @rule(role=st.sampled_from(HOLDERS), part=PARTS, by_shares=st.booleans())
    def somebody_leaves_for_the_asset(self, role, part, by_shares):
        person = self.people[role]
        self.vault.settle()
        if not self.priced:
            assert self.vault.maxWithdraw(person) == 0
            return
        before = self.worth()
        held = self.asset.balanceOf(person)
        if by_shares:
            shares = self.vault.maxRedeem(person) * part // 1_000
            if shares == 0:
                return
            expected = self.vault.previewRedeem(shares)
            paid = self.leave("redeem", shares, person, person, sender=person)
            if paid is None:
                return
            assert paid == expected
            assert self.asset.balanceOf(person) == held + expected
        else:
            assets = self.vault.maxWithdraw(person) * part // 1_000
            if assets == 0:
                return
            expected = self.vault.previewWithdraw(assets)
            taken = self.leave("withdraw", assets, person, person, sender=person)
            if taken is None:
                return
            assert taken == expected
            assert self.asset.balanceOf(person) == held + assets
        after = self.worth()
        # A pool that rounds against who withdraws may cost a unit.
        assert (after[0] + 2) * before[1] >= before[0] * after[1]

    @rule(role=st.sampled_from(HOLDERS), part=PARTS)
    def somebody_leaves_in_kind_whatever_the_feed_says(self, role, part):
        person = self.people[role]
        shares = self.holds(person) * part // 1_000
        if shares == 0:
            return
        self.vault.settle()
        before = self.worth()
        self.vault.redeem_in_kind(shares, person, person, 0, NONE, sender=person)
        after = self.worth()
        assert (after[0] + 3) * before[1] >= before[0] * after[1]

    # ------------------------------------------------------------ the world

    @rule(hours=st.integers(1, 24 * 9))
    def time_goes_by(self, hours):
        wait(self.scene.bench, hours * 3_600)
        if self.priced:
            self.scene.feed.say(self.scene.feed.answer())
        self.priced = self.priced_now()

    @rule(dollars=st.integers(1_200, 3_000))
    def the_market_moves(self, dollars):
        self.scene.price(dollars)
        self.priced = True

    @rule()
    def the_feed_goes_stale(self):
        self.scene.feed.say_since(self.scene.feed.answer(), 1)
        self.priced = self.priced_now()

    @rule(amount=AMOUNTS)
    def the_pool_earns(self, amount):
        if self.vault.held(1):
            self.scene.earn(amount)

    @rule(part=st.integers(1, 300))
    def the_pool_loses(self, part):
        self.scene.pool.lose(self.scene.pool.totalAssets() * part // 1_000)

    @rule()
    def the_pool_lies(self):
        """It says it has earned what it has not: so much of it counts this week, and no more."""
        if not self.vault.held(1):
            return
        self.vault.settle()
        self.lied = True
        self.scene.pool.earn(10**20)
        counted = self.vault.values()[2][1]
        self.scene.pool.earn(10**20)
        self.vault.settle()
        assert self.vault.values()[2][1] == counted

    @rule(bps=st.integers(9_000, 10_000))
    def the_guardian_marks_down(self, bps):
        if not self.vault.held(1):
            with refused("no shares to mark"):
                self.vault.mark_down(1, bps, sender=self.scene.guardian)
            return
        self.vault.settle()
        before = self.vault.values()[2][1]
        self.vault.mark_down(1, bps, sender=self.scene.guardian)
        assert before * bps // 10_000 >= self.vault.values()[2][1] >= before * bps // 10_000 - 2

    @rule(amount=AMOUNTS)
    def somebody_donates(self, amount):
        self.asset.mint(self.vault, amount)

    @rule(token_bps=st.integers(0, 8_000), pool_bps=st.integers(0, 9_000))
    def the_allocator_allocates(self, token_bps, pool_bps):
        self.vault.settle()
        if not self.priced or self.vault.tripped() or self.vault.stopped():
            return
        before = self.vault.values()
        if before[1] + sum(before[2]) < DOLLAR:
            return
        reason = ""
        try:
            self.scene.rebalance(token_bps, min(pool_bps, 10_000 - token_bps))
        except TransactionFailed as refusal:
            reason = refusal.reason
        if reason:
            # The pair's fee and size are beyond its slippage; the turnover is used up; it is there already;
            # the feed of a token to be bought is stale.
            allowed = {"slippage", "too much turnover", "nothing to move", "no valid price"}
            assert reason in allowed or self.lied
            return
        if self.vault.tripped():
            return
        _, idle, values, _ = self.vault.values()
        gross = idle + sum(values)
        assert gross >= (before[1] + sum(before[2])) * 98 // 100 - 4  # twice the whole, at 1 %
        assert values[0] * 10_000 <= gross * 8_200

    def priced_now(self):
        return bool(self.vault.values()[0])

    # ------------------------------------------------------------ what always holds

    @invariant()
    def what_shares_are_worth_is_what_is_held_less_what_is_locked(self):
        if not hasattr(self, "vault"):
            return
        valid, idle, values, locked = self.vault.values()
        assert idle == self.asset.balanceOf(self.vault)
        if valid:
            assert self.vault.totalAssets() == idle + sum(values) - locked

    @invariant()
    def all_shares_are_somebodys(self):
        if hasattr(self, "vault"):
            everyone = [*self.people.values(), self.scene.till]
            assert sum(map(self.holds, everyone)) == self.vault.totalSupply()

    @invariant()
    def what_all_may_take_is_at_most_what_is_there(self):
        if not hasattr(self, "vault"):
            return
        total = self.vault.totalAssets()
        assets, shares = self.worth()
        a_share = -(-assets // shares)  # both are whole shares' worth; gifts can make one dear
        everyone = [*self.people.values(), self.scene.till]
        assert sum(self.vault.convertToAssets(self.holds(each)) for each in everyone) <= total
        for each in everyone:
            most = self.vault.maxWithdraw(each)
            assert most <= total
            kept = 10_000 - self.scene.options.spread_bps
            paid = self.vault.convertToAssets(self.vault.maxRedeem(each)) * kept // 10_000
            assert paid <= most + 3 + a_share
            assert paid >= most - 3 - a_share

    @invariant()
    def previews_never_promise_too_much(self):
        if not hasattr(self, "vault"):
            return
        vault = self.vault
        for assets in (1, 999_999_937):
            assert (
                vault.previewMint(vault.previewDeposit(assets))
                <= assets
                <= vault.previewMint(vault.previewDeposit(assets) + 1)
            )
            assert vault.previewRedeem(vault.previewDeposit(assets)) <= assets
            assert vault.previewRedeem(vault.previewWithdraw(assets)) >= assets
            assert vault.convertToAssets(vault.convertToShares(assets)) <= assets
            assert vault.previewWithdraw(assets) >= vault.convertToShares(assets)

    @invariant()
    def a_round_trip_earns_nothing(self):
        if not hasattr(self, "vault") or not self.priced_now():
            return
        visitor = account("visitor")
        for assets in (7, 123_456_789):
            with self.scene.bench.undone():
                self.asset.mint(visitor, assets)
                self.asset.approve(self.vault, assets, sender=visitor)
                if self.vault.previewDeposit(assets) == 0 or self.vault.maxDeposit(visitor) == 0:
                    continue
                shares = self.vault.deposit(assets, visitor, sender=visitor)
                assert (self.leave("redeem", shares, visitor, visitor, sender=visitor) or 0) <= assets

    @invariant()
    def with_time_everything_is_unlocked(self):
        if not hasattr(self, "vault"):
            return
        with self.scene.bench.undone():
            self.scene.wait(0)  # a gain is noticed when there are prices
            self.vault.settle()
            # What a pool says beyond what is believed yet counts later, and is locked then.
            believed = self.vault.maxDeposit(self.scene.till) > 0
            self.scene.wait(8 * DAY)
            if self.priced_now() and believed:
                assert self.vault.values()[3] == 0

    @invariant()
    def everyone_can_leave_in_kind_at_any_time(self):
        if not hasattr(self, "vault"):
            return
        with self.scene.bench.undone():
            self.scene.feed.misbehave(1)
            for person in self.people.values():
                if self.holds(person):
                    self.vault.redeem_in_kind(self.holds(person), person, person, 0, NONE, sender=person)
            with refused("erc20: burn amount exceeds balance"):
                self.vault.redeem_in_kind(1, person, person, 0, NONE, sender=person)


def test_a_vault_keeps_its_promises():
    run_state_machine_as_test(
        Vaults,
        settings=settings(
            max_examples=8,
            stateful_step_count=20,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
