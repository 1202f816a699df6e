# SPDX-License-Identifier: Apache-2.0
"""Reputation: the ERC-8004 Reputation Registry, held to the reference's tests, its arithmetic and its ABI."""

from __future__ import annotations

from typing import Any

import boa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from koinon.chain.abi import Event, Function
from koinon.chain.hashing import keccak256
from tests.contracts_support import NOBODY, account, deploy, deploy_hall, events, fresh_chain
from tests.works.contracts.support import pretend_length

CLIENTS = [account(f"client {number}") for number in range(4)]
RESPONDERS = [account(f"responder {number}") for number in range(3)]
AGENT_OWNER = account("owner of the agent")
ZERO_HASH = b"\x00" * 32

# The standard's signatures, typed from EIP-8004 and abis/ReputationRegistry.json.
FUNCTIONS = {
    "giveFeedback(uint256,int128,uint8,string,string,string,string,bytes32)": (),
    "revokeFeedback(uint256,uint64)": (),
    "appendResponse(uint256,address,uint64,string,bytes32)": (),
    "getIdentityRegistry()": ("address",),
    "getVersion()": ("string",),
    "getLastIndex(uint256,address)": ("uint64",),
    "getClients(uint256)": ("address[]",),
    "readFeedback(uint256,address,uint64)": ("int128", "uint8", "string", "string", "bool"),
    "getSummary(uint256,address[],string,string)": ("uint64", "int128", "uint8"),
    "readAllFeedback(uint256,address[],string,string,bool)": (
        "address[]",
        "uint64[]",
        "int128[]",
        "uint8[]",
        "string[]",
        "string[]",
        "bool[]",
    ),
    "getResponseCount(uint256,address,uint64,address[])": ("uint64",),
}
EVENTS = {
    "NewFeedback(uint256,address,uint64,int128,uint8,string,string,string,string,string,bytes32)": (0, 1, 5),
    "FeedbackRevoked(uint256,address,uint64)": (0, 1, 2),
    "ResponseAppended(uint256,address,uint64,address,string,bytes32)": (0, 1, 3),
}


@pytest.fixture(scope="module")
def hall():
    with fresh_chain():
        yield deploy_hall()


@pytest.fixture(scope="module")
def reputation(hall):
    return deploy("works", "Reputation", hall.works.address)


@pytest.fixture(autouse=True)
def _undo(reputation):
    with fresh_chain():
        yield


@pytest.fixture
def agent(hall):
    return hall.publish(AGENT_OWNER, uri="ipfs://agent")


def give(
    reputation: Any, agent: int, client: str, value: int, decimals: int = 0, tag1: str = "", tag2: str = ""
) -> None:
    reputation.giveFeedback(agent, value, decimals, tag1, tag2, "", "", ZERO_HASH, sender=client)


def respond(reputation: Any, agent: int, client: str, index: int, responder: str) -> None:
    reputation.appendResponse(agent, client, index, "ipfs://response", ZERO_HASH, sender=responder)


def columns(answer: Any) -> list[tuple[Any, ...]]:
    """`readAllFeedback`'s columns as rows."""
    return list(zip(*answer, strict=True))


# --- the ABI ---------------------------------------------------------------------------------------------


def test_every_function_of_the_standard_is_there_with_its_selector_and_outputs(reputation):
    ours = {
        Function(entry).signature: tuple(output["type"] for output in entry["outputs"])
        for entry in reputation.abi
        if entry["type"] == "function"
    }
    for signature, outputs in FUNCTIONS.items():
        assert ours.get(signature) == outputs, signature


def test_every_event_of_the_standard_has_its_topic_and_its_indexed_arguments(reputation):
    ours = {}
    for entry in reputation.abi:
        if entry["type"] == "event":
            indexed = tuple(at for at, argument in enumerate(entry["inputs"]) if argument["indexed"])
            ours[Event(entry).topic] = indexed
    assert ours == {keccak256(signature.encode()): indexed for signature, indexed in EVENTS.items()}


# --- the reference's own cases ---------------------------------------------------------------------------


def test_the_identity_registry_is_works(reputation, hall):
    assert reputation.getIdentityRegistry() == hall.works.address
    assert reputation.getVersion() == "2.0.0"


def test_no_registry_is_refused():
    with boa.reverts("bad identity"):
        deploy("works", "Reputation", NOBODY)


def test_feedback_is_stored_and_announced_in_full(reputation, agent):
    file_hash = keccak256(b"feedback content")
    reputation.giveFeedback(
        agent,
        85,
        0,
        "quality",
        "speed",
        "https://agent.example",
        "ipfs://feedback1",
        file_hash,
        sender=CLIENTS[0],
    )
    (event,) = events(reputation, "NewFeedback")
    assert event["agentId"] == agent
    assert event["clientAddress"] == CLIENTS[0]
    assert event["feedbackIndex"] == 1
    assert (event["value"], event["valueDecimals"]) == (85, 0)
    assert event["indexedTag1"] == keccak256(b"quality")
    assert (event["tag1"], event["tag2"]) == ("quality", "speed")
    assert (event["endpoint"], event["feedbackURI"]) == ("https://agent.example", "ipfs://feedback1")
    assert event["feedbackHash"] == file_hash
    assert reputation.readFeedback(agent, CLIENTS[0], 1) == (85, 0, "quality", "speed", False)


def test_revoked_feedback_says_so_and_stops_counting(reputation, agent):
    give(reputation, agent, CLIENTS[0], 90, tag1="tag1", tag2="tag2")
    reputation.revokeFeedback(agent, 1, sender=CLIENTS[0])
    (event,) = events(reputation, "FeedbackRevoked")
    assert (event["agentId"], event["clientAddress"], event["feedbackIndex"]) == (agent, CLIENTS[0], 1)
    assert reputation.readFeedback(agent, CLIENTS[0], 1) == (90, 0, "tag1", "tag2", True)
    assert reputation.getSummary(agent, [CLIENTS[0]], "", "") == (0, 0, 0)
    assert columns(reputation.readAllFeedback(agent, [], "", "", False)) == []
    assert columns(reputation.readAllFeedback(agent, [], "", "", True)) == [
        (CLIENTS[0], 1, 90, 0, "tag1", "tag2", True)
    ]


def test_a_response_is_announced_in_full(reputation, agent):
    give(reputation, agent, CLIENTS[0], 75)
    response_hash = keccak256(b"response content")
    reputation.appendResponse(agent, CLIENTS[0], 1, "ipfs://response1", response_hash, sender=RESPONDERS[0])
    (event,) = events(reputation, "ResponseAppended")
    assert event == {
        "agentId": agent,
        "clientAddress": CLIENTS[0],
        "feedbackIndex": 1,
        "responder": RESPONDERS[0],
        "responseURI": "ipfs://response1",
        "responseHash": response_hash,
    }


def test_one_client_may_give_feedback_many_times(reputation, agent):
    assert reputation.getLastIndex(agent, CLIENTS[0]) == 0
    for number in range(3):
        give(reputation, agent, CLIENTS[0], 80 + number)
        assert reputation.getLastIndex(agent, CLIENTS[0]) == number + 1
    assert [reputation.readFeedback(agent, CLIENTS[0], index)[0] for index in (1, 2, 3)] == [80, 81, 82]


@pytest.mark.parametrize("value", [0, 100, 101, -1, 10**38, -(10**38)])
def test_values_up_to_1e38_either_way_are_accepted(reputation, agent, value):
    give(reputation, agent, CLIENTS[0], value)
    assert reputation.readFeedback(agent, CLIENTS[0], 1)[0] == value
    assert reputation.getSummary(agent, [CLIENTS[0]], "", "") == (1, value, 0)


def test_the_summary_averages_over_the_clients_named(reputation, agent):
    for client, value in ((0, 80), (0, 90), (1, 100), (2, 5)):
        give(reputation, agent, CLIENTS[client], value, tag1="service", tag2="fast")
    assert reputation.getSummary(agent, CLIENTS[:2], "service", "fast") == (3, 90, 0)


@pytest.mark.parametrize(
    ("tag1", "tag2", "expected"),
    [
        ("tagA", "tagB", (1, 80, 0)),
        ("tagA", "", (2, 85, 0)),
        ("", "tagC", (2, 95, 0)),
        ("", "", (3, 90, 0)),
        ("tagC", "", (0, 0, 0)),
        ("0x" + "00" * 32, "", (0, 0, 0)),
    ],
)
def test_an_empty_tag_matches_every_tag_and_another_only_itself(reputation, agent, tag1, tag2, expected):
    give(reputation, agent, CLIENTS[0], 80, tag1="tagA", tag2="tagB")
    give(reputation, agent, CLIENTS[0], 90, tag1="tagA", tag2="tagC")
    give(reputation, agent, CLIENTS[0], 100, tag1="tagB", tag2="tagC")
    assert reputation.getSummary(agent, [CLIENTS[0]], tag1, tag2) == expected
    assert len(columns(reputation.readAllFeedback(agent, [CLIENTS[0]], tag1, tag2, False))) == expected[0]


def test_all_feedback_is_read_in_order_of_clients_and_indexes(reputation, agent):
    give(reputation, agent, CLIENTS[0], 70, tag1="quality", tag2="fast")
    give(reputation, agent, CLIENTS[1], 90, 1, tag1="reliability")
    give(reputation, agent, CLIENTS[0], 80, tag1="speed", tag2="slow")
    expected = [
        (CLIENTS[0], 1, 70, 0, "quality", "fast", False),
        (CLIENTS[0], 2, 80, 0, "speed", "slow", False),
        (CLIENTS[1], 1, 90, 1, "reliability", "", False),
    ]
    assert columns(reputation.readAllFeedback(agent, CLIENTS[:2], "", "", False)) == expected
    assert columns(reputation.readAllFeedback(agent, [], "", "", False)) == expected


def test_responses_are_counted_by_feedback_by_client_by_work_and_by_responder(reputation, agent):
    first, second = CLIENTS[:2]
    give(reputation, agent, first, 80)
    give(reputation, agent, first, 85)
    give(reputation, agent, second, 90)
    respond(reputation, agent, first, 1, RESPONDERS[0])
    respond(reputation, agent, first, 1, RESPONDERS[0])
    respond(reputation, agent, first, 2, RESPONDERS[1])
    respond(reputation, agent, second, 1, RESPONDERS[1])
    for arguments, expected in (
        ((first, 1, []), 2),
        ((first, 2, []), 1),
        ((first, 0, []), 3),
        ((second, 0, []), 1),
        ((NOBODY, 0, []), 4),
        ((NOBODY, 7, []), 4),
        ((first, 1, RESPONDERS), 2),
        ((first, 0, [RESPONDERS[1]]), 1),
        ((NOBODY, 0, [RESPONDERS[1]]), 2),
        ((NOBODY, 0, [RESPONDERS[2]]), 0),
        ((first, 9, []), 0),
    ):
        assert reputation.getResponseCount(agent, *arguments) == expected, arguments


def test_clients_are_listed_once_in_order_of_their_first_feedback(reputation, agent):
    assert reputation.getClients(agent) == []
    for client in (0, 1, 0, 2):
        give(reputation, agent, CLIENTS[client], 80)
    assert reputation.getClients(agent) == CLIENTS[:3]


def test_revoked_feedback_may_be_responded_to(reputation, agent):
    give(reputation, agent, CLIENTS[0], 80)
    reputation.revokeFeedback(agent, 1, sender=CLIENTS[0])
    respond(reputation, agent, CLIENTS[0], 1, RESPONDERS[0])
    assert reputation.getResponseCount(agent, CLIENTS[0], 1, []) == 1


# --- refusals --------------------------------------------------------------------------------------------


def test_feedback_on_a_work_nobody_published_is_refused(reputation):
    with boa.reverts():
        give(reputation, 999, CLIENTS[0], 85)


def test_owner_and_operators_may_not_praise_themselves(reputation, hall, agent):
    hall.works.approve(CLIENTS[0], agent, sender=AGENT_OWNER)
    hall.works.setApprovalForAll(CLIENTS[1], True, sender=AGENT_OWNER)
    for insider in (AGENT_OWNER, CLIENTS[0], CLIENTS[1]):
        with boa.reverts("Self-feedback not allowed"):
            give(reputation, agent, insider, 95)


def test_more_than_18_decimals_are_refused(reputation, agent):
    with boa.reverts("too many decimals"):
        give(reputation, agent, CLIENTS[0], 1, 19)


@pytest.mark.parametrize("value", [10**38 + 1, -(10**38) - 1])
def test_values_beyond_1e38_are_refused(reputation, agent, value):
    with boa.reverts("value too large"):
        give(reputation, agent, CLIENTS[0], value)


def test_only_feedback_that_exists_can_be_revoked_and_only_once(reputation, agent):
    with boa.reverts("index must be > 0"):
        reputation.revokeFeedback(agent, 0, sender=CLIENTS[0])
    give(reputation, agent, CLIENTS[0], 1)
    with boa.reverts("index out of bounds"):
        reputation.revokeFeedback(agent, 2, sender=CLIENTS[0])
    with boa.reverts("index out of bounds"):
        reputation.revokeFeedback(agent, 1, sender=CLIENTS[1])
    reputation.revokeFeedback(agent, 1, sender=CLIENTS[0])
    with boa.reverts("Already revoked"):
        reputation.revokeFeedback(agent, 1, sender=CLIENTS[0])


def test_a_response_needs_a_feedback_and_a_uri(reputation, agent):
    with boa.reverts("index must be > 0"):
        respond(reputation, agent, CLIENTS[0], 0, RESPONDERS[0])
    with boa.reverts("Empty URI"):
        reputation.appendResponse(agent, CLIENTS[0], 1, "", ZERO_HASH, sender=RESPONDERS[0])
    with boa.reverts("index out of bounds"):
        respond(reputation, agent, CLIENTS[0], 1, RESPONDERS[0])


def test_reading_beyond_the_last_feedback_is_refused(reputation, agent):
    give(reputation, agent, CLIENTS[0], 1)
    with boa.reverts("index must be > 0"):
        reputation.readFeedback(agent, CLIENTS[0], 0)
    with boa.reverts("index out of bounds"):
        reputation.readFeedback(agent, CLIENTS[0], 2)


def test_a_summary_over_nobody_is_refused_because_feedback_is_free(reputation, agent):
    with boa.reverts("clientAddresses required"):
        reputation.getSummary(agent, [], "", "")
    with boa.reverts("clientAddresses required"):
        reputation.summary_page(agent, [], "", "", 0, 10)


# --- arithmetic, against the reference's in integers -----------------------------------------------------


def cut(dividend: int, divisor: int) -> int:
    """Division rounded towards zero, as the EVM divides."""
    quotient = abs(dividend) // divisor
    return quotient if dividend >= 0 else -quotient


def reference_summary(entries: list[tuple[int, int]]) -> tuple[int, int, int]:
    """Count, average and decimals as the reference computes them from (value, decimals)."""
    if not entries:
        return 0, 0, 0
    uses = [sum(1 for _, decimals in entries if decimals == wanted) for wanted in range(19)]
    mode = uses.index(max(uses))
    average = cut(sum(value * 10 ** (18 - decimals) for value, decimals in entries), len(entries))
    wrapped = cut(average, 10 ** (18 - mode)) % 2**128
    return len(entries), wrapped - 2**128 if wrapped >= 2**127 else wrapped, mode


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(-1000, 1000), st.integers(-(10**38), 10**38)),
            st.sampled_from([0, 2, 5, 18]),
        ),
        max_size=5,
    )
)
def test_the_average_and_its_decimals_are_the_references(reputation, agent, entries):
    with fresh_chain():
        for value, decimals in entries:
            give(reputation, agent, CLIENTS[0], value, decimals)
        assert reputation.getSummary(agent, [CLIENTS[0]], "", "") == reference_summary(entries)


# --- pages -----------------------------------------------------------------------------------------------


def feedback_rows(reputation: Any, agent: int, clients: list[str], step: int) -> list[tuple[Any, ...]]:
    """Everything, revoked or not, read `step` entries at a time."""
    rows: list[tuple[Any, ...]] = []
    offset = 0
    while True:
        page, offset = reputation.feedback_page(agent, clients, "", "", True, offset, step)
        rows += columns(tuple(page))
        if offset == 0:
            return rows


def test_a_list_longer_than_the_unpaged_reader_returns_is_read_by_pages(reputation, agent):
    for number in range(257):
        give(reputation, agent, CLIENTS[number % 2], number)
    with boa.reverts("too many: use feedback_page"):
        reputation.readAllFeedback(agent, [], "", "", False)
    page, following = reputation.feedback_page(agent, [], "", "", False, 0, 10_000)
    assert (len(page[0]), following) == (256, 256)
    assert [row[2] for row in feedback_rows(reputation, agent, [], 100)] == [
        *range(0, 257, 2),
        *range(1, 257, 2),
    ]
    assert reputation.getSummary(agent, CLIENTS[:2], "", "") == (257, 128, 0)


def test_more_clients_than_the_unpaged_reader_returns_are_read_by_pages(reputation, agent):
    give(reputation, agent, CLIENTS[0], 1)
    pretend_length(reputation, "_client_count", agent, 4097)
    with boa.reverts("too many: use clients_page"):
        reputation.getClients(agent)
    assert reputation.clients_page(agent, 0, 2) == [CLIENTS[0], NOBODY]
    assert len(reputation.clients_page(agent, 0, 5000)) == 4096
    assert len(reputation.clients_page(agent, 4096, 5000)) == 1
    assert reputation.clients_page(agent, 4097, 1) == []


def test_a_tag_of_more_than_64_bytes_is_refused(reputation, agent):
    give(reputation, agent, CLIENTS[0], 1, tag1="t" * 64)
    with boa.reverts():
        give(reputation, agent, CLIENTS[0], 1, tag1="t" * 65)


# --- a life of its own -----------------------------------------------------------------------------------


class ReputationMachine(RuleBasedStateMachine):
    """Feedback, revocations and responses in any order, against a plain Python record of them."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = fresh_chain()
        self.anchor.__enter__()
        hall = deploy_hall()
        self.reputation = deploy("works", "Reputation", hall.works.address)
        self.agents = [hall.publish(AGENT_OWNER) for _ in range(2)]
        self.entries: dict[tuple[int, str], list[list[Any]]] = {}
        self.order: dict[int, list[str]] = {agent: [] for agent in self.agents}

    def teardown(self) -> None:
        self.anchor.__exit__(None, None, None)

    @rule(
        agent=st.integers(0, 1),
        client=st.sampled_from(CLIENTS),
        value=st.integers(-(10**6), 10**6),
        decimals=st.integers(0, 18),
        tag=st.sampled_from(["", "a", "b"]),
    )
    def give(self, agent: int, client: str, value: int, decimals: int, tag: str) -> None:
        work = self.agents[agent]
        give(self.reputation, work, client, value, decimals, tag, "second")
        if client not in self.order[work]:
            self.order[work].append(client)
        self.entries.setdefault((work, client), []).append([value, decimals, tag, False, []])

    @rule(agent=st.integers(0, 1), client=st.sampled_from(CLIENTS), index=st.integers(0, 3))
    def revoke(self, agent: int, client: str, index: int) -> None:
        work = self.agents[agent]
        mine = self.entries.get((work, client), [])
        if 1 <= index <= len(mine) and not mine[index - 1][3]:
            self.reputation.revokeFeedback(work, index, sender=client)
            mine[index - 1][3] = True
        else:
            with boa.reverts():
                self.reputation.revokeFeedback(work, index, sender=client)

    @rule(
        agent=st.integers(0, 1),
        client=st.sampled_from(CLIENTS),
        index=st.integers(1, 3),
        responder=st.sampled_from(RESPONDERS),
    )
    def respond(self, agent: int, client: str, index: int, responder: str) -> None:
        work = self.agents[agent]
        mine = self.entries.get((work, client), [])
        if index <= len(mine):
            respond(self.reputation, work, client, index, responder)
            mine[index - 1][4].append(responder)
        else:
            with boa.reverts("index out of bounds"):
                respond(self.reputation, work, client, index, responder)

    @invariant()
    def what_is_read_is_what_was_written(self) -> None:
        for work in self.agents:
            rows = [
                (client, at + 1, value, decimals, tag, "second", revoked)
                for client in self.order[work]
                for at, (value, decimals, tag, revoked, _) in enumerate(self.entries[work, client])
            ]
            assert columns(self.reputation.readAllFeedback(work, [], "", "", True)) == rows
            assert feedback_rows(self.reputation, work, [], 2) == rows
            assert self.reputation.getClients(work) == self.order[work]
            assert self.reputation.client_count(work) == len(self.order[work])
            assert self.reputation.clients_page(work, 1, 2) == self.order[work][1:3]

    @invariant()
    def the_summary_of_the_parts_is_the_summary(self) -> None:
        for work in self.agents:
            kept = [
                (entry[0], entry[1])
                for client in CLIENTS
                for entry in self.entries.get((work, client), [])
                if entry[2] == "a" and not entry[3]
            ]
            assert self.reputation.getSummary(work, CLIENTS, "a", "") == reference_summary(kept)
            count, total, offset = 0, 0, 0
            while True:
                part, amount, _, offset = self.reputation.summary_page(work, CLIENTS, "a", "", offset, 3)
                count, total = count + part, total + amount
                if offset == 0:
                    break
            assert (count, total) == (len(kept), sum(value * 10 ** (18 - places) for value, places in kept))

    @invariant()
    def every_response_is_counted_once(self) -> None:
        for work in self.agents:
            given = [
                responder
                for client in self.order[work]
                for entry in self.entries[work, client]
                for responder in entry[4]
            ]
            assert self.reputation.getResponseCount(work, NOBODY, 0, []) == len(given)
            mine = sum(1 for responder in given if responder == RESPONDERS[0])
            assert self.reputation.getResponseCount(work, NOBODY, 0, RESPONDERS[:1]) == mine
            count, offset = self.reputation.response_count_page(work, NOBODY, [], 0, 2)
            while offset:
                part, offset = self.reputation.response_count_page(work, NOBODY, [], offset, 2)
                count += part
            assert count == len(given)


ReputationMachine.TestCase.settings = settings(max_examples=6, stateful_step_count=12, deadline=None)
TestReputation = ReputationMachine.TestCase


def test_filling_the_lists_does_not_make_anothers_write_dearer(reputation, agent):
    newcomer = account("newcomer")

    def cost() -> int:
        with fresh_chain():
            give(reputation, agent, newcomer, 1, tag1="quality")
            return int(reputation._computation.get_gas_used())

    give(reputation, agent, CLIENTS[0], 1, tag1="quality")
    before = cost()
    for number in range(60):
        spammer = account(f"spammer {number}")
        give(reputation, agent, spammer, 1, tag1="quality")
        respond(reputation, agent, CLIENTS[0], 1, spammer)
    assert cost() <= before
