# SPDX-License-Identifier: Apache-2.0
"""Works that ERC-8004's canonical registries know, on a chain that has code at their addresses."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from koinon.chain import artifacts, testnode
from koinon.chain.canonical import ERC8004
from koinon.chain.contract import Call
from koinon.chain.deploy import deploy
from koinon.chain.devnet import Devnet
from koinon.chain.handle import Chain
from koinon.chain.rights import read as read_rights
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.errors import NotFound
from koinon.store import BlockStore
from koinon.works.agents import Agents
from koinon.works.api import Works
from koinon.works.cli import describe
from koinon.works.registration import Card, Registration
from koinon.works.reputation import by_trust

REGISTRIES = ERC8004[0]


@pytest.fixture(scope="module")
def with_registries(tmp_path_factory, anvil_path):
    """A chain where contracts with the standard's ABI stand at the canonical addresses."""
    with Devnet(tmp_path_factory.mktemp("registries"), anvil_path) as devnet, Rpc(devnet.rpc_url) as rpc:
        sender = Sender(rpc, devnet.key(0), chain_id=devnet.chain_id)
        plain = deploy(rpc, sender)
        for name, creation in (
            ("IdentityRegistry", artifacts.load("Works").creation(plain.contracts["Till"])),
            ("ReputationRegistry", artifacts.load("Reputation").creation(REGISTRIES["IdentityRegistry"])),
        ):
            made = sender.send(Call(None, creation)).contract_address
            code = rpc.call("eth_getCode", made, "latest")
            testnode.set_code(rpc, REGISTRIES[name], bytes.fromhex(code[2:]))
        yield devnet, plain, deploy(rpc, sender, known=plain)


@pytest.fixture
def agents(with_registries):
    devnet, _, network = with_registries
    with Chain.open(replace(network, rpc_url=devnet.rpc_url)) as chain:
        yield Agents(chain), devnet


def registration(*registrations: tuple[int, str]) -> Registration:
    card = Card(
        "service", "Adds.", "None.", ("Whole numbers.",), "Write to me.", unmeasured="Nothing to measure."
    )
    return Registration("Adder", "Adds two numbers.", card, registrations=registrations)


def enter(agents: Agents, owner) -> int:
    call = agents.identity.transaction("register(string)", "ipfs://agent")
    receipt = agents.chain.sender(owner).send(call)
    return int(agents.identity.logs(receipt, "Registered")[0]["agentId"])


def test_registries_are_found_where_they_stand_and_written_into_the_description(with_registries):
    _, plain, network = with_registries
    assert plain.canonical == {}
    assert network.canonical == REGISTRIES
    assert network.contracts == plain.contracts, "no till depends on them"


def test_a_network_without_them_says_so(with_registries):
    devnet, plain, _ = with_registries
    with Chain.open(replace(plain, rpc_url=devnet.rpc_url)) as chain, pytest.raises(NotFound) as caught:
        Agents(chain)
    assert caught.value.code == "works.no_registries"


def test_an_agent_is_its_works_only_while_one_account_owns_both(agents):
    found, devnet = agents
    owner, thief = devnet.key(1), devnet.key(2)
    agent = enter(found, owner)
    file = registration((agent, found.registry))
    assert found.agent_of(file, owner.address) == agent
    assert found.agent_of(file, thief.address) is None, "whoever names a famous agent does not get its name"
    assert found.agent_of(registration((agent, "eip155:1:0x" + "11" * 20)), owner.address) is None
    assert found.agent_of(registration((10**9, found.registry)), owner.address) is None
    assert found.agent_of(registration(), owner.address) is None
    assert found.uri_of(agent) == "ipfs://agent"
    with pytest.raises(NotFound):
        found.uri_of(10**9)


def test_feedback_given_there_is_weighed_by_the_reader_here(agents):
    found, devnet = agents
    agent = enter(found, devnet.key(1))
    for client, value in ((devnet.key(3), 90), (devnet.key(4), 10)):
        call = found.reputation.transaction("giveFeedback", agent, value, 0, "good", "", "", "", bytes(32))
        found.chain.sender(client).send(call)
    assert {each.value for each in found.feedback(agent)} == {90, 10}
    assert [each.value for each in found.feedback(agent, clients=[devnet.key(3).address])] == [90]
    standing = found.standing(agent, by_trust({devnet.key(3).address: 1}))
    assert (standing.mean, standing.count) == (Fraction(90), 1)


def test_a_work_is_shown_with_its_agent(agents, tmp_path):
    found, devnet = agents
    owner = devnet.key(5)
    works = Works(found.chain, BlockStore(tmp_path), owner)
    agent = enter(found, owner)
    plain = works.publish(registration())
    named = works.publish(registration((agent, found.registry)))
    assert describe(works, plain.work_id)["agent"] is None
    assert describe(works, named.work_id)["agent"] == {
        "agent_id": agent,
        "registry": found.registry,
        "feedback": 0,
    }


def test_a_registry_that_can_be_given_other_code_is_told_from_one_that_cannot(with_registries):
    devnet, _, network = with_registries
    owner = devnet.key(7).address
    proxy = "0x" + "ab" * 20
    with Rpc(devnet.rpc_url) as rpc:
        # Answers every call with its owner, as owner() of the reference proxies does.
        testnode.set_code(rpc, proxy, bytes.fromhex(f"73{owner[2:]}60005260206000f3"))
        slot = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"
        rpc.call("anvil_setStorageAt", proxy, slot, "0x" + "00" * 12 + "cd" * 20)
        found = read_rights(rpc, {"Proxy": proxy, "Works": network.contracts["Works"]}, {"Works"})
    assert found["Proxy"].upgradable
    assert owner in found["Proxy"].sentence
    assert not found["Works"].upgradable
    assert found["Works"].sentence == "nobody can change it"
