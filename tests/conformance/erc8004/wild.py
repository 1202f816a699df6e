# SPDX-License-Identifier: Apache-2.0
"""Actions drawn at random from what the table is made of: orders nobody thought of."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.conformance.erc8004.symbols import (
    IDENTITY,
    REPUTATION,
    VALIDATION,
    Agent,
    Later,
    Step,
    WalletProof,
    Who,
    digest,
)
from tests.conformance.erc8004.table import (
    COUNT,
    GIVE,
    READ_ALL,
    REGISTER,
    REGISTER_ALL,
    REGISTER_URI,
    SUMMARY,
)

ROLES: Final = ("owner", "other", "operator", "client", "second", "validator", "stranger")
URIS: Final = ("ipfs://a", "https://b.example", "漢字")
TAGS: Final = ("", "starred", "uptime", "t" * 64)
KEYS: Final = ("kind", "agentWallet", "", "k" * 64)
HASHES: Final = tuple(digest(f"request {number}") for number in range(6))
VALUES: Final = (0, 1, -1, 87, 9_977, -(10**38), 10**38, 10**38 + 1)


class Wild:
    """Draws steps; the same seed draws the same."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.kinds: tuple[Callable[[], Step], ...] = (
            self.register, self.move, self.allow, self.write, self.prove, self.speak, self.speak,
            self.take_back, self.respond, self.ask, self.answer, self.read, self.read, self.read,
        )  # fmt: skip

    def steps(self, count: int) -> list[Step]:
        """So many; the first registers an agent."""
        first = Step("owner", IDENTITY, REGISTER)
        return [first, *(self.dice.choice(self.kinds)() for _ in range(count - 1))]

    def one(self, choices: Sequence[Any]) -> Any:
        return self.dice.choice(choices)

    def who(self) -> Who:
        return Who(self.one((*ROLES, "good receiver", "wrong receiver", "nobody")))

    def agent(self) -> Agent:
        return Agent(self.dice.randrange(8))

    def done(self, contract: str, function: str, *arguments: Any) -> Step:
        return Step(self.one(ROLES), contract, function, arguments)

    def register(self) -> Step:
        function = self.one((REGISTER, REGISTER_URI, REGISTER_ALL))
        entries = [(self.one(KEYS), self.one((b"", b"value"))) for _ in range(self.dice.randrange(3))]
        given = {REGISTER: (), REGISTER_URI: (self.one(URIS),), REGISTER_ALL: (self.one(URIS), entries)}
        return self.done(IDENTITY, function, *given[function])

    def move(self) -> Step:
        function = self.one(("transferFrom", "safeTransferFrom"))
        return self.done(
            IDENTITY, f"{function}(address,address,uint256)", self.who(), self.who(), self.agent()
        )

    def allow(self) -> Step:
        if self.dice.random() < 0.5:
            return self.done(IDENTITY, "approve(address,uint256)", self.who(), self.agent())
        return self.done(IDENTITY, "setApprovalForAll(address,bool)", self.who(), self.dice.random() < 0.7)

    def write(self) -> Step:
        if self.dice.random() < 0.5:
            return self.done(IDENTITY, "setAgentURI(uint256,string)", self.agent(), self.one(("", *URIS)))
        value = self.one((b"", b"value", b"v" * 4_096))
        return self.done(IDENTITY, "setMetadata(uint256,string,bytes)", self.agent(), self.one(KEYS), value)

    def prove(self) -> Step:
        if self.dice.random() < 0.3:
            return self.done(IDENTITY, "unsetAgentWallet(uint256)", self.agent())
        agent, seconds = self.agent(), self.one((-5, 100, 250, 4_000))
        proof = WalletProof(agent, "wallet", self.one(("owner", "other")), seconds)
        function = "setAgentWallet(uint256,address,uint256,bytes)"
        return self.done(IDENTITY, function, agent, Who("wallet"), Later(seconds), proof)

    def speak(self) -> Step:
        decimals = self.one((0, 0, 1, 2, 18, 19))
        tags = (self.one(TAGS), self.one(TAGS))
        rest = ("https://a.example", self.one(URIS), digest("feedback"))
        return self.done(REPUTATION, GIVE, self.agent(), self.one(VALUES), decimals, *tags, *rest)

    def take_back(self) -> Step:
        return self.done(REPUTATION, "revokeFeedback(uint256,uint64)", self.agent(), self.dice.randrange(4))

    def respond(self) -> Step:
        function = "appendResponse(uint256,address,uint64,string,bytes32)"
        uri = self.one(("", *URIS))
        return self.done(
            REPUTATION, function, self.agent(), self.who(), self.dice.randrange(4), uri, digest("response")
        )

    def ask(self) -> Step:
        function = "validationRequest(address,uint256,string,bytes32)"
        return self.done(VALIDATION, function, self.who(), self.agent(), self.one(URIS), self.one(HASHES))

    def answer(self) -> Step:
        function = "validationResponse(bytes32,uint8,string,bytes32,string)"
        response = self.one((0, 50, 100, 101))
        return self.done(
            VALIDATION, function, self.one(HASHES), response, self.one(URIS), digest("e"), self.one(TAGS)
        )

    def read(self) -> Step:
        agent, who, index = self.agent(), self.who(), self.dice.randrange(4)
        several = [self.who() for _ in range(self.dice.randrange(4))]
        tags = (self.one(TAGS), self.one(TAGS))
        choices: list[Step] = [
            *(self.done(IDENTITY, f"{name}(uint256)", agent)
              for name in ("ownerOf", "tokenURI", "getApproved", "getAgentWallet")),
            self.done(IDENTITY, "balanceOf(address)", who),
            self.done(IDENTITY, "getMetadata(uint256,string)", agent, self.one(KEYS)),
            self.done(IDENTITY, "isAuthorizedOrOwner(address,uint256)", who, agent),
            self.done(REPUTATION, "getClients(uint256)", agent),
            self.done(REPUTATION, "getLastIndex(uint256,address)", agent, who),
            self.done(REPUTATION, "readFeedback(uint256,address,uint64)", agent, who, index),
            self.done(REPUTATION, SUMMARY, agent, several, *tags),
            self.done(REPUTATION, READ_ALL, agent, several, *tags, self.dice.random() < 0.5),
            self.done(REPUTATION, COUNT, agent, who, index, several),
            self.done(VALIDATION, "getValidationStatus(bytes32)", self.one(HASHES)),
            self.done(VALIDATION, "getSummary(uint256,address[],string)", agent, several, tags[0]),
            self.done(VALIDATION, "getAgentValidations(uint256)", agent),
            self.done(VALIDATION, "getValidatorRequests(address)", who),
        ]  # fmt: skip
        return self.dice.choice(choices)
