# SPDX-License-Identifier: Apache-2.0
"""Feedback, weighed by the reader: pure figures, and a round trip through a node."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.chain.keys import Key
from koinon.errors import BadInput, TransactionFailed
from koinon.works.reputation import Feedback, Reputation, Standing, by_trust, standing

FRIEND = Key.from_bytes(b"\x01" * 32).address
OTHER = Key.from_bytes(b"\x02" * 32).address
STRANGER = Key.from_bytes(b"\x03" * 32).address


def test_a_figure_is_exact():
    assert Feedback(FRIEND, 1, -123, 2).figure == Fraction(-123, 100)


def test_only_those_the_reader_trusts_count_each_by_its_weight():
    feedbacks = [
        Feedback(FRIEND, 1, 90, 0),
        Feedback(OTHER, 1, 600, 1),
        Feedback(STRANGER, 1, 0, 0),
        Feedback(FRIEND, 2, 10, 0, revoked=True),
    ]
    assert standing(feedbacks, by_trust({FRIEND: 2, OTHER.lower(): 1})) == Standing(
        Fraction(80), 2, Fraction(3)
    )


def test_without_anyone_to_believe_there_is_no_mean():
    assert standing([Feedback(STRANGER, 1, 100, 0)], by_trust({})) == Standing(None, 0, Fraction(0))


def test_negative_trust_is_refused():
    with pytest.raises(BadInput):
        by_trust({FRIEND: -1})


@given(st.lists(st.integers(0, 100), max_size=20))
def test_any_number_of_strangers_changes_nothing(values):
    believed = by_trust({FRIEND: 1})
    mine = Feedback(FRIEND, 1, 75, 0)
    crowd = [Feedback(STRANGER, number + 1, value, 0) for number, value in enumerate(values)]
    assert standing([mine, *crowd], believed) == standing([mine], believed)


def publish(chain, owner: Key) -> int:
    works = chain.contract("Works")
    receipt = chain.sender(owner).send(works.transaction("register(string)", "ipfs://work"))
    return int(works.logs(receipt, "Registered")[0]["agentId"])


def test_feedback_goes_through_a_node_and_back(chain, new_account):
    owner, client, other = new_account(), new_account(), new_account()
    work = publish(chain, owner)
    reputation = Reputation(chain)
    assert reputation.clients(work) == []
    assert list(reputation.read(work)) == []
    assert (
        reputation.give(client, work, 95, tag1="quality", endpoint="https://x.example", content=b"good") == 1
    )
    assert reputation.give(client, work, -5, 1, tag2="late") == 2
    assert reputation.give(other, work, 0) == 1
    reputation.revoke(client, work, 2)
    reputation.respond(owner, work, client.address, 1, uri="ipfs://thanks", content=b"thanks")
    assert reputation.contract.call("getResponseCount", work, client.address, 0, []) == 1
    assert reputation.clients(work) == [client.address, other.address]
    assert list(reputation.read(work)) == [
        Feedback(client.address, 1, 95, 0, "quality"),
        Feedback(client.address, 2, -5, 1, "", "late", revoked=True),
        Feedback(other.address, 1, 0, 0),
    ]
    assert [feedback.value for feedback in reputation.read(work, clients=[other.address])] == [0]
    assert reputation.standing(work, by_trust({client.address: 1})).mean == 95
    with pytest.raises(TransactionFailed) as refused:
        reputation.give(owner, work, 100)
    assert refused.value.reason == "Self-feedback not allowed"


def test_what_the_contract_cannot_take_is_refused_here(chain, new_account):
    reputation = Reputation(chain)
    with pytest.raises(BadInput):
        reputation.give(new_account(0), 1, 1, tag1="t" * 65)
    with pytest.raises(BadInput):
        reputation.give(new_account(0), 1, 1, uri="u" * 2049)
