# SPDX-License-Identifier: Apache-2.0
"""Content sold by download: the fair exchange of 64 KiB, and a promise that three keepers deliver."""

from __future__ import annotations

from typing import Any

from benchmarks.gas.stage import CHAIN_ID, DOLLAR, LARGEST, Stage, digest, key
from benchmarks.gas.works import URI
from koinon.chain.hashing import keccak256
from koinon.data.block_tree import BLOCK_BYTES, WORD, BlockTree, block_leaf, crypt_block
from koinon.data.hidden_share import ComplaintKeys, HiddenShare, hide_share
from koinon.data.sale import Sale, sale_domain
from koinon.data.sealed import share_commitment
from koinon.shamir import Share

BUY = "buy(uint256,uint8,address,address,uint256,uint64,bytes32)"
BLOCKS = 64
WAIT_S = 3_600
CONTENT = [digest(f"block {index}") * (BLOCK_BYTES // WORD) for index in range(BLOCKS)]


def exchanging(stage: Stage) -> None:
    """Sales of the same content in coins: one honest with its grant, one disputed, one never revealed."""
    exchange, coin, terms = (stage.contracts[name] for name in ("FairExchange", "Coin", "Terms"))
    stage.send(stage.contracts["Works"], "register(string)", URI)
    stage.send(coin, "mint", key("buyer").address, 1_000 * DOLLAR)
    stage.send(coin, "approve", exchange.address, LARGEST, sender="buyer")
    stage.send(terms, "offer", 1, 0, (coin.address, DOLLAR, 0, 1, 0, digest("terms")))
    sales = [_sale(stage, number) for number in range(3)]
    for number, (sale, _, _) in enumerate(sales):
        signature = sale.sign(key("publisher"), sale_domain(CHAIN_ID, exchange.address))
        act = stage.measure if number == 0 else stage.send
        act(exchange, "lock", sale.values(), signature, sender="buyer")
    (honest, secret, _), (broken, other, evidence), (silent, _, _) = sales
    stage.measure(exchange, "reveal", honest.values(), secret)
    stage.measure(exchange, "complete", honest.values(), sender="buyer", note="with its grant")
    stage.send(exchange, "reveal", broken.values(), other)
    stage.measure(exchange, "dispute", broken.values(), other, *evidence, sender="buyer", note="64 blocks")
    stage.wait(WAIT_S)
    stage.measure(exchange, "refund", silent.values(), sender="stranger")


def delivering(stage: Stage) -> None:
    """Two complaints under one promise, two of three keepers needed: one answered, one paid back."""
    delivery, terms, bonds, coin = (stage.contracts[name] for name in ("Delivery", "Terms", "Bonds", "Coin"))
    keepers = ("gateway", "lender", "stranger")
    shares = [Share(number + 1, digest(f"share {number}")) for number in range(3)]
    stage.send(stage.contracts["Works"], "register(string)", URI)
    stage.send(terms, "offer", 1, 0, (coin.address, DOLLAR, 0, 1, 0, digest("terms")))
    for role in ("publisher", "buyer", "lender"):
        stage.send(coin, "mint", key(role).address, 1_000 * DOLLAR)
        for spender in (terms, bonds):
            stage.send(coin, "approve", spender.address, LARGEST, sender=role)
    stand_s = 2 * WAIT_S + 4 * 86_400
    stage.send(
        bonds, "post", coin.address, 9 * DOLLAR, delivery.address, digest("subject"), 0, stand_s, 0, WAIT_S
    )
    stage.measure(
        delivery,
        "promise",
        1,
        1,
        digest("content"),
        [key(role).address for role in keepers],
        [share_commitment(share) for share in shares],
        2,
        DOLLAR,
        WAIT_S,
        WAIT_S,
        note="3 keepers",
    )
    grants = {1: "buyer", 2: "lender"}
    asked = {grant: ComplaintKeys(digest(f"complaint {grant}"), 3) for grant in grants}
    for grant, buyer in grants.items():
        terms_digest = digest("terms")
        stage.send(terms, BUY, 1, 0, key(buyer).address, coin.address, DOLLAR, 0, terms_digest, sender=buyer)
        if grant == 1:
            stage.measure(delivery, "complain", 1, grant, asked[grant].points, sender=buyer, note="3 keepers")
        else:
            stage.send(delivery, "complain", 1, grant, asked[grant].points, sender=buyer)
    for number in range(2):
        hidden = hide_share(
            shares[number].value, asked[1].points[number], 1, number, entropy=lambda _: digest("point")
        )
        act = stage.measure if number == 0 else stage.send
        act(delivery, "answer", 1, number, hidden.values(), sender=keepers[number])
    stage.measure(delivery, "resolve", 1, sender="buyer", note="answered")
    false = HiddenShare(5, False, digest("rubbish"))
    stage.send(delivery, "answer", 2, 0, false.values(), sender=keepers[0])
    stage.measure(
        delivery, "refute", 2, 0, asked[2].points, asked[2].secret_of(0), false.values(), sender="lender"
    )
    stage.wait(WAIT_S)
    stage.send(terms, "surrender", 1, 0, sender="lender")
    stage.measure(delivery, "resolve", 2, note="refunded")
    stage.measure(delivery, "end_promise", 1)


def _sale(stage: Stage, number: int) -> tuple[Sale, bytes, tuple[Any, ...]]:
    """A sale whose key opens nothing to what was promised, its key, and the evidence about block 5."""
    secret, size = digest(f"key {number}"), BLOCKS * BLOCK_BYTES
    hidden = [crypt_block(secret, index, block) for index, block in enumerate(CONTENT)]
    promised = BlockTree([block_leaf(size, index, bytes(BLOCK_BYTES)) for index in range(BLOCKS)])
    handed = BlockTree([block_leaf(size, index, block) for index, block in enumerate(hidden)])
    sale = Sale(
        work_id=1,
        seller=key("publisher").address,
        buyer=key("buyer").address,
        plaintext_root=promised.root,
        ciphertext_root=handed.root,
        size=size,
        key_commitment=keccak256(secret),
        token=stage.contracts["Coin"].address,
        price=DOLLAR,
        period=0,
        terms_digest=digest("terms"),
        reveal_s=WAIT_S,
        dispute_s=WAIT_S,
        valid_until=2**40,
    )
    words = [hidden[5][place : place + WORD] for place in range(0, BLOCK_BYTES, WORD)]
    return sale, secret, (5, words, handed.proof(5), promised.leaf(5), promised.proof(5))
