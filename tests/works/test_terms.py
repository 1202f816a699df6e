# SPDX-License-Identifier: Apache-2.0
"""Offers taken up through a node: in coins, in ETH, with the owner's consent, and refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koinon.chain.address import ZERO_ADDRESS
from koinon.errors import BadInput, PaymentError, TransactionFailed
from koinon.works.terms import FOR_EVER, Consent, SignedConsent, Terms, Use, text_digest

TEXT = text_digest("You may download this.")
DAY = 86_400


@pytest.fixture
def owner(new_account):
    return new_account()


@pytest.fixture
def work(chain, owner) -> int:
    works = chain.contract("Works")
    receipt = chain.sender(owner).send(works.transaction("register(string)", "ipfs://work"))
    return int(works.logs(receipt, "Registered")[0]["agentId"])


@pytest.fixture
def buyer(chain, new_account):
    key = new_account()
    chain.sender(key).send(chain.coin.transaction("mint", key.address, 1000))
    return key


def test_a_use_is_bought_in_coins_and_renewed(chain, owner, work, buyer):
    terms = Terms(chain)
    assert terms.offer_of(work, Use.DOWNLOAD) is None
    offer = terms.offer(owner, work, Use.DOWNLOAD, price=300, period_s=DAY, terms_digest=TEXT)
    assert terms.offer_of(work, Use.DOWNLOAD) == offer
    assert not terms.is_granted(work, Use.DOWNLOAD, buyer.address)
    grant = terms.grant(terms.buy(buyer, work, Use.DOWNLOAD, offer))
    assert (grant.work_id, grant.use, grant.grantee, grant.paid) == (work, Use.DOWNLOAD, buyer.address, 300)
    assert terms.is_granted(work, Use.DOWNLOAD, buyer.address)
    terms.buy(buyer, work, Use.DOWNLOAD, offer)
    assert terms.granted(work, Use.DOWNLOAD, buyer.address) == grant.valid_until + DAY
    till = chain.contract("Works").call("till_of", work)
    assert chain.coin.call("balanceOf", till) == 600
    terms.surrender(buyer, work, Use.DOWNLOAD)
    assert terms.granted(work, Use.DOWNLOAD, buyer.address) == 0
    terms.close(owner, work, Use.DOWNLOAD)
    with pytest.raises(TransactionFailed) as refused:
        terms.buy(buyer, work, Use.DOWNLOAD, offer)
    assert refused.value.code.startswith("chain.")


def test_a_use_is_bought_in_ether_for_another(chain, owner, work, buyer):
    terms = Terms(chain)
    offer = terms.offer(owner, work, Use.TRAIN, price=7, terms_digest=TEXT, token=ZERO_ADDRESS)
    terms.buy(buyer, work, Use.TRAIN, offer, grantee=owner.address)
    assert terms.granted(work, Use.TRAIN, owner.address) == FOR_EVER
    assert chain.balance(chain.contract("Works").call("till_of", work)) == 7


def test_a_changed_offer_is_not_taken_up(chain, owner, work, buyer):
    terms = Terms(chain)
    offer = terms.offer(owner, work, Use.CALL, price=0, terms_digest=TEXT)
    with pytest.raises(TransactionFailed) as refused:
        terms.buy(buyer, work, Use.CALL, replace(offer, terms_digest=text_digest("else")))
    assert refused.value.reason == "other terms"


def test_a_consent_is_signed_used_and_taken_back(chain, owner, work, buyer):
    terms = Terms(chain)
    offer = terms.offer(
        owner, work, Use.REMIX, price=10, period_s=DAY, consent=Consent.SIGNED, terms_digest=TEXT
    )
    with pytest.raises(PaymentError):
        terms.buy(buyer, work, Use.REMIX, offer)
    deadline = chain.timestamp() + DAY
    consent = terms.sign_consent(owner, work, Use.REMIX, buyer.address, offer, deadline=deadline)
    on_chain = terms.contract.call(
        "consent_digest", work, 4, buyer.address, offer.values(), consent.salt, consent.deadline
    )
    assert on_chain == terms.consent_digest(
        work, Use.REMIX, buyer.address, offer, salt=consent.salt, deadline=consent.deadline
    )
    terms.buy(buyer, work, Use.REMIX, offer, consent=consent)
    assert terms.is_granted(work, Use.REMIX, buyer.address)
    other = terms.sign_consent(owner, work, Use.REMIX, buyer.address, offer, deadline=deadline)
    terms.take_back(owner, other)
    with pytest.raises(TransactionFailed):
        terms.buy(buyer, work, Use.REMIX, offer, consent=other)


def test_a_consent_is_read_as_it_was_handed_over():
    consent = SignedConsent(bytes(range(32)), 2**40 + 7, b"\x01" * 65)
    assert SignedConsent.from_text(f" {consent.to_text()}\n") == consent
    assert SignedConsent.from_text(consent.to_text()[2:]) == consent
    for wrong in ("", "0x", "you may", consent.to_text()[:82], consent.to_text() + "0", "0x" + "11" * 2_000):
        with pytest.raises(BadInput, match="not an owner's signed consent"):
            SignedConsent.from_text(wrong)


def test_gifts_and_allow_lists(chain, owner, work, buyer):
    terms = Terms(chain)
    grant = terms.give(owner, work, Use.COMPUTE, buyer.address, terms_digest=TEXT)
    assert terms.grant(grant).valid_until == FOR_EVER
    offer = terms.offer(owner, work, Use.CALL, price=0, consent=Consent.LISTED, terms_digest=TEXT)
    with pytest.raises(TransactionFailed) as refused:
        terms.buy(buyer, work, Use.CALL, offer)
    assert refused.value.reason == "not on the allow list"
    terms.allow(owner, work, Use.CALL, buyer.address)
    terms.buy(buyer, work, Use.CALL, offer)
    assert terms.granted(work, Use.CALL, buyer.address) == FOR_EVER


def test_negative_prices_are_refused(chain, owner):
    with pytest.raises(BadInput):
        Terms(chain).offer(owner, 1, Use.CALL, price=-1, terms_digest=TEXT)
