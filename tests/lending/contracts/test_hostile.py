# SPDX-License-Identifier: Apache-2.0
"""Attacks on pools by tokens, lenders and scores, each named after what it tries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koinon.lending.credit_offer import CreditOffer, OfferDomain
from tests.bench_support import account, key, refused
from tests.lending.contracts.support import (
    COIN,
    DAY,
    ISSUERS,
    JUNIOR,
    SENIOR,
    TIERS,
    UNIT,
    balanced,
    open_bank,
)

BORROWER, ATTACKER, VICTIM = account("borrower"), account("attacker"), account("victim")
LENDER = account("senior")


@pytest.fixture(scope="module")
def standing():
    bank = open_bank()
    pool = bank.pool()
    for role, tranche, amount in (("senior", SENIOR, 800_000), ("junior", JUNIOR, 200_000)):
        lender = bank.fund(pool, role, 2 * amount * UNIT)
        pool.deposit(tranche, amount * UNIT, lender, sender=lender)
    borrower = bank.fund(pool, "borrower", 10**6 * UNIT, 1_000 * COIN)
    pool.supply_collateral(100 * COIN, borrower, sender=borrower)
    for role in ("attacker", "victim"):
        bank.fund(pool, role, 10**7 * UNIT, 1_000 * COIN)
    bank.wait(60)
    bank.score(borrower, 0)
    pool.borrow(100_000 * UNIT, borrower, sender=borrower)
    return bank, pool


@pytest.fixture
def bank(standing):
    with standing[0].bench.undone():
        yield standing[0]


@pytest.fixture
def pool(standing, bank):
    return standing[1]


# --- tokens ------------------------------------------------------------------------------------------------


def test_tokens_that_take_a_fee_are_refused_wherever_they_come_in(bank, pool):
    bank.loan_token.set_manners(1, False, False)
    bank.collateral_token.set_manners(1, False, False)
    bank.set_price(1_100)
    for call in (
        lambda: pool.deposit(SENIOR, UNIT, LENDER, sender=LENDER),
        lambda: pool.repay(UNIT, BORROWER, sender=BORROWER),
        lambda: pool.supply_collateral(COIN, BORROWER, sender=BORROWER),
        lambda: pool.liquidate(BORROWER, UNIT, 0, ATTACKER, sender=ATTACKER),
    ):
        with refused("token did not deliver exactly"):
            call()


def test_tokens_that_say_no_are_refused_and_tokens_that_say_nothing_are_not(bank, pool):
    bank.loan_token.set_manners(0, False, True)
    for call in (
        lambda: pool.deposit(SENIOR, UNIT, LENDER, sender=LENDER),
        lambda: pool.withdraw(SENIOR, UNIT, LENDER, sender=LENDER),
        lambda: pool.borrow(UNIT, BORROWER, sender=BORROWER),
        lambda: pool.repay(UNIT, BORROWER, sender=BORROWER),
    ):
        with refused("transfer refused"):
            call()
    bank.loan_token.set_manners(0, True, False)
    pool.deposit(SENIOR, UNIT, LENDER, sender=LENDER)
    pool.withdraw(SENIOR, UNIT, LENDER, sender=LENDER)
    pool.borrow(UNIT, BORROWER, sender=BORROWER)
    pool.repay(UNIT, BORROWER, sender=BORROWER)


def test_a_token_that_changes_balances_by_itself_changes_no_books(bank, pool):
    before = pool.books()
    held = bank.loan_token.balanceOf(pool.address)
    bank.loan_token.rebase(pool.address, 2 * held)
    assert pool.books() == before
    assert pool.liquidity() == held
    bank.loan_token.rebase(pool.address, 10 * UNIT)
    assert pool.books() == before
    with refused(""):
        pool.withdraw(SENIOR, 11 * UNIT, LENDER, sender=LENDER)
    pool.withdraw(SENIOR, 10 * UNIT, LENDER, sender=LENDER)


def calls_of(bank, pool, who: str) -> dict[str, bytes]:
    """Every function that changes something, as ``who`` could call it now."""
    spread = TIERS[-1].spread_bps
    offer = CreditOffer(pool.address, who, 100 * UNIT, 0, spread, len(TIERS) - 1, bank.now + DAY, 1)
    signed = OfferDomain(bank.bench.chain_id, pool.address).sign(key(ISSUERS[0]), offer)
    calls = {
        "deposit": (SENIOR, UNIT, who),
        "withdraw": (SENIOR, UNIT, who),
        "redeem": (SENIOR, 10**6 * UNIT, who),
        "announce_exit": (1,),
        "supply_collateral": (1, who),
        "withdraw_collateral": (1, who),
        "borrow": (100 * UNIT, who),
        "borrow_with_offer": (offer.values(), *signed, who),
        "cancel_offer": (offer.values(),),
        "refinance": (),
        "repay": (UNIT, who),
        "mark": (BORROWER,),
        "liquidate": (BORROWER, 10_000 * UNIT, 0, who),
        "pay_fee": (),
    }
    return {name: pool.encode(name, *arguments) for name, arguments in calls.items()}


@pytest.fixture
def token_that_lends_and_borrows(bank, pool):
    """The loan token itself has shares, collateral and a loan, so that what it calls would work."""
    token = bank.loan_token
    for each in (bank.loan_token, bank.collateral_token):
        each.mint(token.address, 10**24)
        token.act(each.address, each.encode("approve", pool.address, 2**255))
    for tranche in (SENIOR, JUNIOR):
        token.act(pool.address, pool.encode("deposit", tranche, 1_000 * UNIT, token.address))
    token.act(pool.address, pool.encode("supply_collateral", 100 * COIN, token.address))
    bank.wait(60)
    token.act(pool.address, pool.encode("borrow", 1_000 * UNIT, token.address))
    bank.wait(DAY)
    return token.address


def test_a_callback_enters_nothing_again(bank, pool, token_that_lends_and_borrows):
    """Every function, in the middle of a transfer: each works before it and after it, none within."""
    token = token_that_lends_and_borrows
    assert set(calls_of(bank, pool, token)) == {
        function.name for function in pool.placed.artifact.functions.values() if function.mutates
    }
    for name, call in calls_of(bank, pool, token).items():
        with bank.bench.undone():
            if name == "liquidate":
                bank.set_price(1_100)
            with bank.bench.undone():
                bank.loan_token.act(pool.address, call)
            bank.loan_token.set_hook(pool.address, call)
            pool.deposit(SENIOR, UNIT, LENDER, sender=LENDER)
            assert not bank.loan_token.hook_worked(), name


def test_a_collateral_tokens_callback_enters_nothing_again(bank, pool):
    bank.set_price(1_100)
    bank.wait(DAY)
    call = pool.encode("pay_fee")
    with bank.bench.undone():
        bank.collateral_token.act(pool.address, call)
    bank.collateral_token.set_hook(pool.address, call)
    pool.liquidate(BORROWER, UNIT, 0, ATTACKER, sender=ATTACKER)
    assert not bank.collateral_token.hook_worked()


def test_a_reader_in_the_middle_of_a_transfer_is_told_nothing(bank, pool):
    """Read-only re-entrancy: whoever prices shares or debts by a pool never sees half an action."""
    for name, arguments in (
        ("books", ()),
        ("position_of", (BORROWER,)),
        ("assets_of", (SENIOR, LENDER)),
        ("max_withdraw", (SENIOR, LENDER)),
        ("shares_of", (SENIOR, LENDER)),
        ("total_shares", (SENIOR,)),
        ("liquidity", ()),
        ("base_rate", ()),
        ("is_sound", (BORROWER,)),
        ("tier_of", (BORROWER,)),
    ):
        bank.loan_token.set_hook(pool.address, pool.encode(name, *arguments))
        pool.withdraw(SENIOR, UNIT, LENDER, sender=LENDER)
        assert not bank.loan_token.hook_worked(), name


# --- shares ------------------------------------------------------------------------------------------------


def test_a_donation_moves_no_share_price(bank, pool):
    before = pool.books(), pool.assets_of(SENIOR, LENDER)
    bank.loan_token.mint(pool.address, 10**9 * UNIT)
    assert (pool.books(), pool.assets_of(SENIOR, LENDER)) == before
    assert pool.liquidity() == 900_000 * UNIT


def test_the_first_lender_cannot_make_shares_too_dear_for_the_second(bank):
    """The inflation attack: one wei of shares, a donation, and the victim's deposit rounds to nothing."""
    for tranche in (SENIOR, JUNIOR):
        pool = bank.pool(salt=bytes([tranche + 1]) * 32, junior_notice_s=0)
        for role in ("attacker", "victim"):
            bank.loan_token.approve(pool.address, 2**200, sender=account(role))
        start = bank.loan_token.balanceOf(ATTACKER)
        pool.deposit(tranche, 1, ATTACKER, sender=ATTACKER)
        bank.loan_token.mint(pool.address, 10**6 * UNIT)
        pool.deposit(tranche, UNIT, VICTIM, sender=VICTIM)
        assert pool.assets_of(tranche, VICTIM) >= UNIT - 1
        pool.redeem(tranche, pool.shares_of(tranche, ATTACKER), ATTACKER, sender=ATTACKER)
        assert bank.loan_token.balanceOf(ATTACKER) <= start


def test_round_trips_gain_nothing_however_small(bank, pool):
    bank.wait(17 * DAY)
    pool.mark(BORROWER)
    for amount in (1, 2, 3, 999, 1_000_001, 12_345_678_901):
        before = bank.loan_token.balanceOf(ATTACKER)
        shares = pool.deposit(SENIOR, amount, ATTACKER, sender=ATTACKER)
        worth = pool.assets_of(SENIOR, ATTACKER)
        assert worth <= amount
        if worth:
            pool.redeem(SENIOR, shares, ATTACKER, sender=ATTACKER)
        assert bank.loan_token.balanceOf(ATTACKER) <= before
        with bank.bench.undone():
            pool.deposit(SENIOR, amount + 2, ATTACKER, sender=ATTACKER)
            shares = pool.shares_of(SENIOR, ATTACKER)
            if pool.assets_of(SENIOR, ATTACKER):
                taken = pool.assets_of(SENIOR, ATTACKER)
                assert pool.withdraw(SENIOR, taken, ATTACKER, sender=ATTACKER) <= shares


def test_one_wei_of_shares_takes_nothing(bank, pool):
    bank.wait(DAY)
    pool.deposit(SENIOR, 1, ATTACKER, sender=ATTACKER)
    with refused("amount too small"):
        pool.redeem(SENIOR, 1, ATTACKER, sender=ATTACKER)
    held = pool.shares_of(SENIOR, ATTACKER)
    with refused("more than there is"):
        pool.withdraw(SENIOR, 2, ATTACKER, sender=ATTACKER)
    assert pool.shares_of(SENIOR, ATTACKER) == held


def test_borrowing_and_repaying_at_once_gains_nothing(bank, pool):
    bank.wait(3 * DAY)
    pool.supply_collateral(100 * COIN, ATTACKER, sender=ATTACKER)
    bank.score(ATTACKER, 2)
    for amount in (100 * UNIT, 100 * UNIT + 1, 12_345_678_901):
        before = bank.loan_token.balanceOf(ATTACKER)
        pool.borrow(amount, ATTACKER, sender=ATTACKER)
        pool.repay(2**255, ATTACKER, sender=ATTACKER)
        assert bank.loan_token.balanceOf(ATTACKER) in (before, before - 1)


def test_junior_capital_cannot_flee_a_loss_that_is_already_seen(bank, pool):
    """Between a crash and the liquidation a junior lender has no way out without notice."""
    bank.set_price(500)
    junior = account("junior")
    with refused("announce the exit first"):
        pool.withdraw(JUNIOR, UNIT, junior, sender=junior)
    pool.announce_exit(pool.shares_of(JUNIOR, junior), sender=junior)
    pool.liquidate(BORROWER, 2**200, 0, ATTACKER, sender=ATTACKER)
    assert pool.assets_of(JUNIOR, junior) < 155_000 * UNIT


# --- scores ------------------------------------------------------------------------------------------------


def test_a_better_score_of_the_past_cannot_be_replayed(bank, pool):
    good = bank.score(ATTACKER, 0)
    bank.wait(1)
    bank.score(ATTACKER, 2)
    with refused("not newer than what stands"):
        bank.attestations.attest(good.values(), bank.signed(good, ISSUERS[:2]))
    assert pool.tier_of(ATTACKER) == 2


def test_a_minority_of_issuers_scores_nobody(bank, pool):
    good = bank.score(VICTIM, 0)
    forged = type(good)(good.schema, ATTACKER, 0, bank.now, bank.now + DAY, work_id=bank.work_id, nonce=9)
    for roles, reason in ((ISSUERS[:1], "too few signatures"), ((ISSUERS[0], "attacker"), None)):
        signed = sorted(bank.signed(forged, tuple(roles)), key=lambda each: int(each[0], 16))
        with refused(reason or "not an issuer"):
            bank.attestations.attest(forged.values(), signed)
    assert pool.tier_of(ATTACKER) == len(TIERS) - 1


def test_a_revoked_score_lends_nothing(bank, pool):
    pool.supply_collateral(10 * COIN, ATTACKER, sender=ATTACKER)
    bank.revoke(bank.score(ATTACKER, 0))
    with refused("score revoked"):
        pool.borrow(1_000 * UNIT, ATTACKER, sender=ATTACKER)


def test_another_models_score_lends_nothing(bank, pool):
    pool.supply_collateral(10 * COIN, ATTACKER, sender=ATTACKER)
    bank.score(ATTACKER, 0, work_id=bank.work_id + 1)
    with refused("score of another model"):
        pool.borrow(1_000 * UNIT, ATTACKER, sender=ATTACKER)


def test_many_fresh_wallets_get_the_worst_terms_each(bank, pool):
    """Whitewashing: each new wallet pays the worst spread, at the worst LLTV, under the worst cap."""
    for number in range(3):
        wallet = bank.fund(pool, f"fresh wallet {number}", 0, 100 * COIN)
        pool.supply_collateral(100 * COIN, wallet, sender=wallet)
        with refused("above the tier's cap"):
            pool.borrow(TIERS[-1].cap + 1, wallet, sender=wallet)
        pool.borrow(TIERS[-1].cap, wallet, sender=wallet)
        assert pool.position_of(wallet)[3] == len(TIERS) - 1
    assert key("attacker").address == ATTACKER


def giant(bank, **changes):
    """A pool that lends everything to one borrower, 2**90 of it."""
    tier = replace(TIERS[-1], cap=2**96 - 1, **changes.pop("tier", {}))
    options = {"coverage_bps": 1, "borrower_cap_bps": 10_000, "junior_notice_s": 0, **changes}
    pool = bank.pool((tier,), **options)
    bank.loan_token.mint(ATTACKER, 2**100)
    bank.collateral_token.mint(BORROWER, 2**100)
    bank.loan_token.approve(pool.address, 2**255, sender=ATTACKER)
    bank.collateral_token.approve(pool.address, 2**255, sender=BORROWER)
    pool.deposit(JUNIOR, 2**90, ATTACKER, sender=ATTACKER)
    bank.set_price(2_000 * 10**9)
    pool.supply_collateral(2**95, BORROWER, sender=BORROWER)
    bank.wait(1)
    pool.borrow(2**90, BORROWER, sender=BORROWER)
    return pool


def test_a_loss_that_leaves_a_crumb_closes_no_tranche(bank):
    """Shares that are worth next to nothing would ask for more shares than there are numbers."""
    pool = giant(bank, fee_bps=0)
    bank.feed.set_answers(1, 1)
    pool.liquidate(BORROWER, 2**200, 0, ATTACKER, sender=ATTACKER)
    left = pool.books()[JUNIOR]
    assert 0 < left < 2**40
    assert pool.shares_of(JUNIOR, ATTACKER) == pool.total_shares(JUNIOR) == 0
    with refused("amount too large"):
        pool.deposit(JUNIOR, 2**96 - left, ATTACKER, sender=ATTACKER)
    pool.deposit(JUNIOR, 2**80, ATTACKER, sender=ATTACKER)
    worth = pool.assets_of(JUNIOR, ATTACKER)
    assert 2**80 - left <= worth <= 2**80
    pool.redeem(JUNIOR, pool.shares_of(JUNIOR, ATTACKER), ATTACKER, sender=ATTACKER)


def test_a_tranche_that_kept_a_millionth_goes_on(bank):
    """Above the crumb nobody loses a share, and whoever lends next pays its price."""
    pool = giant(bank, fee_bps=0)
    bank.set_price(2_000 * 10**3)
    pool.liquidate(BORROWER, 2**200, 0, ATTACKER, sender=ATTACKER)
    left = pool.books()[JUNIOR]
    assert 2**90 // 10**6 < left < 2**90
    assert pool.total_shares(JUNIOR) == 2**90 * 10**6
    pool.deposit(JUNIOR, 2**95, VICTIM, sender=ATTACKER)
    assert pool.books()[JUNIOR] == left + 2**95
    pool.redeem(JUNIOR, pool.shares_of(JUNIOR, ATTACKER), ATTACKER, sender=ATTACKER)
    balanced(bank, pool)


def test_interest_that_no_book_holds_stops_a_pool_and_overflows_nothing(bank):
    """Twenty times the debt a year, for years: the books refuse to go on rather than forget a digit."""
    rates = dict.fromkeys(("base_rate_bps", "kink_rate_bps", "full_rate_bps"), 100_000)
    pool = giant(bank, **rates, tier={"spread_bps": 100_000})
    with refused("books overflow"):
        for _ in range(40):
            bank.wait(30 * DAY)
            pool.mark(BORROWER)
            senior, junior, fees, debt, _ = pool.books()
            assert senior + junior + fees == debt
    assert fees == 2**88 - 1
    assert debt > 2**103
