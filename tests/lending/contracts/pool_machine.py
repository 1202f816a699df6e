# SPDX-License-Identifier: Apache-2.0
"""What may happen to a pool: lenders, borrowers, bundles, scores, offers, prices, time and liquidators."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from koinon.errors import TransactionFailed
from koinon.lending.bundles import JoinDomain
from koinon.lending.credit_offer import CreditOffer, OfferDomain
from tests.bench_support import account, key, refused
from tests.lending.contracts.support import COIN, DAY, ISSUERS, JUNIOR, SENIOR, TIERS, UNIT, open_bank

LENDERS = ("lender one", "lender two", "lender three")
BORROWERS = ("borrower one", "borrower two", "borrower three", "borrower four")
AMOUNTS = st.integers(1, 10**4) | st.integers(1, 10**12)
REFUSALS = {
    "above the borrower's cap",
    "below the offer's ratio",
    "better than the tier",
    "above the tier's cap",
    "amount out of range",
    "amount too small",
    "announce the exit first",
    "below the least debt",
    "junior must cover the debt",
    "leaves dust",
    "more than announced",
    "more than there is",
    "no loan",
    "not enough cash",
    "nothing to repay",
    "score expired",
    "score revoked",
    "the loan is sound",
    "too little collateral",
}
"""Why a pool may refuse what happens here; any other answer, and any overflow, is a fault."""


class Happenings(RuleBasedStateMachine):
    """One pool. Everyone has money enough; what they try may be refused, for a reason that is known."""

    coverage_bps = 2_000
    lent = (10**12, 5 * 10**11)
    coin_decimals = 18
    behind = 100 * COIN
    """Collateral of each first loan, in smallest units of ``coin_decimals``."""

    def __init__(self) -> None:
        super().__init__()
        self.bank = open_bank(self.coin_decimals)
        self.coin = 10**self.coin_decimals
        self.offers = 0
        tiers = tuple(replace(tier, cap=10**13) for tier in TIERS)
        self.pool = self.bank.pool(
            tiers,
            coverage_bps=self.coverage_bps,
            borrower_cap_bps=10_000,
            junior_notice_s=DAY,
            min_debt=1_000,
        )
        self.people = {role: account(role) for role in (*LENDERS, *BORROWERS, "liquidator")}
        for role in self.people:
            self.bank.fund(self.pool, role, 10**18, 10**27)
        self.start = self.coins()
        self.price = 2_000.0
        self.donated = 0
        self.prices = self.share_prices()
        for tranche in (SENIOR, JUNIOR):
            who = self.people[LENDERS[tranche]]
            self.pool.deposit(tranche, self.lent[tranche], who, sender=who)
        self.bank.wait(60)
        for tier, role in enumerate(BORROWERS[:3]):
            who = self.people[role]
            self.bank.score(who, tier)
            self.pool.supply_collateral(self.behind, who, sender=who)
            most = self.behind * 2_000 * UNIT // self.coin * TIERS[tier].lltv_bps // 10_000
            self.pool.borrow(most * 9 // 10, who, sender=who)

    # What is measured

    def coins(self) -> int:
        token = self.bank.loan_token
        till = self.bank.works.till_of(self.bank.work_id)
        holders = (*self.people.values(), self.pool.address, till)
        return sum(token.balanceOf(holder) for holder in holders)

    def share_prices(self) -> dict[int, tuple[int, int]]:
        """Assets and shares, each with what nobody owns."""
        senior, junior, *_ = self.pool.books()
        return {
            SENIOR: (senior + 1, self.pool.total_shares(SENIOR) + 10**6),
            JUNIOR: (junior + 1, self.pool.total_shares(JUNIOR) + 10**6),
        }

    def tried(self, act) -> bool:
        """Whether it worked; a refusal must be one that is known."""
        try:
            act()
        except TransactionFailed as refusal:
            if refusal.reason in REFUSALS:
                return False
            raise
        return True

    # What happens

    @rule(role=st.sampled_from(LENDERS), tranche=st.sampled_from((SENIOR, JUNIOR)), amount=AMOUNTS)
    def lend(self, role, tranche, amount):
        who = self.people[role]
        before = self.bank.loan_token.balanceOf(who), self.pool.assets_of(tranche, who)
        if self.tried(lambda: self.pool.deposit(tranche, amount, who, sender=who)):
            assert self.bank.loan_token.balanceOf(who) == before[0] - amount
            assert self.pool.assets_of(tranche, who) <= before[1] + amount

    @rule(
        role=st.sampled_from(LENDERS),
        tranche=st.sampled_from((SENIOR, SENIOR, JUNIOR)),
        part=st.integers(1, 100),
        by_shares=st.booleans(),
    )
    def leave(self, role, tranche, part, by_shares):
        who = self.people[role]
        worth = self.pool.assets_of(tranche, who)
        before = self.bank.loan_token.balanceOf(who)
        if by_shares:
            shares = self.pool.shares_of(tranche, who) * part // 100
            self.tried(lambda: self.pool.redeem(tranche, shares, who, sender=who))
        else:
            self.tried(lambda: self.pool.withdraw(tranche, worth * part // 100, who, sender=who))
        gained = self.bank.loan_token.balanceOf(who) - before
        assert gained <= worth
        assert self.pool.assets_of(tranche, who) <= worth - gained

    @rule(role=st.sampled_from(LENDERS), tranche=st.sampled_from((SENIOR, JUNIOR)))
    def take_all_that_may_be_taken(self, role, tranche):
        """`max_withdraw` says what works, and one unit more does not."""
        who = self.people[role]
        most = self.pool.max_withdraw(tranche, who)
        assert not self.tried(lambda: self.pool.withdraw(tranche, most + 1, who, sender=who))
        if most:
            assert self.tried(lambda: self.pool.withdraw(tranche, most, who, sender=who))

    @rule(role=st.sampled_from(LENDERS))
    def announce(self, role):
        who = self.people[role]
        self.pool.announce_exit(self.pool.shares_of(JUNIOR, who), sender=who)

    @rule(role=st.sampled_from(BORROWERS), tier=st.integers(0, 4), days=st.sampled_from((1, 400, 400)))
    def score(self, role, tier, days):
        self.bank.wait(1)
        made = self.bank.score(self.people[role], tier, lasts_s=days * DAY)
        if tier == 4:
            self.bank.revoke(made)

    @rule(
        role=st.sampled_from(BORROWERS),
        amount=st.sampled_from((1_000, 10**6, 10**10, 10**11)) | st.integers(1_000, 3 * 10**11),
        share=st.sampled_from((0, 40, 60, 80, 90)),
    )
    def borrow(self, role, amount, share):
        """``share``: the loan as a part of the collateral put behind it, in %; 0 puts none."""
        who = self.people[role]
        if share:
            self.put_behind(who, amount, share)
        before = self.bank.loan_token.balanceOf(who)
        if self.tried(lambda: self.pool.borrow(amount, who, sender=who)):
            assert self.bank.loan_token.balanceOf(who) == before + amount
            self.well_lent(who)

    @rule(
        role=st.sampled_from(BORROWERS),
        amount=st.sampled_from((1_000, 10**6, 10**10)),
        share=st.sampled_from((0, 40, 80)),
        worse=st.integers(0, 2),
        issuer=st.integers(0, 2),
    )
    def take_an_offer(self, role, amount, share, worse, issuer):
        """Executed as signed, and once, whoever else signs the same."""
        who = self.people[role]
        if not self.tried(lambda: self.pool.tier_of(who)):
            return
        tier = min(self.pool.tier_of(who) + worse, len(TIERS) - 1)
        if share:
            self.put_behind(who, amount, share)
        self.offers += 1
        ends = self.bank.now + DAY
        spread = TIERS[tier].spread_bps
        offer = CreditOffer(self.pool.address, who, amount, 11_000, spread, tier, ends, self.offers)
        domain = OfferDomain(self.bank.bench.chain_id, self.pool.address)
        before = self.bank.loan_token.balanceOf(who)

        def take(number):
            signed = domain.sign(key(ISSUERS[number]), offer)
            self.pool.borrow_with_offer(offer.values(), *signed, who, sender=who)

        if self.tried(lambda: take(issuer)):
            assert self.bank.loan_token.balanceOf(who) == before + amount
            self.well_lent(who, tier)
            for number in range(3):
                with refused("offer already used"):
                    take(number)

    def put_behind(self, who, amount, share):
        collateral = int(amount * 100 * self.coin / (share * self.price * UNIT)) + 1
        self.pool.supply_collateral(collateral, who, sender=who)

    def well_lent(self, who, tier=None):
        """After borrowing: sound, covered, within the cap of the tier that the score gives, in no auction."""
        assert self.pool.is_sound(who)
        _, junior, _, debt, _ = self.pool.books()
        assert junior * 10_000 >= debt * self.coverage_bps
        position = self.pool.position_of(who)
        assert position[3] == (self.pool.tier_of(who) if tier is None else tier)
        assert position[5] == 0
        wallets, _ = self.bank.bundles.history_of(who)
        assert sum(self.pool.position_of(each)[1] for each in wallets) <= 10**13

    @rule(first=st.sampled_from(BORROWERS), second=st.sampled_from(BORROWERS))
    def join_a_bundle(self, first, second):
        """Whoever is free joins whoever founded a bundle or is free too."""
        bundles, (bundle, wallet) = self.bank.bundles, (self.people[first], self.people[second])
        wallets = list(bundles.wallets_of(bundle))
        if first == second or int(bundles.bundle_of(wallet), 16):
            return
        if not wallets and int(bundles.bundle_of(bundle), 16):
            return
        roles = {address: role for role, address in self.people.items()}
        stay = [each for each in wallets or [bundle] if not bundles.has_left(each)]
        if not stay:
            return
        domain = JoinDomain(self.bank.bench.chain_id, bundles.address)
        values = (bundle, wallet, max(len(wallets), 1), self.bank.now)
        signed = [domain.sign(key(roles[each]), *values) for each in stay]
        bundles.join(bundle, wallet, self.bank.now, domain.sign(key(second), *values), signed)

    @rule(role=st.sampled_from(BORROWERS))
    def leave_a_bundle(self, role):
        bundles, who = self.bank.bundles, self.people[role]
        if int(bundles.bundle_of(who), 16) and not bundles.has_left(who):
            bundles.leave(sender=who)

    @rule(role=st.sampled_from(BORROWERS))
    def mark(self, role):
        who = self.people[role]
        assert self.pool.mark(who) == (not self.pool.is_sound(who))

    @rule(role=st.sampled_from(BORROWERS))
    def refinance(self, role):
        who = self.people[role]
        before = self.pool.position_of(who)[1]
        if self.tried(lambda: self.pool.refinance(sender=who)):
            assert before <= self.pool.position_of(who)[1] <= before + 1

    @rule(role=st.sampled_from(BORROWERS), part=st.integers(1, 120))
    def repay(self, role, part):
        who, payer = self.people[role], self.people["liquidator"]
        debt = self.pool.position_of(who)[1]
        before = self.bank.loan_token.balanceOf(payer)
        self.tried(lambda: self.pool.repay(debt * part // 100, who, sender=payer))
        paid = before - self.bank.loan_token.balanceOf(payer)
        assert paid <= debt
        assert self.pool.position_of(who)[1] in (debt - paid, debt - paid + 1)

    @rule(role=st.sampled_from(BORROWERS), part=st.integers(1, 100))
    def take_collateral(self, role, part):
        who = self.people[role]
        amount = self.pool.position_of(who)[0] * part // 100
        if self.tried(lambda: self.pool.withdraw_collateral(amount, who, sender=who)):
            assert self.pool.is_sound(who)

    @rule(whole=st.sampled_from((1_500.0, 1_700.0, 1_900.0, 2_000.0, 2_100.0, 4_000.0)))
    def price_moves(self, whole):
        self.price = whole
        self.bank.set_price(whole)

    @rule(seconds=st.sampled_from((1, 60, 3_600, DAY, 30 * DAY)))
    def time_passes(self, seconds):
        self.bank.wait(seconds)

    @rule(role=st.sampled_from(BORROWERS), whole=st.sampled_from((100.0, 900.0, 1_300.0, 1_700.0)))
    def a_loan_is_sold_in_a_crash_that_passes(self, role, whole):
        before = self.price
        self.price_moves(whole)
        self.liquidate(role, 100, marked=True)
        self.price_moves(before)

    @rule(role=st.sampled_from(BORROWERS), part=st.integers(1, 100), marked=st.booleans())
    def liquidate(self, role, part, marked):
        who, by = self.people[role], self.people["liquidator"]
        if marked:
            self.pool.mark(who)
        sound = self.pool.is_sound(who)
        collateral, debt, *_ = self.pool.position_of(who)
        senior, junior, fees, *_ = self.pool.books()
        before = len(self.pool.events("Defaulted"))
        worked = self.tried(lambda: self.pool.liquidate(who, max(1, debt * part // 100), 0, by, sender=by))
        assert not (worked and sound)
        lost = self.pool.events("Defaulted")[before:]
        for event in lost:
            loss = event["bad_debt"]
            assert event["from_junior"] == min(junior, loss)
            assert event["from_senior"] == min(senior, loss - event["from_junior"])
            assert event["from_fees"] == loss - event["from_junior"] - event["from_senior"]
            assert self.pool.books()[:3] == (
                senior - event["from_senior"],
                junior - event["from_junior"],
                fees - event["from_fees"],
            )
            assert self.pool.position_of(who)[:3] == (0, 0, 0)
            for wallet in self.bank.bundles.history_of(who)[0]:
                if self.tried(lambda: self.pool.tier_of(wallet)):  # noqa: B023 (asked at once)
                    assert self.pool.tier_of(wallet) == len(TIERS) - 1
            self.prices = self.share_prices()
        assert collateral >= self.pool.position_of(who)[0]

    @rule(role=st.sampled_from(BORROWERS))
    def an_unsound_loan_can_always_be_sold_whole(self, role):
        """Nothing that a borrower or an earlier liquidator did stands in the way."""
        who, by = self.people[role], self.people["liquidator"]
        if self.pool.is_sound(who):
            return
        with self.bank.bench.undone():
            for _ in range(40):
                self.pool.liquidate(who, 2**200, 0, by, sender=by)
                if self.pool.is_sound(who):
                    break
            assert self.pool.is_sound(who)

    @rule(amount=AMOUNTS)
    def someone_donates(self, amount):
        before = self.pool.books()
        self.bank.loan_token.mint(self.pool.address, amount)
        self.donated += amount
        assert self.pool.books() == before

    @rule()
    def the_model_is_paid(self):
        self.pool.pay_fee()
