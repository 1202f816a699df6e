# SPDX-License-Identifier: Apache-2.0
"""Promises about answers, their batches and disputes on chain: `Verification.vy`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

from koinon.chain import codec
from koinon.chain.account import Account
from koinon.chain.eip712 import Domain
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.errors import NotFound, TransactionFailed
from koinon.services.verification.record import verification_domain
from koinon.works.bonds import Bonds, BondTerms
from koinon.works.committee import Committee

SINK: Final = "0x000000000000000000000000000000000000dEaD"
"""Where what is slashed goes but for the bounty: nobody has its key."""

ALL_OF_IT: Final = 2**128 - 1
"""What a case asks of a stake that anybody may top up meanwhile: whatever is left of it."""

URI_LIMIT: Final = 512
_EVIDENCE: Final = ("uint256", "address", "bytes32", "uint8", "uint256", "bytes32", "bytes32")


class Reason(IntEnum):
    """Why an answer is disputed."""

    WRONG = 1
    WITHHELD = 2
    LEFT_OUT = 3


class BatchVerdict(IntEnum):
    """What is known of a batch."""

    NONE = 0
    SOFT = 1
    KEPT = 2
    BROKEN = 3


class PromiseTerms(NamedTuple):
    """What is promised: see `Verification.vy`. Amounts in the coin's smallest unit."""

    work_id: int
    signer: str
    fee: int
    audit_ppm: int
    window_s: int
    bounty_bps: int
    details: bytes


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise as the chain has it; ``fees`` are of batches not known to be over."""

    promiser: str
    terms: PromiseTerms
    request: bytes
    fees: int
    batches: int
    over: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as the chain has it; ``open_until`` is when its window ends, in Unix seconds."""

    bond_id: int
    root: bytes
    count: int
    open_until: int
    disputes: int
    verdict: BatchVerdict


class Claim(NamedTuple):
    """What a challenger says of an answer: ``request`` of the batch or of the promise, ``number`` in the
    batch, ``answer`` its digest (zeros where it was not shown), ``uri`` where jurors find the evidence."""

    request: bytes
    reason: Reason
    number: int
    answer: bytes
    uri: str


@dataclass(frozen=True, slots=True)
class Dispute:
    """What a challenge is about, as its challenger told it."""

    challenge_id: int
    request: bytes
    bond_id: int
    case_id: int
    reason: Reason
    number: int
    answer: bytes
    uri: str


@dataclass(frozen=True, slots=True)
class BondOptions:
    """What a new bond adds to its promise's terms: how much is staked, what a challenger stakes, and how long
    before its end the bond's end is announced (three windows when 0)."""

    amount: int
    counter_stake: int
    notice_s: int = 0


class Verification:
    """The Verification contract of a network. What sends takes the key that pays; errors as in `Sender`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = chain.contract("Verification")
        self._validation = chain.contract("Validation")

    @property
    def domain(self) -> Domain:
        """What answers are signed in."""
        return verification_domain(self.chain.chain_id, self.contract.address)

    def least_stake(self, terms: PromiseTerms, fees: int = 0) -> int:
        """What the contract takes at least, while this much was paid for answers that can be disputed."""
        return int(self.contract.call("least_stake", terms.fee, terms.audit_ppm, terms.bounty_bps, fees))

    def promise(self, promiser: Account, terms: PromiseTerms, options: BondOptions, *, uri: str) -> int:
        """Post a bond, file the validation request and promise; the bond's id.

        ``uri`` is where the provider shows its details and its answers to whoever checks them.
        """
        rules = Committee(self.chain).rules()
        bond_id = Bonds(self.chain).post(
            promiser,
            options.amount,
            BondTerms(
                judge=self.chain.network.address("Committee"),
                subject=self.contract.call("subject_of", terms),
                ruling_s=max(24 * rules.phase_s, 2 * terms.window_s),
                notice_s=options.notice_s or 3 * terms.window_s + 24 * rules.phase_s,
                counter_stake=options.counter_stake,
            ),
        )
        self.promise_with(promiser, bond_id, terms, uri=uri)
        return bond_id

    def promise_with(self, promiser: Account, bond_id: int, terms: PromiseTerms, *, uri: str) -> None:
        """The same with a bond that stands already."""
        salt = secrets.token_bytes(32)
        request = self.contract.call("promise_request", bond_id, terms, salt)
        self.chain.sender(promiser).send_all(
            [
                self._ask(terms.work_id, uri, request),
                self.contract.transaction("promise", bond_id, terms, salt, gas=600_000),
            ]
        )

    def promise_of(self, bond_id: int) -> Promise:
        """A bond's promise; NotFound (``verification.no_promise``)."""
        try:
            promiser, terms, *rest = self.contract.call("promise_of", bond_id)
        except TransactionFailed:
            raise NotFound(f"Bond {bond_id} promises nothing.", code="verification.no_promise") from None
        return Promise(promiser, PromiseTerms(*terms), *rest)

    def uri_of(self, request: bytes) -> str:
        """Where the asker of a validation request says its evidence is; "" where nobody asked."""
        found = self._validation.history("ValidationRequest", requestHash=request)
        return str(found[0]["requestURI"]) if found else ""

    def batch_request(self, bond_id: int, root: bytes, count: int, salt: bytes) -> bytes:
        """The request by which a batch will be known."""
        request: bytes = self.contract.call("batch_request", bond_id, root, count, salt)
        return request

    def submit(
        self, promiser: Account, bond_id: int, root: bytes, count: int, salt: bytes, *, uri: str
    ) -> bytes:
        """File the validation request of a batch where that was not done yet, and submit it."""
        request = self.batch_request(bond_id, root, count, salt)
        calls = [self.contract.transaction("submit", bond_id, root, count, salt, gas=500_000)]
        if not self.uri_of(request):
            calls.insert(0, self._ask(self.promise_of(bond_id).terms.work_id, uri, request))
        self.chain.sender(promiser).send_all(calls)
        return request

    def batch(self, request: bytes) -> Batch:
        """A batch; NotFound (``verification.no_batch``)."""
        try:
            found = self.contract.call("batch_of", request)
        except TransactionFailed:
            raise NotFound("There is no such batch of answers.", code="verification.no_batch") from None
        bond_id, root, count, open_until, disputes, verdict = found
        return Batch(bond_id, root, count, open_until, disputes, BatchVerdict(verdict))

    def batch_at(self, bond_id: int, position: int) -> bytes:
        """The request of a promise's batch, in the order they came from 0."""
        request: bytes = self.contract.call("batch_at", bond_id, position)
        return request

    def pass_softly(self, submitter: Account, request: bytes) -> None:
        """Tell the registry that nobody disputed a batch."""
        self._send(submitter, "pass_softly", request)

    def evidence_of(self, claim: Claim) -> bytes:
        """What a challenge in Bonds gives as its evidence."""
        request, reason, number, answer, uri = claim
        place = (self.chain.chain_id, self.contract.address)
        values = (*place, request, int(reason), number, answer, keccak256(uri.encode()))
        return keccak256(codec.encode(_EVIDENCE, values))

    def dispute(self, challenger: Account, challenge_id: int, claim: Claim) -> None:
        """Say what a challenge is about that is before the committee already."""
        request, reason, number, answer, uri = claim
        self._send(challenger, "dispute", challenge_id, request, int(reason), number, answer, uri)

    def dispute_about(self, challenge_id: int) -> Dispute | None:
        """What a challenge is about; None where its challenger did not tell."""
        found = self.contract.history("Disputed", challenge_id=challenge_id)
        if not found:
            return None
        told: dict[str, Any] = found[0]
        return Dispute(
            challenge_id,
            told["request"],
            int(told["bond_id"]),
            int(told["case_id"]),
            Reason(told["reason"]),
            int(told["number"]),
            told["answer"],
            told["uri"],
        )

    def is_open(self, challenge_id: int) -> bool:
        """Whether a dispute is not settled yet."""
        return bool(self.contract.call("dispute_on", challenge_id) != bytes(32))

    def disputed(self, request: bytes) -> bool:
        """Whether anybody disputed a batch."""
        return bool(self.contract.call("disputed", request))

    def settle(self, submitter: Account, challenge_id: int) -> None:
        """Tell the registry how a dispute ended."""
        self._send(submitter, "settle", challenge_id)

    def submitted_at(self, batch: Batch) -> int:
        """When a batch was submitted, in Unix seconds."""
        return batch.open_until - self.promise_of(batch.bond_id).terms.window_s

    def _ask(self, work_id: int, uri: str, request: bytes) -> Any:
        return self._validation.transaction(
            "validationRequest", self.contract.address, work_id, uri, request, gas=400_000
        )

    def _send(self, key: Account, name: str, *arguments: Any) -> None:
        self.chain.sender(key).send(self.contract.transaction(name, *arguments))
