# SPDX-License-Identifier: Apache-2.0
"""Validation: the ERC-8004 Validation Registry, held to the reference's tests and its ABI."""

from __future__ import annotations

from typing import Any

import boa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from koinon.chain.abi import Event, Function
from koinon.chain.hashing import keccak256
from tests.contracts_support import NOBODY, account, deploy, deploy_hall, events, fresh_chain
from tests.works.contracts.support import pretend_length

AGENT_OWNER = account("owner of the agent")
VALIDATORS = [account(f"validator {number}") for number in range(3)]
STRANGER = account("stranger")
ZERO_HASH = b"\x00" * 32
REQUEST = keccak256(b"request")

# The standard's signatures, typed from EIP-8004 and abis/ValidationRegistry.json.
FUNCTIONS = {
    "validationRequest(address,uint256,string,bytes32)": (),
    "validationResponse(bytes32,uint8,string,bytes32,string)": (),
    "getIdentityRegistry()": ("address",),
    "getVersion()": ("string",),
    "getValidationStatus(bytes32)": ("address", "uint256", "uint8", "bytes32", "string", "uint256"),
    "getSummary(uint256,address[],string)": ("uint64", "uint8"),
    "getAgentValidations(uint256)": ("bytes32[]",),
    "getValidatorRequests(address)": ("bytes32[]",),
}
EVENTS = {
    "ValidationRequest(address,uint256,string,bytes32)": (0, 1, 3),
    "ValidationResponse(address,uint256,bytes32,uint8,string,bytes32,string)": (0, 1, 2),
}


@pytest.fixture(scope="module")
def hall():
    with fresh_chain():
        yield deploy_hall()


@pytest.fixture(scope="module")
def validation(hall):
    return deploy("works", "Validation", hall.works.address)


@pytest.fixture(autouse=True)
def _undo(validation):
    with fresh_chain():
        yield


@pytest.fixture
def agent(hall):
    return hall.publish(AGENT_OWNER, uri="ipfs://agent")


def ask(validation: Any, agent: int, validator: str, request: bytes = REQUEST, by: str = AGENT_OWNER) -> None:
    validation.validationRequest(validator, agent, "ipfs://request", request, sender=by)


def answer(validation: Any, validator: str, response: int, request: bytes = REQUEST, tag: str = "") -> None:
    validation.validationResponse(request, response, "ipfs://response", ZERO_HASH, tag, sender=validator)


# --- the ABI ---------------------------------------------------------------------------------------------


def test_every_function_of_the_standard_is_there_with_its_selector_and_outputs(validation):
    ours = {
        Function(entry).signature: tuple(output["type"] for output in entry["outputs"])
        for entry in validation.abi
        if entry["type"] == "function"
    }
    for signature, outputs in FUNCTIONS.items():
        assert ours.get(signature) == outputs, signature


def test_every_event_of_the_standard_has_its_topic_and_its_indexed_arguments(validation):
    ours = {}
    for entry in validation.abi:
        if entry["type"] == "event":
            indexed = tuple(at for at, argument in enumerate(entry["inputs"]) if argument["indexed"])
            ours[Event(entry).topic] = indexed
    assert ours == {keccak256(signature.encode()): indexed for signature, indexed in EVENTS.items()}


# --- the reference's own cases ---------------------------------------------------------------------------


def test_the_identity_registry_is_works(validation, hall):
    assert validation.getIdentityRegistry() == hall.works.address
    assert validation.getVersion() == "2.0.0"


def test_no_registry_is_refused():
    with boa.reverts("bad identity"):
        deploy("works", "Validation", NOBODY)


def test_a_request_is_announced_and_pending(validation, agent):
    ask(validation, agent, VALIDATORS[0])
    (event,) = events(validation, "ValidationRequest")
    assert event == {
        "validatorAddress": VALIDATORS[0],
        "agentId": agent,
        "requestURI": "ipfs://request",
        "requestHash": REQUEST,
    }
    now = boa.env.evm.patch.timestamp
    assert validation.getValidationStatus(REQUEST) == (VALIDATORS[0], agent, 0, ZERO_HASH, "", now)
    assert validation.getSummary(agent, [], "") == (0, 0)


def test_an_answer_is_announced_and_kept(validation, agent):
    ask(validation, agent, VALIDATORS[0])
    boa.env.time_travel(seconds=60)
    response_hash = keccak256(b"response data")
    validation.validationResponse(
        REQUEST, 100, "ipfs://validation-response", response_hash, "passed", sender=VALIDATORS[0]
    )
    (event,) = events(validation, "ValidationResponse")
    assert event == {
        "validatorAddress": VALIDATORS[0],
        "agentId": agent,
        "requestHash": REQUEST,
        "response": 100,
        "responseURI": "ipfs://validation-response",
        "responseHash": response_hash,
        "tag": "passed",
    }
    now = boa.env.evm.patch.timestamp
    assert validation.getValidationStatus(REQUEST) == (
        VALIDATORS[0],
        agent,
        100,
        response_hash,
        "passed",
        now,
    )


@pytest.mark.parametrize("response", [0, 67, 100])
def test_every_answer_from_0_to_100_is_accepted(validation, agent, response):
    ask(validation, agent, VALIDATORS[0])
    answer(validation, VALIDATORS[0], response)
    assert validation.getValidationStatus(REQUEST)[2] == response
    assert validation.getSummary(agent, [], "") == (1, response)


def test_a_later_answer_replaces_an_earlier_one(validation, agent):
    ask(validation, agent, VALIDATORS[0])
    answer(validation, VALIDATORS[0], 80, tag="soft-finality")
    answer(validation, VALIDATORS[0], 100, tag="hard-finality")
    assert validation.getValidationStatus(REQUEST)[2:5] == (100, ZERO_HASH, "hard-finality")
    assert validation.getSummary(agent, [], "soft-finality") == (0, 0)
    assert validation.getSummary(agent, [], "hard-finality") == (1, 100)
    answer(validation, VALIDATORS[0], 90)
    assert validation.getValidationStatus(REQUEST)[2:5] == (90, ZERO_HASH, "")


def test_the_summary_averages_answers_by_validator_and_tag(validation, agent):
    requests = [keccak256(bytes([number])) for number in range(4)]
    for number, validator in enumerate((0, 1, 1, 2)):
        ask(validation, agent, VALIDATORS[validator], requests[number])
    answer(validation, VALIDATORS[0], 80, requests[0], "quality")
    answer(validation, VALIDATORS[1], 100, requests[1], "quality")
    answer(validation, VALIDATORS[1], 33, requests[2], "speed")
    assert validation.getSummary(agent, [], "") == (3, 71)
    assert validation.getSummary(agent, [], "quality") == (2, 90)
    assert validation.getSummary(agent, [VALIDATORS[1]], "") == (2, 66)
    assert validation.getSummary(agent, VALIDATORS[:2], "speed") == (1, 33)
    assert validation.getSummary(agent, [STRANGER], "") == (0, 0)
    assert validation.getSummary(agent, [], "0x" + "00" * 32) == (0, 0)
    assert validation.getAgentValidations(agent) == requests
    assert validation.getValidatorRequests(VALIDATORS[1]) == requests[1:3]
    assert validation.agent_validation_count(agent) == 4
    assert validation.validator_request_count(VALIDATORS[1]) == 2
    assert validation.agent_validations_page(agent, 1, 2) == requests[1:3]
    assert validation.validator_requests_page(VALIDATORS[1], 1, 9) == requests[2:3]
    assert validation.validator_requests_page(VALIDATORS[1], 2, 9) == []


def test_operators_may_ask(validation, hall, agent):
    hall.works.approve(STRANGER, agent, sender=AGENT_OWNER)
    ask(validation, agent, VALIDATORS[0], by=STRANGER)
    assert validation.getValidationStatus(REQUEST)[0] == VALIDATORS[0]


# --- refusals --------------------------------------------------------------------------------------------


def test_a_request_needs_a_validator_and_a_fresh_hash(validation, agent):
    with boa.reverts("bad validator"):
        ask(validation, agent, NOBODY)
    ask(validation, agent, VALIDATORS[0])
    with boa.reverts("exists"):
        ask(validation, agent, VALIDATORS[1])


def test_only_owner_or_operator_may_ask_and_only_about_a_work_that_exists(validation, agent):
    with boa.reverts("Not authorized"):
        ask(validation, agent, VALIDATORS[0], by=STRANGER)
    with boa.reverts():
        ask(validation, 999, VALIDATORS[0])


def test_only_the_validator_named_may_answer_0_to_100(validation, agent):
    with boa.reverts("unknown"):
        answer(validation, VALIDATORS[0], 1)
    ask(validation, agent, VALIDATORS[0])
    for other in (VALIDATORS[1], AGENT_OWNER):
        with boa.reverts("not validator"):
            answer(validation, other, 100)
    with boa.reverts("resp>100"):
        answer(validation, VALIDATORS[0], 101)


def test_the_status_of_no_request_is_refused(validation):
    with boa.reverts("unknown"):
        validation.getValidationStatus(REQUEST)


def test_longer_lists_than_the_unpaged_readers_return_are_read_by_pages(validation, agent):
    ask(validation, agent, VALIDATORS[0])
    pretend_length(validation, "_of_agent_count", agent, 4097)
    pretend_length(validation, "_of_validator_count", VALIDATORS[0], 4097)
    with boa.reverts("too many: use agent_validations_page"):
        validation.getAgentValidations(agent)
    with boa.reverts("too many: use validator_requests_page"):
        validation.getValidatorRequests(VALIDATORS[0])
    assert validation.agent_validations_page(agent, 0, 1) == [REQUEST]
    assert validation.validator_requests_page(VALIDATORS[0], 0, 1) == [REQUEST]


# --- a life of its own -----------------------------------------------------------------------------------


class ValidationMachine(RuleBasedStateMachine):
    """Requests and answers in any order, against a plain Python record of them."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = fresh_chain()
        self.anchor.__enter__()
        hall = deploy_hall()
        self.validation = deploy("works", "Validation", hall.works.address)
        self.agents = [hall.publish(AGENT_OWNER) for _ in range(2)]
        self.requests: dict[bytes, list[Any]] = {}

    def teardown(self) -> None:
        self.anchor.__exit__(None, None, None)

    @rule(agent=st.integers(0, 1), validator=st.sampled_from(VALIDATORS), seed=st.integers(0, 20))
    def ask(self, agent: int, validator: str, seed: int) -> None:
        request = keccak256(bytes([seed]))
        if request in self.requests:
            with boa.reverts("exists"):
                ask(self.validation, self.agents[agent], validator, request)
        else:
            ask(self.validation, self.agents[agent], validator, request)
            self.requests[request] = [self.agents[agent], validator, None, ""]

    @rule(
        who=st.sampled_from(VALIDATORS),
        seed=st.integers(0, 20),
        response=st.integers(0, 110),
        tag=st.sampled_from(["", "soft", "hard"]),
    )
    def answer(self, who: str, seed: int, response: int, tag: str) -> None:
        request = keccak256(bytes([seed]))
        known = self.requests.get(request)
        if known is not None and known[1] == who and response <= 100:
            answer(self.validation, who, response, request, tag)
            known[2:] = [response, tag]
        else:
            with boa.reverts():
                answer(self.validation, who, response, request, tag)

    @invariant()
    def summaries_and_lists_are_what_was_asked_and_answered(self) -> None:
        for agent in self.agents:
            mine = {request: known for request, known in self.requests.items() if known[0] == agent}
            assert self.validation.getAgentValidations(agent) == list(mine)
            for tag in ("", "hard"):
                answers = [
                    known[2] for known in mine.values() if known[2] is not None and tag in ("", known[3])
                ]
                average = sum(answers) // len(answers) if answers else 0
                assert self.validation.getSummary(agent, [], tag) == (len(answers), average)
                count, total, offset = self.validation.summary_page(agent, [], tag, 0, 2)
                while offset:
                    part, amount, offset = self.validation.summary_page(agent, [], tag, offset, 2)
                    count, total = count + part, total + amount
                assert (count, total) == (len(answers), sum(answers))


ValidationMachine.TestCase.settings = settings(max_examples=6, stateful_step_count=15, deadline=None)
TestValidation = ValidationMachine.TestCase


def test_filling_the_lists_does_not_make_anothers_write_dearer(validation, hall, agent):
    def cost() -> int:
        with fresh_chain():
            ask(validation, agent, VALIDATORS[0], keccak256(b"mine"))
            return int(validation._computation.get_gas_used())

    ask(validation, agent, VALIDATORS[0], keccak256(b"first"))
    before = cost()
    other = hall.publish(STRANGER)
    for number in range(60):
        ask(validation, other, VALIDATORS[0], keccak256(bytes([number, 1])), by=STRANGER)
    assert cost() <= before
