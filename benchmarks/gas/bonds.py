# SPDX-License-Identifier: Apache-2.0
"""Stakes behind promises, sealed values, and payouts to many by one root."""

from __future__ import annotations

from benchmarks.gas.stage import CHAIN_ID, DOLLAR, LARGEST, Stage, digest, key
from koinon.works.bonds import PayoutTree, commitment_digest, topic_id

RULING_S = 3_600
NOTICE_S = 86_400


def judging(stage: Stage) -> None:
    """Bonds posted, challenged, judged each way, ended and collected; the gateway is the judge."""
    bonds, coin = stage.contracts["Bonds"], stage.contracts["Coin"]
    publisher, buyer, judge = key("publisher").address, key("buyer").address, key("gateway").address
    for role in ("publisher", "buyer"):
        stage.send(coin, "mint", key(role).address, 1_000 * DOLLAR)
        stage.send(coin, "approve", bonds.address, LARGEST, sender=role)
    terms = (coin.address, 100 * DOLLAR, judge, digest("promise"), 0, NOTICE_S, DOLLAR, RULING_S)
    stage.measure(bonds, "post", *terms)
    stage.measure(bonds, "top_up", 1, DOLLAR)
    stage.measure(bonds, "challenge", 1, digest("evidence"), sender="buyer", note="first")
    stage.measure(bonds, "challenge", 1, digest("evidence"), sender="buyer", note="again")
    stage.send(bonds, "challenge", 1, digest("evidence"), sender="buyer")
    stage.measure(bonds, "uphold", 1, DOLLAR, [(key("lender").address, DOLLAR)], sender="gateway")
    stage.measure(bonds, "dismiss", 2, sender="gateway")
    stage.measure(bonds, "slash", 1, [(key("lender").address, DOLLAR)], sender="gateway")
    stage.measure(bonds, "announce_end", 1)
    stage.wait(NOTICE_S)
    stage.measure(bonds, "lapse", 3, sender="stranger")
    stage.measure(bonds, "withdraw", 1)
    stage.measure(bonds, "collect", coin.address, publisher, sender="stranger")
    stage.send(bonds, "collect", coin.address, buyer, sender="stranger")


def sealing(stage: Stage) -> None:
    """A value committed to and revealed."""
    bonds = stage.contracts["Bonds"]
    publisher, buyer = key("publisher").address, key("buyer").address
    commit_until = stage.now() + 3_600
    stage.measure(bonds, "open_topic", digest("topic"), commit_until, commit_until + 3_600)
    topic, value, salt = topic_id(publisher, digest("topic")), digest("value"), digest("salt")
    sealed = commitment_digest(CHAIN_ID, bonds.address, topic, buyer, value=value, salt=salt)
    stage.measure(bonds, "commit", topic, sealed, sender="buyer")
    stage.wait(3_600)
    stage.measure(bonds, "reveal", topic, value, salt, sender="buyer")


def sharing(stage: Stage) -> None:
    """A fund for a hundred accounts: paid in, claimed, and the rest taken back."""
    payouts, coin = stage.contracts["Payouts"], stage.contracts["Coin"]
    tree = PayoutTree([(key(f"winner {number}").address, DOLLAR) for number in range(100)])
    stage.send(coin, "mint", key("publisher").address, tree.total)
    stage.send(coin, "approve", payouts.address, LARGEST)
    stage.measure(payouts, "fund_payouts", tree.root, coin.address, tree.total, stage.now() + 3_600)
    for number, note in ((0, "first of a hundred"), (1, "second of a hundred")):
        payout = tree.payouts[number]
        stage.measure(payouts, "claim", 1, *payout, tree.proof(number), sender="stranger", note=note)
    stage.wait(3_600)
    stage.measure(payouts, "reclaim", 1, sender="stranger")
