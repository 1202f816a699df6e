# SPDX-License-Identifier: Apache-2.0
"""The actions, in order: each is done where the ones before it led."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tests.conformance.erc8004.symbols import (
    IDENTITY,
    PASSER,
    REPUTATION,
    VALIDATION,
    Agent,
    Later,
    Step,
    WalletProof,
    Who,
    digest,
)

A, B, C, D, E = (Agent(number) for number in range(5))
PASSED_ON, MISSING = Agent(7), Agent(99)
OWNER, OTHER, OPERATOR, APPROVED, CLIENT, SECOND, VALIDATOR, WALLET, STRANGER = (
    Who(role)
    for role in (
        "owner", "other", "operator", "approved", "client", "second", "validator", "wallet", "stranger",
    )
)  # fmt: skip
NOBODY, GOOD, WRONG, REFUSES = (
    Who(role) for role in ("nobody", "good receiver", "wrong receiver", "refuser")
)
URI, OTHER_URI = "ipfs://bafkreiagent", "https://agent.example/file.json"
LARGEST: Final = 10**38
LAST: Final = 2**128 // 2 - 1

BOUND_URI = "URIs have at most 2,048 bytes here."
BOUND_KEY = "Metadata keys have at most 64 bytes here."
BOUND_VALUE = "Metadata values have at most 4,096 bytes here."
BOUND_TAG = "Tags have at most 64 bytes here, 128 where they are searched for."
BOUND_ENTRIES = "A registration has at most 16 metadata entries here."
EMPTY_URI = "An empty URI given at registration is as none: ERC-4906's MetadataUpdate is not told of it."
NAMES = "The NFT is called Koinon Works, WORK."
INTERFACES = "Royalties (ERC-2981) are supported too."
BOUND_LIST = "At most 1,024 addresses are searched for at once here."
RECEIVER = "A contract that receives an agent is told of it here after everything is written and logged."
NO_OWNER = "Nobody owns the registry: there is no owner and no upgrade."


def identity(actor: Who, function: str, *arguments: Any, differs: str = "") -> Step:
    return Step(actor.role, IDENTITY, function, arguments, differs)


def reputation(actor: Who, function: str, *arguments: Any, differs: str = "") -> Step:
    return Step(actor.role, REPUTATION, function, arguments, differs)


def validation(actor: Who, function: str, *arguments: Any, differs: str = "") -> Step:
    return Step(actor.role, VALIDATION, function, arguments, differs)


REGISTER = "register()"
REGISTER_URI = "register(string)"
REGISTER_ALL = "register(string,(string,bytes)[])"
SET_WALLET = "setAgentWallet(uint256,address,uint256,bytes)"
SAFE, SAFE_DATA = (
    "safeTransferFrom(address,address,uint256)",
    "safeTransferFrom(address,address,uint256,bytes)",
)
GIVE = "giveFeedback(uint256,int128,uint8,string,string,string,string,bytes32)"
SUMMARY = "getSummary(uint256,address[],string,string)"
READ_ALL = "readAllFeedback(uint256,address[],string,string,bool)"
COUNT = "getResponseCount(uint256,address,uint64,address[])"


def registering() -> Iterator[Step]:
    yield identity(STRANGER, "name()", differs=NAMES)
    yield identity(STRANGER, "symbol()", differs=NAMES)
    yield identity(STRANGER, "getVersion()")
    yield identity(STRANGER, "owner()", differs=NO_OWNER)
    for interface in ("01ffc9a7", "80ac58cd", "5b5e139f", "49064906", "ffffffff", "780e9d63"):
        yield identity(STRANGER, "supportsInterface(bytes4)", bytes.fromhex(interface))
    yield identity(STRANGER, "supportsInterface(bytes4)", bytes.fromhex("2a55205a"), differs=INTERFACES)
    yield identity(OWNER, REGISTER)
    yield identity(OWNER, REGISTER_URI, URI)
    yield identity(OWNER, REGISTER_ALL, URI, [("kind", b"model"), ("empty", b""), ("kind", b"later")])
    yield identity(OTHER, REGISTER_ALL, OTHER_URI, [])
    yield identity(OWNER, REGISTER_ALL, URI, [("agentWallet", b"\1" * 20)])
    yield identity(OWNER, REGISTER_URI, "", differs=EMPTY_URI)
    yield identity(OWNER, REGISTER_URI, "é漢字🙂" * 4)
    yield identity(OWNER, REGISTER_URI, "u" * 2_048)
    for agent in (A, B, C, D, MISSING):
        for function in ("ownerOf", "tokenURI", "getApproved", "getAgentWallet"):
            yield identity(STRANGER, f"{function}(uint256)", agent)
        for key in ("kind", "empty", "agentWallet", "never"):
            yield identity(STRANGER, "getMetadata(uint256,string)", agent, key)
    for account in (OWNER, OTHER, STRANGER, NOBODY):
        yield identity(STRANGER, "balanceOf(address)", account)


def changing() -> Iterator[Step]:
    yield identity(OWNER, "approve(address,uint256)", APPROVED, B)
    yield identity(OWNER, "setApprovalForAll(address,bool)", OPERATOR, True)
    yield identity(OWNER, "setApprovalForAll(address,bool)", NOBODY, True)
    yield identity(STRANGER, "approve(address,uint256)", STRANGER, B)
    yield identity(APPROVED, "approve(address,uint256)", STRANGER, B)
    yield identity(STRANGER, "approve(address,uint256)", STRANGER, MISSING)
    yield identity(STRANGER, "isApprovedForAll(address,address)", OWNER, OPERATOR)
    for actor in (OWNER, OPERATOR, APPROVED, STRANGER):
        yield identity(actor, "isAuthorizedOrOwner(address,uint256)", actor, B)
        yield identity(actor, "setMetadata(uint256,string,bytes)", B, "by", actor.role.encode())
        yield identity(actor, "setMetadata(uint256,string,bytes)", B, "agentWallet", b"\2" * 20)
        yield identity(actor, "setAgentURI(uint256,string)", B, f"ipfs://{actor.role}")
    yield identity(STRANGER, "isAuthorizedOrOwner(address,uint256)", STRANGER, MISSING)
    yield identity(STRANGER, "isAuthorizedOrOwner(address,uint256)", NOBODY, A)
    yield identity(STRANGER, "setMetadata(uint256,string,bytes)", MISSING, "by", b"")
    yield identity(STRANGER, "setAgentURI(uint256,string)", MISSING, URI)
    yield identity(OWNER, "setAgentURI(uint256,string)", B, "")
    yield identity(STRANGER, "tokenURI(uint256)", B)
    yield identity(OWNER, "setAgentURI(uint256,string)", B, URI)
    yield identity(OWNER, "setMetadata(uint256,string,bytes)", B, "", b"no key")
    yield identity(STRANGER, "getMetadata(uint256,string)", B, "")
    yield identity(OWNER, "setMetadata(uint256,string,bytes)", B, "k" * 64, b"v" * 4_096)
    yield identity(OWNER, "setMetadata(uint256,string,bytes)", B, "by", b"")
    yield identity(STRANGER, "getMetadata(uint256,string)", B, "by")


def wallets() -> Iterator[Step]:
    def proof(agent: Agent = B, seconds: int = 200, wallet: str = "wallet", **how: Any) -> WalletProof:
        return WalletProof(agent, wallet, how.pop("owner", "owner"), seconds, **how)

    def sent(actor: Who, wallet: Who, seconds: int, proven: Any, agent: Agent = B) -> Step:
        return identity(actor, SET_WALLET, agent, wallet, Later(seconds), proven)

    yield sent(STRANGER, WALLET, 200, proof())
    yield sent(OWNER, NOBODY, 200, proof())
    yield sent(OWNER, WALLET, -10, proof(seconds=-10))
    yield sent(OWNER, WALLET, 4_000, proof(seconds=4_000))
    yield sent(OWNER, WALLET, 200, proof(signer="stranger"))
    yield sent(OWNER, WALLET, 200, proof(agent=C))
    yield sent(OWNER, WALLET, 200, proof(owner="other"))
    yield sent(OWNER, WALLET, 200, proof(seconds=201))
    yield sent(OWNER, WALLET, 200, b"")
    yield sent(OWNER, WALLET, 200, b"\1" * 65)
    yield sent(OWNER, GOOD, 200, proof(wallet="good receiver", signer="wallet"))
    yield sent(OWNER, WALLET, 200, proof(agent=MISSING), MISSING)
    yield sent(OWNER, WALLET, 200, proof())
    yield identity(STRANGER, "getAgentWallet(uint256)", B)
    yield identity(STRANGER, "getMetadata(uint256,string)", B, "agentWallet")
    yield identity(STRANGER, "unsetAgentWallet(uint256)", B)
    yield identity(STRANGER, "unsetAgentWallet(uint256)", MISSING)
    yield identity(APPROVED, "unsetAgentWallet(uint256)", B)
    yield identity(STRANGER, "getAgentWallet(uint256)", B)
    yield identity(OWNER, "unsetAgentWallet(uint256)", B)
    yield sent(OPERATOR, WALLET, 250, proof(seconds=250))


def moving() -> Iterator[Step]:
    yield identity(STRANGER, "transferFrom(address,address,uint256)", OWNER, STRANGER, B)
    yield identity(OWNER, "transferFrom(address,address,uint256)", OTHER, STRANGER, B)
    yield identity(OWNER, "transferFrom(address,address,uint256)", OWNER, NOBODY, B)
    yield identity(OWNER, "transferFrom(address,address,uint256)", OWNER, STRANGER, MISSING)
    yield identity(APPROVED, "transferFrom(address,address,uint256)", OWNER, OTHER, B)
    yield identity(STRANGER, "getAgentWallet(uint256)", B)
    yield identity(STRANGER, "getMetadata(uint256,string)", B, "agentWallet")
    yield identity(STRANGER, "getApproved(uint256)", B)
    yield identity(OPERATOR, "transferFrom(address,address,uint256)", OTHER, OWNER, B)
    yield identity(OTHER, SAFE, OTHER, OWNER, B)
    for receiver in (WRONG, REFUSES, Who(IDENTITY)):
        yield identity(OWNER, SAFE_DATA, OWNER, receiver, B, b"data")
    yield identity(OWNER, SAFE_DATA, OWNER, GOOD, C, b"data")
    yield identity(STRANGER, "ownerOf(uint256)", C)
    yield identity(STRANGER, "balanceOf(address)", GOOD)
    yield identity(OWNER, "transferFrom(address,address,uint256)", OWNER, OWNER, A)
    yield identity(STRANGER, "getAgentWallet(uint256)", A)
    yield Step("stranger", PASSER, "register(address)", (Who(IDENTITY),), RECEIVER)
    for function in ("ownerOf", "tokenURI", "getAgentWallet"):
        yield identity(STRANGER, f"{function}(uint256)", PASSED_ON)


def speaking() -> Iterator[Step]:
    yield reputation(STRANGER, "getIdentityRegistry()")
    yield reputation(STRANGER, "getVersion()")
    text = ("quality", "week 1", "https://agent.example", "ipfs://feedback", digest("feedback"))
    for actor in (OWNER, OPERATOR):
        yield reputation(actor, GIVE, A, 87, 0, *text)
    yield reputation(CLIENT, GIVE, MISSING, 87, 0, *text)
    yield reputation(CLIENT, GIVE, A, 87, 19, *text)
    for value in (LARGEST + 1, -LARGEST - 1, LAST, -LAST - 1):
        yield reputation(CLIENT, GIVE, A, value, 0, *text)
    for client, value, decimals, tag1, tag2 in (
        (CLIENT, 87, 0, "quality", "week 1"),
        (CLIENT, -5, 1, "quality", ""),
        (CLIENT, 9977, 2, "uptime", "week 1"),
        (SECOND, 0, 0, "", ""),
        (SECOND, LARGEST, 18, "huge", ""),
        (SECOND, -LARGEST, 0, "huge", "negative"),
        (SECOND, LARGEST, 0, "wraps", ""),
        (SECOND, 7, 3, "quality", "漢字"),
        (STRANGER, 1, 18, "q" * 64, "w" * 64),
    ):
        yield reputation(client, GIVE, A, value, decimals, tag1, tag2, "", "", bytes(32))
    yield reputation(CLIENT, GIVE, D, 100, 0, *text)
    yield reputation(STRANGER, "getClients(uint256)", A)
    yield reputation(STRANGER, "getClients(uint256)", MISSING)
    for client in (CLIENT, SECOND, STRANGER, OWNER):
        yield reputation(STRANGER, "getLastIndex(uint256,address)", A, client)
        for index in (0, 1, 2, 4, 5, 6):
            yield reputation(STRANGER, "readFeedback(uint256,address,uint64)", A, client, index)


def revoking() -> Iterator[Step]:
    for index in (0, 2, 2, 4):
        yield reputation(CLIENT, "revokeFeedback(uint256,uint64)", A, index)
    yield reputation(OWNER, "revokeFeedback(uint256,uint64)", A, 1)
    yield reputation(STRANGER, "readFeedback(uint256,address,uint64)", A, CLIENT, 2)
    append = "appendResponse(uint256,address,uint64,string,bytes32)"
    for actor, client, index, uri in (
        (OWNER, CLIENT, 1, "ipfs://thanks"),
        (OWNER, CLIENT, 1, "ipfs://again"),
        (STRANGER, CLIENT, 1, "ipfs://me too"),
        (STRANGER, CLIENT, 2, "ipfs://on a revoked one"),
        (OWNER, SECOND, 1, "ipfs://no"),
        (OWNER, CLIENT, 0, "ipfs://zero"),
        (OWNER, CLIENT, 9, "ipfs://none"),
        (OWNER, CLIENT, 1, ""),
        (OWNER, OTHER, 1, "ipfs://never spoke"),
    ):
        yield reputation(actor, append, A, client, index, uri, digest(uri[-8:]))
    for client, index in (
        (CLIENT, 1),
        (CLIENT, 0),
        (CLIENT, 2),
        (CLIENT, 9),
        (SECOND, 0),
        (NOBODY, 0),
        (NOBODY, 3),
    ):
        for responders in ([], [OWNER], [OWNER, STRANGER], [OWNER, OWNER], [OTHER]):
            yield reputation(STRANGER, COUNT, A, client, index, responders)


def summing() -> Iterator[Step]:
    lists = ([CLIENT], [SECOND], [CLIENT, SECOND], [CLIENT, CLIENT], [OTHER], [CLIENT, SECOND, STRANGER])
    yield reputation(STRANGER, SUMMARY, A, [], "", "")
    tags = (
        ("", ""),
        ("quality", ""),
        ("", "week 1"),
        ("quality", "漢字"),
        ("huge", ""),
        ("wraps", ""),
        ("none", ""),
    )
    for clients in lists:
        for tag1, tag2 in tags:
            yield reputation(STRANGER, SUMMARY, A, clients, tag1, tag2)
    for clients in ([], *lists):
        for revoked in (False, True):
            yield reputation(STRANGER, READ_ALL, A, clients, "", "", revoked)
        yield reputation(STRANGER, READ_ALL, A, clients, "quality", "", False)
    yield reputation(STRANGER, READ_ALL, MISSING, [], "", "", True)
    yield reputation(STRANGER, SUMMARY, MISSING, [CLIENT], "", "")


def validating() -> Iterator[Step]:
    ask = "validationRequest(address,uint256,string,bytes32)"
    answer = "validationResponse(bytes32,uint8,string,bytes32,string)"
    yield validation(STRANGER, "getIdentityRegistry()")
    yield validation(STRANGER, "getVersion()")
    yield validation(STRANGER, ask, VALIDATOR, A, "ipfs://check", digest("one"))
    yield validation(OWNER, ask, NOBODY, A, "ipfs://check", digest("one"))
    yield validation(OWNER, ask, VALIDATOR, MISSING, "ipfs://check", digest("one"))
    yield validation(OWNER, ask, VALIDATOR, A, "ipfs://check", digest("one"))
    yield validation(OWNER, ask, VALIDATOR, A, "ipfs://check", digest("one"))
    yield validation(OTHER, ask, VALIDATOR, D, "ipfs://check", digest("one"))
    yield validation(OPERATOR, ask, VALIDATOR, A, "", digest("two"))
    yield validation(OWNER, ask, SECOND, A, "ipfs://check", digest("three"))
    yield validation(OTHER, ask, VALIDATOR, D, "ipfs://check", digest("four"))
    yield validation(OWNER, ask, VALIDATOR, A, "ipfs://zero", bytes(32))
    yield validation(STRANGER, "getValidationStatus(bytes32)", digest("one"))
    yield validation(STRANGER, "getValidationStatus(bytes32)", digest("never"))
    evidence = ("ipfs://evidence", digest("evidence"))
    yield validation(VALIDATOR, answer, digest("never"), 100, *evidence, "")
    yield validation(OWNER, answer, digest("one"), 100, *evidence, "")
    yield validation(VALIDATOR, answer, digest("one"), 101, *evidence, "")
    for name, response, tag in (
        ("one", 60, "soft"),
        ("one", 81, "hard"),
        ("two", 0, ""),
        ("four", 100, "hard"),
    ):
        yield validation(VALIDATOR, answer, digest(name), response, *evidence, tag)
        yield validation(STRANGER, "getValidationStatus(bytes32)", digest(name))
    yield validation(SECOND, answer, digest("three"), 50, "", bytes(32), "t" * 64)
    summary = "getSummary(uint256,address[],string)"
    for agent in (A, D, MISSING):
        for validators in ([], [VALIDATOR], [SECOND], [VALIDATOR, SECOND], [OTHER], [VALIDATOR, VALIDATOR]):
            for tag in ("", "hard", "soft"):
                yield validation(STRANGER, summary, agent, validators, tag)
        yield validation(STRANGER, "getAgentValidations(uint256)", agent)
    for validator in (VALIDATOR, SECOND, OTHER, NOBODY):
        yield validation(STRANGER, "getValidatorRequests(address)", validator)


def beyond_our_bounds() -> Iterator[Step]:
    """What the reference takes and ours refuses, because its strings have a length."""
    yield identity(OWNER, "setAgentURI(uint256,string)", A, "u" * 2_049, differs=BOUND_URI)
    yield identity(OWNER, "setMetadata(uint256,string,bytes)", A, "k" * 65, b"", differs=BOUND_KEY)
    yield identity(OWNER, "setMetadata(uint256,string,bytes)", A, "k", b"v" * 4_097, differs=BOUND_VALUE)
    entries = [(f"key {number}", b"") for number in range(17)]
    yield identity(OWNER, REGISTER_ALL, "", entries, differs=BOUND_ENTRIES)
    text = ("", "", "", bytes(32))
    yield reputation(CLIENT, GIVE, A, 1, 0, "t" * 65, *text, differs=BOUND_TAG)
    yield reputation(CLIENT, GIVE, A, 1, 0, "", "", "", "u" * 2_049, bytes(32), differs=BOUND_URI)
    long = (VALIDATOR, A, "u" * 2_049, digest("long"))
    yield validation(OWNER, "validationRequest(address,uint256,string,bytes32)", *long, differs=BOUND_URI)
    yield reputation(STRANGER, SUMMARY, A, [CLIENT] * 1_025, "", "", differs=BOUND_LIST)


TABLE: Final = (
    *registering(),
    *changing(),
    *wallets(),
    *moving(),
    *speaking(),
    *revoking(),
    *summing(),
    *validating(),
    *beyond_our_bounds(),
)
