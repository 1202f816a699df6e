# SPDX-License-Identifier: Apache-2.0
"""Offers that an issuer of scores signs: executed as signed, once, and never beyond the tier."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koinon.errors import BadInput
from koinon.lending.credit_offer import CreditOffer, OfferDomain
from tests.bench_support import HALL_MOCKS, NOBODY, account, deploy, key, refused
from tests.lending.contracts.support import COIN, DAY, ISSUERS, JUNIOR, SENIOR, TIERS, UNIT, open_bank

BORROWER, STRANGER = account("borrower"), account("stranger")


@pytest.fixture(scope="module")
def standing():
    """A pool that lends by offer only, and one that also lends without."""
    bank = open_bank()
    pools = [bank.pool(offer_required=required, salt=bytes([required]) * 32) for required in (False, True)]
    for pool in pools:
        for role, tranche, amount in (("senior", SENIOR, 800_000), ("junior", JUNIOR, 200_000)):
            lender = bank.fund(pool, role, amount * UNIT)
            pool.deposit(tranche, amount * UNIT, lender, sender=lender)
        borrower = bank.fund(pool, "borrower", 0, 100 * COIN)
        pool.supply_collateral(100 * COIN, borrower, sender=borrower)
    bank.wait(60)
    return bank, pools


@pytest.fixture
def bank(standing):
    with standing[0].bench.undone():
        standing[0].score(BORROWER, 1)
        yield standing[0]


@pytest.fixture
def pool(standing, bank):
    return standing[1][0]


@pytest.fixture
def offers_only(standing, bank):
    return standing[1][1]


def offer(bank, pool, **changes) -> CreditOffer:
    made = CreditOffer(
        pool=pool.address,
        borrower=BORROWER,
        amount=100_000 * UNIT,
        collateral_ratio_bps=12_500,
        spread_bps=TIERS[1].spread_bps,
        tier=1,
        expires_at=bank.now + DAY,
        nonce=1,
    )
    return replace(made, **changes)


def take(
    bank, pool, made: CreditOffer, role: str = ISSUERS[0], signed: CreditOffer | None = None, sender=BORROWER
):
    domain = OfferDomain(bank.bench.chain_id, pool.address)
    signer, signature = domain.sign(key(role), signed or made)
    return pool.borrow_with_offer(made.values(), signer, signature, sender, sender=sender)


def test_an_offer_is_executed_as_signed_and_once(bank, pool):
    made = offer(bank, pool)
    assert pool.offer_digest(made.values()) == OfferDomain(bank.bench.chain_id, pool.address).digest(made)
    assert take(bank, pool, made) == 100_000 * UNIT
    assert pool.position_of(BORROWER)[1:4] == (100_000 * UNIT, 100_000 * UNIT * 10**6, 1)
    assert bank.loan_token.balanceOf(BORROWER) == 100_000 * UNIT
    with refused("offer already used"):
        take(bank, pool, made)
    assert pool.events("OfferSpent")[-1]["borrowed"]


def test_a_pool_may_lend_by_offer_only(bank, offers_only):
    for call in (
        lambda: offers_only.borrow(UNIT, BORROWER, sender=BORROWER),
        lambda: offers_only.refinance(sender=BORROWER),
    ):
        with refused("this pool needs an offer"):
            call()
    assert take(bank, offers_only, offer(bank, offers_only)) == 100_000 * UNIT


def test_an_offer_may_ask_for_more_than_the_tier_does(bank, pool):
    with refused("below the offer's ratio"):
        take(bank, pool, offer(bank, pool, collateral_ratio_bps=20_001))
    take(bank, pool, offer(bank, pool, collateral_ratio_bps=20_000))
    worse = offer(bank, pool, tier=2, spread_bps=TIERS[2].spread_bps, amount=UNIT, nonce=2)
    take(bank, pool, worse)
    assert pool.position_of(BORROWER)[3] == 2


def test_an_offer_gives_nothing_that_the_tier_does_not(bank, pool):
    better = offer(bank, pool, tier=0, spread_bps=TIERS[0].spread_bps)
    with refused("better than the tier"):
        take(bank, pool, better)
    cheap = offer(bank, pool, collateral_ratio_bps=10_000, amount=160_000 * UNIT + 1)
    with refused("too little collateral"):
        take(bank, pool, cheap)
    capped = offer(bank, pool, amount=TIERS[1].cap + 1)
    with refused("too little collateral"):
        take(bank, pool, capped)
    for tier, spread_bps in ((1, 299), (1, 0), (4, 1_200), (7, 0)):
        with refused("no tier has this spread"):
            take(bank, pool, offer(bank, pool, tier=tier, spread_bps=spread_bps))
    bank.wait(1)
    bank.score(BORROWER, 3)
    with refused("better than the tier"):
        take(bank, pool, offer(bank, pool))


def test_only_the_borrower_takes_an_offer_in_the_pool_it_is_for_and_in_time(bank, pool, offers_only):
    with refused("offer for somebody else"):
        take(bank, pool, offer(bank, pool), sender=STRANGER)
    with refused("offer for somebody else"):
        take(bank, pool, offer(bank, offers_only))
    with refused("offer expired"):
        take(bank, pool, offer(bank, pool, expires_at=bank.now - 1))
    values = list(offer(bank, pool).values())
    values[2] = 0
    with refused("amount out of range"):
        pool.borrow_with_offer(tuple(values), STRANGER, b"", BORROWER, sender=BORROWER)


def test_a_forged_or_changed_offer_is_refused(bank, pool):
    made = offer(bank, pool)
    with refused("not signed by an issuer"):
        take(bank, pool, made, role="stranger")
    for changes in (
        {"amount": 1},
        {"nonce": 2},
        {"expires_at": made.expires_at + 1},
        {"collateral_ratio_bps": 0},
    ):
        with refused("not signed by an issuer"):
            take(bank, pool, replace(made, **changes), signed=made)
    elsewhere = OfferDomain(bank.bench.chain_id + 1, pool.address).sign(key(ISSUERS[0]), made)
    with refused("not signed by an issuer"):
        pool.borrow_with_offer(made.values(), *elsewhere, BORROWER, sender=BORROWER)
    with refused("not signed by an issuer"):
        pool.borrow_with_offer(made.values(), NOBODY, b"", BORROWER, sender=BORROWER)


def test_an_issuer_takes_its_own_offer_back_and_nobody_elses(bank, pool):
    made = offer(bank, pool)
    pool.cancel_offer(made.values(), sender=STRANGER)
    with bank.bench.undone():
        take(bank, pool, made)
    pool.cancel_offer(made.values(), sender=account(ISSUERS[0]))
    with refused("offer already used"):
        take(bank, pool, made)
    with refused("offer already used"):
        pool.cancel_offer(made.values(), sender=account(ISSUERS[0]))
    take(bank, pool, made, role=ISSUERS[1])


def test_an_issuer_that_is_no_more_one_offers_nothing(bank, pool):
    issuers = [account(role) for role in ISSUERS[1:]]
    signed = [bank.signer.sign_change(key(role), bank.schema, issuers, 2, 0) for role in ISSUERS[:2]]
    bank.attestations.change_issuers(bank.schema, issuers, 2, signed)
    bank.wait(30 * DAY)
    with refused("not signed by an issuer"):
        take(bank, pool, offer(bank, pool, expires_at=bank.now))
    take(bank, pool, offer(bank, pool, expires_at=bank.now), role=ISSUERS[1])


def test_a_wallet_that_is_a_contract_takes_an_offer(bank, pool):
    """The borrower acts by calling; only the issuer signs."""
    wallet = deploy(bank.bench, HALL_MOCKS / "ContractWallet.vy", bytes.fromhex("1626ba7e"))
    bank.collateral_token.mint(STRANGER, 50 * COIN)
    bank.collateral_token.approve(pool.address, 50 * COIN, sender=STRANGER)
    pool.supply_collateral(50 * COIN, wallet.address, sender=STRANGER)
    made = offer(
        bank, pool, borrower=wallet.address, amount=1_000 * UNIT, tier=3, spread_bps=TIERS[3].spread_bps
    )
    signer, signature = OfferDomain(bank.bench.chain_id, pool.address).sign(key(ISSUERS[0]), made)
    wallet.act(pool.address, pool.encode("borrow_with_offer", made.values(), signer, signature, STRANGER))
    assert bank.loan_token.balanceOf(STRANGER) == 1_000 * UNIT


def test_python_refuses_offers_that_cannot_be(bank, pool):
    made = offer(bank, pool)
    for changes in ({"amount": 0}, {"tier": 8}, {"spread_bps": -1}, {"collateral_ratio_bps": -1}):
        with pytest.raises(BadInput):
            replace(made, **changes)
    assert CreditOffer.from_json(made.to_json()) == made
    with pytest.raises(BadInput):
        CreditOffer.from_json({"pool": NOBODY})
