# SPDX-License-Identifier: Apache-2.0
"""A till: where it stands, what it accepts, whom it pays and when."""

from __future__ import annotations

import boa
import pytest

from koinon.chain.codec import encode
from koinon.chain.eip712 import digest
from koinon.chain.hashing import keccak256
from koinon.works.shares import OWNER, WHOLE, ShareTable, leaf_hash, node_hash
from tests.contracts_support import (
    AGENT_WALLET_SET,
    ETH,
    NOBODY,
    Refused,
    account,
    deploy_hall,
    deploy_mock,
    events,
    fresh_chain,
    give_eth,
    raw_call,
    till_at,
)


@pytest.fixture(scope="module")
def hall():
    with fresh_chain():
        yield deploy_hall()


@pytest.fixture(autouse=True)
def _undo(hall):
    with fresh_chain():
        yield


@pytest.fixture
def token():
    return deploy_mock("Token")


@pytest.fixture
def owner():
    return account("owner of the work")


def test_money_that_came_before_the_till_was_deployed_is_paid(hall, token, owner):
    work = hall.publish(owner)
    address = hall.works.till_of(work)
    give_eth(address, 700)
    token.mint(address, 900)
    till = hall.till(work)
    assert till.release(ETH, OWNER, WHOLE, [], sender=owner) == 700
    assert till.release(token, OWNER, WHOLE, [], sender=owner) == 900
    assert token.balanceOf(owner) == 900
    assert till.root() == ShareTable.of_owner().root


def test_the_till_knows_whose_it_is(hall, owner):
    hall.publish(owner)
    work = hall.publish(owner)
    till = hall.till(work)
    assert till.work() == (boa.env.evm.patch.chain_id, hall.works.address, work)
    assert hall.works.deploy_till(work) == till.address == hall.works.till_of(work)


def test_everyone_in_the_root_is_paid_their_share(hall, token, owner):
    work = hall.publish(owner)
    till = hall.till(work)
    singer, writer = account("singer"), account("writer")
    table = ShareTable({OWNER: 500_000_000, singer: 300_000_000, writer: 200_000_000})
    till.write_root(table.root, [], sender=owner)
    assert [event["root"] for event in events(till, "RootWritten")] == [table.root]
    token.mint(till.address, 1001)
    anyone = account("anyone")
    assert till.due(token, singer, table[singer]) == 300
    assert till.release(token, singer, *table.proof(singer), sender=anyone) == 300
    assert events(till, "Released") == [
        {"token": token.address, "payee": singer, "receiver": singer, "amount": 300}
    ]
    assert till.release(token, singer, *table.proof(singer), sender=anyone) == 0
    token.mint(till.address, 9)
    assert till.release(token, singer, *table.proof(singer), sender=anyone) == 3
    assert till.release(token, writer, *table.proof(writer), sender=anyone) == 202
    assert till.release(token, OWNER, *table.proof(OWNER), sender=owner) == 505
    assert till.released(token) == token.balanceOf(singer) + token.balanceOf(writer) + token.balanceOf(owner)
    assert till_at(till.address).claimed(token, NOBODY) == 505


# ---------------------------------------------------------------- the root


def test_without_a_root_only_the_owner_is_paid_and_that_writes_it(hall, token, owner):
    till = hall.till(hall.publish(owner))
    token.mint(till.address, 100)
    payee = account("payee")
    with boa.reverts("no root yet"):
        till.release(token, payee, WHOLE, [], sender=payee)
    with boa.reverts("Not authorized"):
        till.release(token, OWNER, WHOLE, [], sender=payee)
    zero_sum = [(b"\x01" * 32, 0, False)]
    with boa.reverts("no root yet"):
        till.release(token, OWNER, WHOLE, zero_sum, sender=owner)
    assert till.release(ETH, OWNER, WHOLE, [], sender=owner) == 0
    assert till.root() == bytes(32)
    till.release(token, OWNER, WHOLE, [], sender=owner)
    with boa.reverts("root already written"):
        till.write_root(ShareTable({payee: WHOLE}).root, [], sender=owner)


def test_a_root_is_written_once_by_the_owner_or_operator(hall, owner):
    work = hall.publish(owner)
    till = hall.till(work)
    root = ShareTable({account("payee"): WHOLE}).root
    operator = account("operator")
    with boa.reverts("Not authorized"):
        till.write_root(root, [], sender=operator)
    with boa.reverts("empty root"):
        till.write_root(bytes(32), [], sender=owner)
    hall.works.setApprovalForAll(operator, True, sender=owner)
    till.write_root(root, [], sender=operator)
    assert till.root() == root
    with boa.reverts("root already written"):
        till.write_root(root, [], sender=owner)


@pytest.fixture
def family(hall, owner):
    """Two parents and a child that promised them 10 % and 20 %."""
    parents = [hall.publish(account("parent owner")) for _ in range(2)]
    for parent in parents:
        hall.works.set_parent_rule(parent, 1, 0, sender=account("parent owner"))
    promised = [100_000_000, 200_000_000]
    child = hall.publish(
        owner, [(parent, share, b"") for parent, share in zip(parents, promised, strict=True)]
    )
    tills = [str(hall.works.till_of(parent)) for parent in parents]
    return hall.till(child), tills


def test_a_work_with_parents_releases_nothing_before_its_root(family, token, owner):
    till, _ = family
    token.mint(till.address, 100)
    with boa.reverts("parents need a root"):
        till.release(token, OWNER, WHOLE, [], sender=owner)


def test_every_parent_is_proven_when_the_root_is_written(family, owner):
    till, (first, second) = family
    table = ShareTable({first: 100_000_000, second: 250_000_000, OWNER: 650_000_000})
    proofs = [table.proof(first), table.proof(second)]
    with boa.reverts("one proof a parent"):
        till.write_root(table.root, [], sender=owner)
    with boa.reverts("one proof a parent"):
        till.write_root(table.root, proofs[:1], sender=owner)
    with boa.reverts("proof does not fit the root"):
        till.write_root(table.root, proofs[::-1], sender=owner)
    with boa.reverts("share below the promise"):
        till.write_root(table.root, [(99_999_999, proofs[0].nodes), proofs[1]], sender=owner)
    with boa.reverts("sum is not the whole"):
        till.write_root(table.root, [(100_000_001, proofs[0].nodes), proofs[1]], sender=owner)
    till.write_root(table.root, proofs, sender=owner)
    assert till.root() == table.root


def test_a_parent_that_was_promised_nothing_still_has_a_leaf(hall, owner):
    parent = hall.publish(owner)
    till = hall.till(hall.publish(owner, [(parent, 0, b"")]))
    empty = [(b"\x02" * 32, WHOLE, False)]
    with boa.reverts("share below the promise"):
        till.write_root(b"\x01" * 32, [(0, empty)], sender=owner)
    table = ShareTable({str(hall.works.till_of(parent)): 1, OWNER: WHOLE - 1})
    till.write_root(table.root, [table.proof(str(hall.works.till_of(parent)))], sender=owner)


def test_changing_the_parents_rule_never_blocks_a_published_childs_root(hall, family, owner):
    till, (first, second) = family
    for parent in (1, 2):
        hall.works.set_parent_rule(parent, 2, WHOLE, sender=account("parent owner"))
    table = ShareTable({first: 100_000_000, second: 200_000_000, OWNER: 700_000_000})
    till.write_root(table.root, [table.proof(first), table.proof(second)], sender=owner)


# ---------------------------------------------------------------- proofs


def test_proofs_that_do_not_fit_pay_nothing(hall, token, owner):
    till = hall.till(hall.publish(owner))
    payee, other = account("payee"), account("other")
    table = ShareTable({payee: 400_000_000, other: 350_000_000, OWNER: 250_000_000})
    till.write_root(table.root, [], sender=owner)
    token.mint(till.address, 1000)
    share, nodes = table.proof(payee)
    with boa.reverts("proof does not fit the root"):
        till.release(token, other, share, nodes)
    with boa.reverts("sum is not the whole"):
        till.release(token, payee, share + 1, nodes)
    with boa.reverts("sum is not the whole"):
        till.release(token, payee, share, nodes[:-1])
    turned = [(node.hash, node.sum, not node.left) for node in nodes]
    with boa.reverts("proof does not fit the root"):
        till.release(token, payee, share, turned)
    # Taking a unit from a sibling's sum for one's own share.
    greedy = [(nodes[0].hash, nodes[0].sum - 1, nodes[0].left), *nodes[1:]]
    with boa.reverts("proof does not fit the root"):
        till.release(token, payee, share + 1, greedy)
    with boa.reverts("sum is not the whole"):
        till.release(token, payee, 2**64 - 1, nodes)
    with boa.reverts():
        till.release(token, payee, share, [(b"\0" * 32, 0, False)] * 33)
    assert token.balanceOf(till.address) == 1000


def test_a_root_that_lies_about_its_sums_cannot_pay_more_than_the_whole(hall, token, owner):
    till = hall.till(hall.publish(owner))
    greedy, honest = account("greedy"), account("honest")
    lying = node_hash(leaf_hash(greedy, WHOLE), WHOLE, leaf_hash(honest, WHOLE), WHOLE)
    till.write_root(lying, [], sender=owner)
    token.mint(till.address, 1000)
    with boa.reverts("sum is not the whole"):
        till.release(token, greedy, WHOLE, [(leaf_hash(honest, WHOLE), WHOLE, False)])
    with boa.reverts("proof does not fit the root"):
        till.release(token, greedy, WHOLE, [(leaf_hash(honest, WHOLE), 0, False)])


def test_an_inner_node_is_never_a_leaf(hall, token, owner):
    till = hall.till(hall.publish(owner))
    table = ShareTable({account("payee"): 1, OWNER: WHOLE - 1})
    till.write_root(table.root, [], sender=owner)
    for share in (0, 1, WHOLE):
        with boa.reverts():
            till.release(token, account("payee"), share, [])


# ---------------------------------------------------------------- who is paid


def test_the_owners_part_follows_the_work(hall, token, owner):
    work = hall.publish(owner)
    till = hall.till(work)
    token.mint(till.address, 60)
    till.release(token, OWNER, WHOLE, [], sender=owner)
    token.mint(till.address, 40)
    buyer = account("buyer")
    hall.works.transferFrom(owner, buyer, work, sender=owner)
    with boa.reverts("Not authorized"):
        till.release(token, OWNER, WHOLE, [], sender=owner)
    assert till.release(token, OWNER, WHOLE, [], sender=buyer) == 40
    assert (token.balanceOf(owner), token.balanceOf(buyer)) == (60, 40)


def test_an_operator_releases_to_the_owner_not_to_itself(hall, token, owner):
    till = hall.till(hall.publish(owner))
    operator = account("operator")
    hall.works.setApprovalForAll(operator, True, sender=owner)
    token.mint(till.address, 5)
    till.release(token, OWNER, WHOLE, [], sender=operator)
    assert (token.balanceOf(owner), token.balanceOf(operator)) == (5, 0)


def test_income_climbs_the_lineage_in_eth_and_tokens(hall, family, token, owner):
    till, (first, second) = family
    table = ShareTable({first: 100_000_000, second: 200_000_000, OWNER: 700_000_000})
    till.write_root(table.root, [table.proof(first), table.proof(second)], sender=owner)
    token.mint(till.address, 1000)
    give_eth(till.address, 1000)
    hall.works.deploy_till(1)
    for asset in (token, ETH):
        for payee in (first, second):
            till.release(asset, payee, *table.proof(payee))
    assert [token.balanceOf(payee) for payee in (first, second)] == [100, 200]
    assert [boa.env.get_balance(payee) for payee in (first, second)] == [100, 200]
    parent_owner = account("parent owner", 0)
    assert hall.till(2).release(ETH, OWNER, WHOLE, [], sender=parent_owner) == 200
    assert boa.env.get_balance(parent_owner) == 200


def test_due_wants_a_share_within_the_whole(hall, owner):
    till = hall.till(hall.publish(owner))
    with boa.reverts("share above the whole"):
        till.due(ETH, OWNER, WHOLE + 1)


def test_the_till_takes_eth_only_without_data(hall, owner):
    till = hall.till(hall.publish(owner))
    give_eth(till.address, 5)
    for data in (b"\xde\xad\xbe\xef", b"\x00"):
        with pytest.raises(Refused):
            raw_call(till.address, data, value=5)
    with boa.reverts():
        till.release(ETH, OWNER, WHOLE, [], sender=owner, value=1)
    assert boa.env.get_balance(till.address) == 5


def test_the_implementation_itself_is_nobodys_till(hall, token, owner):
    implementation = hall.till_implementation
    for call in (
        implementation.work,
        lambda: implementation.write_root(b"\x01" * 32, []),
        lambda: implementation.release(token, OWNER, WHOLE, []),
        lambda: implementation.isValidSignature(bytes(32), bytes(96)),
    ):
        with boa.reverts("not a till"):
            call()


def test_a_fake_token_that_is_no_contract_is_refused(hall, owner):
    till = hall.till(hall.publish(owner))
    with boa.reverts():
        till.release(account("not a token"), OWNER, WHOLE, [], sender=owner)


# ---------------------------------------------------------------- being an agent wallet (ERC-1271)


def _agreement(registry, owner, deadline):
    return encode(["address", "address", "uint256"], [str(registry.address), owner, deadline])


def test_a_till_becomes_its_works_agent_wallet(hall, owner):
    work = hall.publish(owner)
    till, deadline = hall.till(work), boa.env.timestamp + 60
    hall.works.setAgentWallet(
        work, till.address, deadline, _agreement(hall.works, owner, deadline), sender=owner
    )
    assert hall.works.getAgentWallet(work) == till.address


def test_a_till_becomes_the_wallet_of_the_agent_its_work_is_bound_to(hall, owner):
    work = hall.publish(owner)
    till, deadline = hall.till(work), boa.env.timestamp + 60
    elsewhere = deploy_hall().works
    elsewhere.register(sender=account("someone"))
    agent = elsewhere.register(sender=owner)
    agreement = _agreement(elsewhere, owner, deadline)
    with boa.reverts("invalid wallet sig"):
        elsewhere.setAgentWallet(agent, till.address, deadline, agreement, sender=owner)
    hall.works.bind_agent(work, elsewhere.address, agent, sender=owner)
    elsewhere.setAgentWallet(agent, till.address, deadline, agreement, sender=owner)
    assert elsewhere.getAgentWallet(agent) == till.address


def test_a_till_agrees_to_nothing_else(hall, owner):
    work, other = hall.publish(owner), hall.publish(owner)
    till, deadline = hall.till(work), boa.env.timestamp + 60
    message = digest(hall.domain, AGENT_WALLET_SET.hash(work, str(till.address), owner, deadline))
    agreement = _agreement(hall.works, owner, deadline)
    assert till.isValidSignature(message, agreement) == bytes.fromhex("1626ba7e")
    stranger = account("stranger")
    unbound = deploy_hall().works
    no = bytes.fromhex("ffffffff")
    for signed, answer in (
        (message, b""),
        (message, agreement + b"\0"),
        (message, _agreement(hall.works, stranger, deadline)),
        (message, _agreement(hall.works, owner, deadline + 1)),
        (message, _agreement(unbound, owner, deadline)),
        (message, encode(["address", "address", "uint256"], [NOBODY, owner, deadline])),
        (digest(hall.domain, AGENT_WALLET_SET.hash(other, str(till.address), owner, deadline)), agreement),
        (digest(hall.domain, AGENT_WALLET_SET.hash(work, stranger, owner, deadline)), agreement),
        (keccak256(b"a payment from the till"), agreement),
    ):
        assert till.isValidSignature(signed, answer) == no
    with boa.reverts("invalid wallet sig"):
        hall.works.setAgentWallet(other, till.address, deadline, agreement, sender=owner)
