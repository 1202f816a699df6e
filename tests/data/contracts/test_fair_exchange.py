# SPDX-License-Identifier: Apache-2.0
"""Content for money between two who trust nobody: what each can do, and what neither can."""

from __future__ import annotations

import boa
import pytest

from koinon.chain.hashing import keccak256
from koinon.data.block_tree import block_node
from koinon.data.sale import sale_domain
from tests.contracts_support import ETH, NOBODY, account, deploy, events, fresh_chain, key
from tests.data.contracts.fair_support import (
    HOUR,
    LISTED,
    PERIOD,
    PRICE,
    SIGNED,
    TEXT,
    Exchange,
)

LOCKED, REVEALED, COMPLETED, REFUNDED = 1, 2, 3, 4


@pytest.fixture(scope="module")
def deployed():
    with fresh_chain():
        yield Exchange()


@pytest.fixture
def exchange(deployed):
    with fresh_chain():
        yield deployed


def test_the_id_is_what_python_signs(exchange):
    trade = exchange.trade()
    assert exchange.contract.sale_id(trade.values) == trade.sale.sale_id(exchange.domain)
    fields = exchange.contract.eip712Domain()
    assert (fields[1], fields[2], fields[4]) == ("Koinon Fair Exchange", "1", exchange.contract.address)


def test_an_honest_sale_ends_with_money_in_the_till_and_a_grant(exchange):
    exchange.offer()
    trade = exchange.revealed()
    assert events(exchange.contract, "Revealed")[0]["key"] == trade.key
    grant_id = exchange.contract.complete(trade.values, sender=exchange.buyer)
    assert exchange.token.balanceOf(exchange.till) == PRICE
    assert exchange.token.balanceOf(exchange.contract) == 0
    assert exchange.token.allowance(exchange.contract, exchange.terms) == 0
    grant = exchange.terms.grant_of(grant_id)
    assert (grant.grantee, grant.payer, grant.paid) == (exchange.buyer, exchange.contract.address, PRICE)
    assert exchange.terms.granted(exchange.work_id, 0, exchange.buyer) == exchange.now() + PERIOD
    assert exchange.state(trade) == COMPLETED


def test_a_sale_in_ether_is_paid_and_paid_back(exchange):
    exchange.offer(token=ETH)
    trade = exchange.trade(token=ETH)
    exchange.lock(trade, value=PRICE)
    exchange.contract.reveal(trade.values, trade.key)
    assert exchange.contract.complete(trade.values, sender=exchange.buyer) == 1
    assert boa.env.get_balance(exchange.till) == PRICE
    other = exchange.trade(token=ETH, reveal_s=HOUR + 1)
    before = boa.env.get_balance(exchange.buyer)
    exchange.lock(other, value=PRICE)
    boa.env.time_travel(seconds=HOUR + 2)
    exchange.contract.refund(other.values, sender=exchange.stranger)
    assert boa.env.get_balance(exchange.buyer) == before
    assert boa.env.get_balance(exchange.contract.address) == 0


def test_without_an_offer_the_till_is_paid_in_ether_plainly(exchange):
    trade = exchange.trade(token=ETH)
    exchange.lock(trade, value=PRICE)
    exchange.contract.reveal(trade.values, trade.key)
    assert exchange.contract.complete(trade.values, sender=exchange.buyer) == 0
    assert boa.env.get_balance(exchange.till) == PRICE


@pytest.mark.parametrize(
    "offer",
    [
        None,
        {"price": PRICE - 1},
        {"price": PRICE + 1},
        {"period": PERIOD + 1},
        {"period": 0},
        {"text": keccak256(b"other")},
        {"token": ETH},
        {"consent": SIGNED},
        {"consent": LISTED},
        {"use": 1},
    ],
)
def test_unless_the_very_offer_stands_the_till_is_paid_plainly(exchange, offer):
    if offer is not None:
        exchange.offer(**offer)
    trade = exchange.revealed()
    assert exchange.contract.complete(trade.values, sender=exchange.buyer) == 0
    assert exchange.token.balanceOf(exchange.till) == PRICE
    assert exchange.terms.granted(exchange.work_id, 0, exchange.buyer) == 0


def test_an_offer_for_those_on_a_list_is_taken_up_for_a_buyer_on_it(exchange):
    exchange.offer(consent=LISTED)
    exchange.terms.allow(exchange.work_id, 0, exchange.buyer, True, sender=exchange.owner)
    trade = exchange.revealed()
    assert exchange.contract.complete(trade.values, sender=exchange.buyer) == 1


def test_an_offer_that_lapsed_when_the_work_changed_hands_pays_the_till_plainly(exchange):
    exchange.offer()
    trade = exchange.revealed()
    exchange.hall.works.transferFrom(
        exchange.owner, exchange.stranger, exchange.work_id, sender=exchange.owner
    )
    assert exchange.contract.complete(trade.values, sender=exchange.buyer) == 0
    assert exchange.token.balanceOf(exchange.till) == PRICE


def test_a_buyer_who_has_the_grant_for_ever_already_stops_no_payment(exchange):
    exchange.offer()
    exchange.terms.give(exchange.work_id, 0, exchange.buyer, 0, TEXT, sender=exchange.owner)
    trade = exchange.revealed()
    assert exchange.contract.complete(trade.values, sender=exchange.buyer) == 0
    assert exchange.token.balanceOf(exchange.till) == PRICE


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_one_wrong_block_pays_the_buyer_back(exchange, wrong):
    trade = exchange.revealed(lie_at=wrong)
    for honest in {0, 1, 2} - {wrong}:
        with boa.reverts("the block is as promised"):
            exchange.contract.dispute(trade.values, *trade.evidence(honest), sender=exchange.buyer)
    exchange.contract.dispute(trade.values, *trade.evidence(wrong), sender=exchange.buyer)
    assert events(exchange.contract, "Refunded")[0]["disputed"] is True
    assert exchange.token.balanceOf(exchange.buyer) == 10**6
    assert exchange.state(trade) == REFUNDED
    with boa.reverts("key not revealed"):
        exchange.contract.dispute(trade.values, *trade.evidence(wrong), sender=exchange.buyer)
    with boa.reverts("key not revealed"):
        exchange.contract.complete(trade.values, sender=exchange.buyer)


@pytest.mark.parametrize("size", [1, 1024, 1025, 4096, 5000])
def test_contents_of_any_size_are_disputed_at_their_last_block(exchange, size):
    content = bytes(7 for _ in range(size))
    last = -(-size // 1024) - 1
    trade = exchange.revealed(content=content, lie_at=last)
    exchange.contract.dispute(trade.values, *trade.evidence(last), sender=exchange.buyer)
    assert exchange.state(trade) == REFUNDED


def test_an_honest_seller_cannot_be_cheated_with_other_blocks_nodes_or_proofs(exchange):
    trade = exchange.revealed()
    secret, index, words, hidden, leaf, promised = trade.evidence(1)
    contract, buyer = exchange.contract, exchange.buyer

    def refused(reason, *evidence):
        with boa.reverts(reason):
            contract.dispute(trade.values, *evidence, sender=buyer)

    refused("not the key committed to", keccak256(b"other"), index, words, hidden, leaf, promised)
    refused("no such block", secret, 3, words, hidden, leaf, promised)
    refused("not a block of the ciphertext", secret, index, [bytes(32)] * 32, hidden, leaf, promised)
    refused("not a block of the ciphertext", secret, 0, words, hidden, leaf, promised)
    refused("not what was promised", secret, index, words, hidden, bytes(32), promised)
    other = trade.evidence(2)
    refused("not what was promised", secret, index, words, hidden, other[4], other[5])
    node = block_node(trade.promised.leaf(0), trade.promised.leaf(1))
    refused(
        "proof of another length", secret, 0, trade.evidence(0)[2], trade.evidence(0)[3], node, promised[1:]
    )
    refused("proof of another length", secret, index, words, hidden[1:], leaf, promised)
    refused("proof of another length", secret, index, words, [*hidden, bytes(32)], leaf, promised)
    assert exchange.state(trade) == REVEALED


def test_the_time_to_reveal_and_the_time_to_dispute_are_kept(exchange):
    trade = exchange.locked()
    with boa.reverts("seller still has time"):
        exchange.contract.refund(trade.values)
    boa.env.time_travel(seconds=HOUR)
    with boa.reverts("seller still has time"):
        exchange.contract.refund(trade.values)
    exchange.contract.reveal(trade.values, trade.key, sender=exchange.stranger)
    boa.env.time_travel(seconds=HOUR)
    with boa.reverts("buyer still has time"):
        exchange.contract.complete(trade.values, sender=exchange.owner)
    boa.env.time_travel(seconds=1)
    with boa.reverts("too late to dispute"):
        exchange.contract.dispute(trade.values, *trade.evidence(0), sender=exchange.buyer)
    exchange.contract.complete(trade.values, sender=exchange.stranger)
    assert exchange.token.balanceOf(exchange.till) == PRICE


def test_a_key_that_comes_too_late_is_worth_nothing(exchange):
    trade = exchange.locked()
    with boa.reverts("key not revealed"):
        exchange.contract.complete(trade.values, sender=exchange.buyer)
    with boa.reverts("key not revealed"):
        exchange.contract.dispute(trade.values, *trade.evidence(0), sender=exchange.buyer)
    with boa.reverts("not the key committed to"):
        exchange.contract.reveal(trade.values, bytes(32))
    boa.env.time_travel(seconds=HOUR + 1)
    with boa.reverts("too late to reveal"):
        exchange.contract.reveal(trade.values, trade.key)
    exchange.contract.refund(trade.values)
    assert exchange.token.balanceOf(exchange.buyer) == 10**6
    for late in (
        lambda: exchange.contract.refund(trade.values),
        lambda: exchange.contract.reveal(trade.values, trade.key),
    ):
        with boa.reverts("sale not locked"):
            late()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price": 0}, "price missing"),
        ({"size": 0}, "size out of range"),
        ({"size": 2**42 + 1}, "size out of range"),
        ({"reveal_s": 0}, "time to reveal out of range"),
        ({"reveal_s": 30 * 86_400 + 1}, "time to reveal out of range"),
        ({"dispute_s": 0}, "time to dispute out of range"),
        ({"dispute_s": 2**64 - 1}, "time to dispute out of range"),
        ({"signer": "stranger"}, "sale not signed by the seller"),
        ({"seller": account("stranger"), "signer": "stranger"}, "seller may not sell this Work"),
        ({"buyer": account("stranger")}, "only the buyer"),
        ({"buyer": NOBODY}, "only the buyer"),
        ({"valid_until": 0}, "sale no longer valid"),
    ],
)
def test_a_sale_that_cannot_be_is_not_locked(exchange, changes, reason):
    with boa.reverts(reason):
        exchange.lock(exchange.trade(**changes))


def test_a_sale_is_locked_once_and_for_exactly_its_price(exchange):
    trade = exchange.locked()
    with boa.reverts("sale already locked"):
        exchange.lock(trade)
    with boa.reverts("price is not in ETH"):
        exchange.lock(exchange.trade(dispute_s=1), value=1)
    ether = exchange.trade(token=ETH)
    for value in (0, PRICE - 1, PRICE + 1):
        with boa.reverts("send exactly the price"):
            exchange.lock(ether, value=value)
    exchange.token.set_fee(100)
    with boa.reverts("token did not deliver exactly"):
        exchange.lock(exchange.trade(dispute_s=1))
    exchange.token.set_refusing(True)
    with boa.reverts("transfer refused"):
        exchange.lock(exchange.trade(dispute_s=1))


def test_a_finished_sale_cannot_be_locked_again(exchange):
    trade = exchange.revealed()
    exchange.contract.complete(trade.values, sender=exchange.buyer)
    with boa.reverts("sale already locked"):
        exchange.lock(trade)


def test_a_signature_for_another_exchange_or_chain_is_refused(exchange):
    elsewhere = deploy("data", "FairExchange", exchange.terms.address)
    trade = exchange.trade()
    with boa.reverts("sale not signed by the seller"):
        elsewhere.lock(trade.values, trade.signature, sender=exchange.buyer)
    foreign = trade.sale.sign(key("owner"), sale_domain(2, exchange.contract.address))
    with boa.reverts("sale not signed by the seller"):
        exchange.contract.lock(trade.values, foreign, sender=exchange.buyer)


def test_a_changed_sale_is_another_sale(exchange):
    trade = exchange.revealed()
    cheaper = (*trade.values[:8], PRICE - 1, *trade.values[9:])
    with boa.reverts("key not revealed"):
        exchange.contract.complete(cheaper, sender=exchange.buyer)


def test_a_token_that_calls_back_in_the_middle_takes_nothing(exchange):
    exchange.locked(key=keccak256(b"another buyer's"), dispute_s=2 * HOUR)
    trade = exchange.revealed()
    data = exchange.contract.complete.prepare_calldata(trade.values)
    exchange.token.set_hook(exchange.contract, data)
    with boa.reverts():
        exchange.contract.complete(trade.values, sender=exchange.buyer)
    exchange.token.set_hook(NOBODY, b"")
    exchange.contract.complete(trade.values, sender=exchange.buyer)
    assert exchange.token.balanceOf(exchange.contract) == PRICE


def test_a_token_that_takes_no_approval_leaves_the_price_where_it_is(exchange):
    exchange.offer()
    trade = exchange.revealed()
    exchange.token.set_refusing(True)
    with boa.reverts("approval refused"):
        exchange.contract.complete(trade.values, sender=exchange.buyer)
    exchange.token.set_refusing(False)
    assert exchange.contract.complete(trade.values, sender=exchange.buyer) == 1


def test_the_exchange_needs_terms():
    with fresh_chain(), boa.reverts("no terms"):
        deploy("data", "FairExchange", account("nobody"))


def test_the_register_is_that_of_the_terms(exchange):
    assert exchange.contract.WORKS() == exchange.hall.works.address
    assert exchange.contract.TERMS() == exchange.terms.address
    assert exchange.contract.BLOCK_BYTES() == 1024
