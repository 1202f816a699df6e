# SPDX-License-Identifier: Apache-2.0
"""Credit pools through a node: created, lent to, borrowed from on a score and an offer, repaid, sold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from koinon.chain.contract import Call
from koinon.errors import BadInput, NotFound, TransactionFailed
from koinon.lending.credit_offer import CreditOffer
from koinon.lending.pool_terms import PoolTerms, TierTerms
from koinon.lending.pools import JUNIOR, SENIOR, CreditPools, Position
from koinon.lending.score_word import ScoreWord
from koinon.works.attestations import Attestation, Attestations, SchemaTerms
from tests.bench_support import mock

MOCKS = Path(__file__).parent / "contracts" / "mocks"
UNIT, COIN = 10**6, 10**18
TIERS = (
    TierTerms(8_500, 150, 400_000 * UNIT, 100, 4_000, 50),
    TierTerms(5_000, 1_200, 50_000 * UNIT, 2_500, 4_000, 50),
)
TERMS = PoolTerms("0x" + "11" * 20, "0x" + "22" * 20, "0x" + "33" * 20, bytes(32), TIERS)


def created(chain, payer, file: str, *arguments: object) -> str:
    receipt = chain.sender(payer).send(Call(None, mock(MOCKS / file).creation(*arguments)))
    return str(receipt.contract_address)


def test_a_loan_from_its_score_to_its_end(own_chain, own_account):
    chain = own_chain
    owner, lender, borrower, issuer = (own_account() for _ in range(4))
    loan, collateral = created(chain, owner, "Money.vy", 6), created(chain, owner, "Money.vy", 18)
    feed = created(chain, owner, "Feed.vy", 8, 2_000 * 10**8)
    for account in (lender, borrower):
        for token in (loan, collateral):
            mint = chain.contract("Coin", token).transaction("mint", account.address, 10**24)
            chain.sender(account).send(mint)
    works = chain.contract("Works")
    chain.sender(owner).send(works.transaction("publish", "ipfs://model", [], 0, []))
    attestations = Attestations(chain)
    schema = attestations.register(owner, SchemaTerms("credit score", issuers=(issuer.address,)))
    terms = replace(
        TERMS,
        loan_token=loan,
        collateral_token=collateral,
        feed=feed,
        schema=schema,
        work_id=works.call("total"),
        fee_bps=1_000,
        min_debt=100 * UNIT,
        borrower_cap_bps=10_000,
    )
    pools = CreditPools(chain)
    pool = pools.create(owner, terms)
    assert [each.address for each in pools.all()] == [pool.address]
    assert pools.at(pool.address).terms() == terms
    with pytest.raises(NotFound):
        pools.at(loan)
    pool.deposit(lender, SENIOR, 80_000 * UNIT)
    pool.deposit(lender, JUNIOR, 20_000 * UNIT)
    assert pool.assets_of(JUNIOR, lender.address) == 20_000 * UNIT
    pool.supply_collateral(borrower, 10 * COIN)
    assert pool.tier_of(borrower.address) == 1
    now = int(chain.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    made = Attestation(
        schema, borrower.address, ScoreWord(0, 0).word(), now, now + 10**6, work_id=terms.work_id
    )
    attestations.post(owner, made, [attestations.domain.sign(issuer, made)])
    assert pool.tier_of(borrower.address) == 0
    pool.borrow(borrower, 8_000 * UNIT)
    offer = CreditOffer(pool.address, borrower.address, 8_000 * UNIT, 12_000, 150, 0, now + 10**6, 1)
    with pytest.raises(TransactionFailed) as refusal:
        pool.take(borrower, offer, *pool.offers.sign(borrower, offer))
    assert refusal.value.reason == "not signed by an issuer"
    pool.take(borrower, offer, *pool.offers.sign(issuer, offer))
    assert pool.borrowers() == [borrower.address]
    (position,) = pool.positions([borrower.address])
    assert position.debt >= 16_000 * UNIT
    assert pool.is_sound(borrower.address)
    books = pool.books()
    assert books.debt == sum(books.debts)
    assert 0.15 < books.utilisation < 0.17
    assert 0.01 < pool.base_rate() < 0.03
    pool.repay(borrower, 1_000 * UNIT)
    chain.sender(owner).send(
        Call(feed, mock(MOCKS / "Feed.vy").functions["set_answers"].encode(10**11, 10**11))
    )
    assert not pool.is_sound(borrower.address)
    pool.liquidate(lender, borrower.address, 20_000 * UNIT)
    assert pool.position(borrower.address) == Position(0, 0, 0, 0, 0, 0)
    books = pool.books()
    assert books.debt == 0
    assert books.senior >= 80_000 * UNIT > books.cash - books.junior - books.fees - 10**6
    assert books.junior < 20_000 * UNIT
    pool.withdraw(lender, SENIOR, pool.max_withdraw(SENIOR, lender.address))
    pool.announce_exit(lender, 10**12)
    with pytest.raises(TransactionFailed):
        pool.withdraw_collateral(borrower, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": b""},
        {"collateral_token": TERMS.loan_token},
        {"base_rate_bps": 601},
        {"full_rate_bps": 100_001},
        {"base_rate_bps": -1},
        {"kink_bps": 10_000},
        {"fee_bps": 1},
        {"fee_bps": 10_000, "work_id": 1},
        {"borrower_cap_bps": 0},
        {"coverage_bps": 0},
        {"coverage_bps": 10_001},
        {"close_factor_bps": 0},
        {"min_bonus_bps": 1_001},
        {"auction_s": 0},
        {"grace_s": 10**9},
        {"min_debt": 1},
        {"tiers": ()},
        {"tiers": TIERS[::-1]},
        {"tiers": (replace(TIERS[0], lltv_bps=9_500),)},
        {"tiers": (replace(TIERS[0], cap=2**96),)},
        {"tiers": (replace(TIERS[0], pd_bps=-1),)},
        {"tiers": (replace(TIERS[0], spread_bps=89),)},
    ],
)
def test_terms_that_the_factory_would_refuse_are_refused_here(changes):
    with pytest.raises(BadInput):
        replace(TERMS, **changes)


def test_the_expected_loss_is_rounded_up():
    assert TierTerms(8_000, 0, 1, 333, 4_001, 50).expected_loss_bps == 134 + 50
