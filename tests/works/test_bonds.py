# SPDX-License-Identifier: Apache-2.0
"""Payout trees and sealed values in Python, and bonds and payouts through a node."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.errors import BadInput, IntegrityError, NotFound, TransactionFailed
from koinon.works.bonds import (
    Bonds,
    BondTerms,
    Payout,
    Payouts,
    PayoutTree,
    check_payout,
    commitment_digest,
    payout_leaf,
    payout_node,
    topic_id,
)

PEOPLE = [Key.from_bytes(bytes([number]) * 32).address for number in range(1, 6)]
PROMISE = keccak256(b"promise")


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(PEOPLE), st.integers(1, 2**256 - 1)), min_size=1, max_size=20))
def test_every_payout_is_proven_and_nothing_else(payouts):
    tree = PayoutTree(payouts)
    assert tree.total == sum(amount for _, amount in payouts)
    for payout in tree.payouts:
        check_payout(tree.root, payout, tree.proof(payout.number))
        with pytest.raises(IntegrityError):
            check_payout(tree.root, payout._replace(amount=payout.amount - 1), tree.proof(payout.number))
        with pytest.raises(IntegrityError):
            check_payout(tree.root, payout, [*tree.proof(payout.number), bytes(32)])


def test_the_hashes_are_what_the_contract_packs():
    leaf = payout_leaf(Payout(1, PEOPLE[0], 2))
    packed = b"\x00" + (1).to_bytes(32, "big") + bytes.fromhex(PEOPLE[0][2:]) + (2).to_bytes(32, "big")
    assert leaf == keccak256(packed)
    low, high = b"\x01" * 32, b"\x02" * 32
    assert payout_node(high, low) == keccak256(b"\x01" + low + high)


def test_trees_that_pay_nobody_or_nothing_are_refused():
    for payouts in ([], [(PEOPLE[0], 0)], [(PEOPLE[0], -1)], [(PEOPLE[0], True)], [(PEOPLE[0], 2**256)]):
        with pytest.raises(BadInput):
            PayoutTree(payouts)
    with pytest.raises(NotFound):
        PayoutTree([(PEOPLE[0], 1)]).proof(1)


def test_a_commitment_is_for_one_chain_contract_topic_account_value_and_salt():
    def sealed(chain_id=1, contract=PEOPLE[0], topic=PROMISE, account=PEOPLE[1], value=PROMISE, salt=PROMISE):
        return commitment_digest(chain_id, contract, topic, account, value=value, salt=salt)

    changes: list[dict[str, Any]] = [
        {"chain_id": 2},
        {"contract": PEOPLE[2]},
        {"topic": bytes(32)},
        {"account": PEOPLE[2]},
        {"value": bytes(32)},
        {"salt": bytes(32)},
    ]
    assert len({sealed(), *(sealed(**change) for change in changes)}) == 7
    assert topic_id(PEOPLE[0], PROMISE) != topic_id(PEOPLE[1], PROMISE)


@pytest.fixture
def rich(chain, new_account):
    def make():
        key = new_account()
        chain.sender(key).send(chain.coin.transaction("mint", key.address, 1000))
        return key

    return make


def test_a_broken_promise_is_challenged_and_paid_for(chain, rich):
    poster, judge, challenger = rich(), rich(), rich()
    bonds = Bonds(chain)
    terms = BondTerms(judge.address, PROMISE, 3600, notice_s=3600, counter_stake=20)
    bond = bonds.post(poster, 500, terms)
    assert (bonds.bond(bond).amount, bonds.bond(bond).judge) == (500, judge.address)
    dispute = bonds.challenge(challenger, bond, PROMISE)
    assert bonds.challenge_of(dispute).challenger == challenger.address
    assert bonds.bond(bond).open_challenges == 1
    bonds.uphold(judge, dispute, 30, [(PEOPLE[0], 100)])
    assert bonds.bond(bond).amount == 370
    assert bonds.credit(challenger.address) == 50
    assert bonds.collect(poster, challenger.address) == 50
    assert chain.coin.call("balanceOf", challenger.address) == 1030
    bonds.dismiss(judge, bonds.challenge(challenger, bond, PROMISE))
    assert bonds.credit(poster.address) == 20
    bonds.slash(judge, bond, [(PEOPLE[0], 1)])
    bonds.announce_end(poster, bond)
    for act in (lambda: bonds.withdraw(poster, bond), lambda: bonds.lapse(poster, dispute)):
        with pytest.raises(TransactionFailed):
            act()
    with pytest.raises(TransactionFailed) as refused:
        bonds.slash(poster, bond, [])
    assert refused.value.reason == "only the judge"


def test_a_challenge_without_a_counter_stake_needs_no_approval(chain, rich):
    poster, judge = rich(), rich()
    bonds = Bonds(chain)
    ends_at = chain.timestamp() + 3600
    bond = bonds.post(poster, 5, BondTerms(judge.address, PROMISE, 60, ends_at=ends_at))
    assert bonds.challenge_of(bonds.challenge(judge, bond, PROMISE)).counter_stake == 0


def test_one_root_pays_many(chain, rich):
    funder = rich()
    payouts = Payouts(chain)
    tree = PayoutTree([(PEOPLE[0], 10), (PEOPLE[1], 20), (PEOPLE[0], 30)])
    fund = payouts.fund(funder, tree, deadline=chain.timestamp() + 3600)
    before = chain.coin.call("balanceOf", PEOPLE[0])
    assert payouts.claim(funder, fund, tree, PEOPLE[0]) == 40
    assert payouts.claim(funder, fund, tree, PEOPLE[0]) == 0
    assert chain.coin.call("balanceOf", PEOPLE[0]) == before + 40
    with pytest.raises(TransactionFailed) as refused:
        payouts.reclaim(funder, fund)
    assert refused.value.reason == "still claimable"
