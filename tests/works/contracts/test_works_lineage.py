# SPDX-License-Identifier: Apache-2.0
"""Publishing from other Works: who may name a parent, what is promised, what a resale owes."""

from __future__ import annotations

import boa
import pytest

from koinon.chain.eip712 import digest
from koinon.works.shares import WHOLE
from koinon.works.till import Footer, read_footer, till_address, till_code
from tests.contracts_support import (
    NOBODY,
    PARENT_PERMISSION,
    account,
    custom_error,
    deploy_hall,
    deploy_mock,
    events,
    fresh_chain,
    key,
    refused,
)

SIGNED, OPEN, CLOSED = 0, 1, 2


@pytest.fixture(scope="module")
def hall():
    with fresh_chain():
        yield deploy_hall()


@pytest.fixture(autouse=True)
def _undo(hall):
    with fresh_chain():
        yield


@pytest.fixture
def owner():
    return account("parent owner")


@pytest.fixture
def publisher():
    return account("publisher")


@pytest.fixture
def parent(hall, owner):
    return hall.publish(owner)


def test_owners_and_operators_may_name_their_own_works(hall, owner, publisher, parent):
    second = hall.publish(owner)
    child = hall.publish(owner, [(second, 5, b""), (parent, 7, b"")])
    assert events(hall.works, "ParentDeclared") == [
        {"child": child, "parent": second, "minimum_share": 5},
        {"child": child, "parent": parent, "minimum_share": 7},
    ]
    assert hall.works.parents_of(child) == [(second, 5), (parent, 7)]
    hall.works.setApprovalForAll(publisher, True, sender=owner)
    hall.publish(publisher, [(parent, 0, b"")])


def test_strangers_need_a_permission(hall, publisher, parent):
    with boa.reverts("parent not asked"):
        hall.publish(publisher, [(parent, WHOLE, b"")])
    permission = hall.permission(parent, key("parent owner"), publisher, 300, boa.env.timestamp)
    child = hall.publish(publisher, [(parent, 300, permission)])
    assert hall.works.parents_of(child) == [(parent, 300)]


def test_a_permission_is_for_one_parent_publisher_share_time_and_registry(hall, publisher, parent):
    signer, now = key("parent owner"), boa.env.timestamp
    good = hall.permission(parent, signer, publisher, 300, now)
    other_hall = deploy_hall()
    elsewhere = digest(other_hall.domain, PARENT_PERMISSION.hash(parent, publisher, 300, now))
    for wrong in (
        hall.permission(parent + 1, signer, publisher, 300, now),
        hall.permission(parent, signer, account("someone else"), 300, now),
        hall.permission(parent, signer, publisher, 299, now),
        hall.permission(parent, key("someone else"), publisher, 300, now),
        (now + 1).to_bytes(32, "big") + good[32:],
        now.to_bytes(32, "big") + signer.sign(elsewhere),
        good[:-1],
        good + b"\0",
    ):
        with boa.reverts("permission not signed by the parent's owner"):
            hall.publish(publisher, [(parent, 300, wrong)])
    with boa.reverts("parent not asked"):
        hall.publish(publisher, [(parent, 300, good[:32])])
    with boa.reverts("permission expired"):
        hall.publish(publisher, [(parent, 300, hall.permission(parent, signer, publisher, 300, now - 1))])
    hall.publish(publisher, [(parent, 300, good)])


def test_a_permission_ends_when_the_parent_is_sold_or_closed(hall, owner, publisher, parent):
    permission = hall.permission(parent, key("parent owner"), publisher, 300, boa.env.timestamp)
    with boa.env.anchor():
        hall.works.transferFrom(owner, account("buyer"), parent, sender=owner)
        with boa.reverts("permission not signed by the parent's owner"):
            hall.publish(publisher, [(parent, 300, permission)])
    hall.works.set_parent_rule(parent, CLOSED, 0, sender=owner)
    for sender in (publisher, owner):
        with boa.reverts("parent is closed"):
            hall.publish(sender, [(parent, 300, permission)])


def test_a_contract_may_own_a_parent_and_sign_for_it(hall, owner, publisher, parent):
    wallet = deploy_mock("ContractWallet", bytes.fromhex("1626ba7e"))
    hall.works.transferFrom(owner, wallet.address, parent, sender=owner)
    deadline = boa.env.timestamp
    permission = deadline.to_bytes(32, "big") + b"agreed"
    with boa.reverts("permission not signed by the parent's owner"):
        hall.publish(publisher, [(parent, 9, permission)])
    wallet.agree(digest(hall.domain, PARENT_PERMISSION.hash(parent, publisher, 9, deadline)))
    hall.publish(publisher, [(parent, 9, permission)])


def test_an_open_parent_takes_anyone_who_promises_enough(hall, owner, publisher, parent):
    hall.works.set_parent_rule(parent, OPEN, 1000, sender=owner)
    assert events(hall.works, "ParentRuleSet") == [{"work_id": parent, "mode": OPEN, "minimum_share": 1000}]
    assert hall.works.parent_rule(parent) == (OPEN, 1000)
    with boa.reverts("parent not asked"):
        hall.publish(publisher, [(parent, 999, b"")])
    child = hall.publish(publisher, [(parent, 1000, b"")])
    less = hall.permission(parent, key("parent owner"), publisher, 10, boa.env.timestamp)
    hall.publish(publisher, [(parent, 10, less)])
    hall.works.set_parent_rule(parent, OPEN, 5000, sender=owner)
    assert hall.works.parents_of(child) == [(parent, 1000)]


def test_rules_have_bounds(hall, owner, parent):
    with boa.reverts("no such mode"):
        hall.works.set_parent_rule(parent, 3, 0, sender=owner)
    with boa.reverts("share above the whole"):
        hall.works.set_parent_rule(parent, OPEN, WHOLE + 1, sender=owner)


def test_parents_are_older_different_and_within_the_whole(hall, owner, parent):
    second = hall.publish(owner)
    with boa.reverts("parent is not older"):
        hall.publish(owner, [(hall.works.total() + 1, 1, b"")])
    assert refused(hall.works, lambda: hall.publish(owner, [(0, 1, b"")])) == custom_error(
        "ERC721NonexistentToken(uint256)", 0
    )
    with boa.reverts("parent named twice"):
        hall.publish(owner, [(parent, 1, b""), (second, 1, b""), (parent, 1, b"")])
    for shares in ((WHOLE, 1), (WHOLE, 0), (WHOLE + 1, 0), (2**64 - 1, 2**64 - 1)):
        with boa.reverts("parents above the whole"):
            hall.publish(owner, [(parent, shares[0], b""), (second, shares[1], b"")])
    hall.publish(owner, [(parent, WHOLE - 1, b""), (second, 0, b"")])


def test_sixteen_parents_fit(hall, owner):
    parents = [hall.publish(owner) for _ in range(16)]
    child = hall.publish(owner, [(parent, parent, b"") for parent in parents])
    assert hall.works.parents_of(child) == [(parent, parent) for parent in parents]


def test_royalties_go_to_the_till_at_a_rate_fixed_when_published(hall, owner):
    with boa.reverts("royalty above price"):
        hall.publish(owner, royalty_bps=10_001)
    work = hall.publish(owner, royalty_bps=250)
    assert events(hall.works, "RoyaltyFixed") == [{"work_id": work, "royalty_bps": 250}]
    till = hall.works.till_of(work)
    assert hall.works.royaltyInfo(work, 10_000) == (till, 250)
    assert hall.works.royaltyInfo(work, 39) == (till, 0)
    most = 2**256 - 1
    assert hall.works.royaltyInfo(work, most) == (till, most * 250 // 10_000)
    assert hall.works.royaltyInfo(hall.publish(owner), 10_000)[1] == 0


def test_a_till_stands_where_anyone_can_compute(hall, owner):
    work = hall.publish(owner)
    footer = Footer(boa.env.evm.patch.chain_id, str(hall.works.address), work)
    code = till_code(str(hall.till_implementation.address), footer)
    expected = till_address(str(hall.till_implementation.address), footer)
    assert hall.works.till_of(work) == expected
    assert boa.env.get_code(expected) == b""
    assert hall.works.deploy_till(work, sender=account("anyone")) == expected
    assert events(hall.works, "TillDeployed") == [{"work_id": work, "till": expected}]
    assert boa.env.get_code(expected) == code
    assert read_footer(code) == footer
    assert hall.works.deploy_till(work) == expected
    assert events(hall.works, "TillDeployed") == []


def test_a_till_keeps_its_address_when_a_fork_takes_another_chain_id(hall, owner):
    work = hall.publish(owner)
    before = hall.works.till_of(work)
    home = boa.env.evm.patch.chain_id
    boa.env.evm.patch.chain_id = home + 1
    try:
        assert hall.works.till_of(work) == before
        assert hall.works.eip712Domain()[3] == home + 1
    finally:
        boa.env.evm.patch.chain_id = home


def test_a_work_is_bound_to_an_agent_elsewhere_by_who_owns_both(hall, owner, publisher, parent):
    elsewhere = deploy_hall().works
    agent, foreign = elsewhere.register(sender=owner), elsewhere.register(sender=publisher)
    assert hall.works.agent_of(parent) == (NOBODY, 0)
    with boa.reverts("not the owner"):
        hall.works.bind_agent(parent, elsewhere.address, foreign, sender=publisher)
    with boa.reverts("not the agent's owner"):
        hall.works.bind_agent(parent, elsewhere.address, foreign, sender=owner)
    with boa.reverts("own registry"):
        hall.works.bind_agent(parent, hall.works.address, parent, sender=owner)
    with boa.reverts("agent without a registry"):
        hall.works.bind_agent(parent, NOBODY, 1, sender=owner)
    with boa.reverts():
        hall.works.bind_agent(parent, account("no contract"), 1, sender=owner)
    hall.works.bind_agent(parent, elsewhere.address, agent, sender=owner)
    assert events(hall.works, "AgentBound") == [
        {"work_id": parent, "registry": elsewhere.address, "agent_id": agent}
    ]
    assert hall.works.agent_of(parent) == (elsewhere.address, agent)
    hall.works.bind_agent(parent, NOBODY, 0, sender=owner)
    assert hall.works.agent_of(parent) == (NOBODY, 0)
