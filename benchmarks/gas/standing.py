# SPDX-License-Identifier: Apache-2.0
"""Terms, feedback and validation: what is said about a Work, and who may use it."""

from __future__ import annotations

from benchmarks.gas.stage import DOLLAR, LARGEST, Stage, digest, key
from benchmarks.gas.works import URI
from koinon.chain.address import ZERO_ADDRESS

DOWNLOAD, COMPUTE, TRAIN = 0, 1, 2
OPEN, SIGNED, LISTED = 1, 2, 3
PERIOD = 86_400
SALT = digest("salt")
TERMS = digest("terms")


def granting(stage: Stage) -> None:
    """Offers of each kind, bought in the token and in ETH, given away, surrendered, closed."""
    works, terms, coin = (stage.contracts[name] for name in ("Works", "Terms", "Coin"))
    buyer = key("buyer").address
    stage.send(works, "register(string)", URI)
    stage.send(coin, "mint", buyer, 100 * DOLLAR)
    stage.send(coin, "approve", terms.address, LARGEST, sender="buyer")
    price = (coin.address, DOLLAR, PERIOD)
    common = (buyer, coin.address, DOLLAR, PERIOD, TERMS)
    stage.measure(terms, "offer", 1, DOWNLOAD, (*price, OPEN, 0, TERMS))
    stage.send(terms, "offer", 1, TRAIN, (*price, SIGNED, 0, TERMS))
    stage.send(terms, "offer", 1, COMPUTE, (*price, LISTED, 0, TERMS))
    stage.measure(terms, "allow", 1, COMPUTE, buyer, True)
    buy = {parameters.count(","): f"buy({parameters})" for parameters in BUY}
    stage.measure(terms, buy[6], 1, DOWNLOAD, *common, sender="buyer", note="first")
    stage.measure(terms, buy[6], 1, DOWNLOAD, *common, sender="buyer", note="again")
    stage.measure(terms, buy[7], 1, COMPUTE, *common, SALT, sender="buyer", note="on the list")
    stage.measure(terms, buy[8], 1, COMPUTE, *common, SALT, 0, sender="buyer", note="on the list")
    deadline = stage.now() + 3_600
    consent = terms.call("consent_digest", 1, TRAIN, buyer, (*price, SIGNED, 0, TERMS), SALT, deadline)
    signature = key("publisher").sign(consent)
    stage.measure(
        terms,
        buy[9],
        1,
        TRAIN,
        *common,
        SALT,
        deadline,
        signature,
        sender="buyer",
        note="with the owner's consent",
    )
    stage.send(terms, "offer", 1, DOWNLOAD, (ZERO_ADDRESS, 10**15, PERIOD, OPEN, 0, TERMS))
    in_ether = (buyer, ZERO_ADDRESS, 10**15, PERIOD, TERMS)
    stage.measure(terms, buy[6], 1, DOWNLOAD, *in_ether, sender="buyer", value=10**15, note="ETH")
    stage.measure(terms, "surrender", 1, DOWNLOAD, sender="buyer")
    stage.measure(terms, "give", 1, DOWNLOAD, buyer, PERIOD, TERMS)
    stage.measure(terms, "close", 1, DOWNLOAD)
    stage.measure(terms, "spend_consent", digest("another salt"))


BUY = [
    "uint256,uint8,address,address,uint256,uint64,bytes32" + more
    for more in ("", ",bytes32", ",bytes32,uint256", ",bytes32,uint256,bytes")
]


def judging(stage: Stage) -> None:
    """Feedback and validations, as ERC-8004 has them."""
    works, reputation, validation = (stage.contracts[name] for name in ("Works", "Reputation", "Validation"))
    buyer, stranger = key("buyer").address, key("stranger").address
    stage.send(works, "register(string)", URI)
    said = (1, 95, 0, "quality", "year", "https://example.org/score", URI, digest("feedback"))
    stage.measure(reputation, "giveFeedback", *said, sender="buyer", note="a client's first")
    stage.measure(reputation, "giveFeedback", *said, sender="buyer", note="again")
    stage.measure(reputation, "appendResponse", 1, buyer, 1, URI, digest("response"))
    stage.measure(reputation, "revokeFeedback", 1, 1, sender="buyer")
    stage.measure(validation, "validationRequest", stranger, 1, URI, digest("request"))
    answer = (digest("request"), 100, URI, digest("answer"), "reexecuted")
    stage.measure(validation, "validationResponse", *answer, sender="stranger", note="first")
    stage.measure(validation, "validationResponse", *answer, sender="stranger", note="again")
