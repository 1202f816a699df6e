# SPDX-License-Identifier: Apache-2.0
"""A hall with bonds, a committee and promises about answers, in titanoboa's chain."""

from __future__ import annotations

from typing import Any

import boa

from koinon.chain.hashing import keccak256
from koinon.works.bonds import commitment_digest
from tests.contracts_support import account, deploy, deploy_hall, deploy_mock

SELLER = account("seller of answers")
SIGNER = account("signer of answers")
CHALLENGER = account("challenger")
STRANGER = account("stranger")
JURORS = [account(f"juror {number}") for number in range(3)]
SINK = "0x000000000000000000000000000000000000dEaD"
NEVER = 2**256 - 1
PHASE_S = 600
WINDOW_S = 7_200
RULING_S = 40 * PHASE_S
SEATS, SEAT_STAKE, SLASH_BPS, SEAT_FEE, DEPOSIT, SEEDS = 3, 100, 2_000, 5, 20, 1
COUNTER_STAKE = 50
DISMISS, UPHOLD = 1, 2
WRONG, WITHHELD, LEFT_OUT = 1, 2, 3
SOFT, KEPT, BROKEN = 1, 2, 3
ROOT = keccak256(b"a root of answers")
ANSWER = keccak256(b"an answer")
SALT = keccak256(b"salt")
DETAILS = keccak256(b"what runs")
FEE, AUDIT_PPM, BOUNTY_BPS = 10, 50_000, 5_000
STAKE = 5_000
URI = "https://seller.example/evidence"


def now() -> int:
    return int(boa.env.evm.patch.timestamp)


def wait(seconds: int) -> None:
    boa.env.time_travel(seconds=seconds)


class Town:
    """Everything deployed; the seller has a Work; everybody has 1,000,000 of the token."""

    def __init__(self) -> None:
        self.hall = deploy_hall()
        self.validation = deploy("works", "Validation", self.hall.works.address)
        self.bonds = deploy("works", "Bonds")
        self.token = deploy_mock("StakeToken")
        rules = (SEATS, SEAT_STAKE, SLASH_BPS, SEAT_FEE, DEPOSIT, SEEDS, PHASE_S)
        self.committee = deploy("works", "Committee", self.bonds.address, self.token.address, rules)
        self.verification = deploy(
            "services", "Verification", self.committee.address, self.validation.address
        )
        self.work_id = self.hall.publish(SELLER)
        for holder in (SELLER, CHALLENGER, STRANGER, *JURORS):
            self.token.mint(holder, 1_000_000)
            for spender in (self.bonds, self.committee):
                self.token.approve(spender, NEVER, sender=holder)

    def terms(self, **changes: Any) -> tuple[Any, ...]:
        fields = {
            "work_id": self.work_id,
            "signer": SIGNER,
            "fee": FEE,
            "audit_ppm": AUDIT_PPM,
            "window_s": WINDOW_S,
            "bounty_bps": BOUNTY_BPS,
            "details": DETAILS,
        }
        return tuple((fields | changes).values())

    def bond(self, terms: tuple[Any, ...], **changes: Any) -> int:
        fields = {
            "token": self.token.address,
            "amount": STAKE,
            "judge": self.committee.address,
            "subject": self.verification.subject_of(terms),
            "ends_at": 0,
            "notice_s": 2 * WINDOW_S,
            "counter_stake": COUNTER_STAKE,
            "ruling_s": RULING_S,
        } | changes
        sender = fields.pop("sender", SELLER)
        return int(self.bonds.post(*fields.values(), sender=sender))

    def ask(self, request: bytes, *, validator: str | None = None, work_id: int | None = None) -> bytes:
        self.validation.validationRequest(
            validator or self.verification.address, work_id or self.work_id, URI, request, sender=SELLER
        )
        return request

    def promised(self, **changes: Any) -> int:
        """A promise; the bond's id."""
        terms = self.terms()
        bond = self.bond(terms, **changes)
        self.ask(self.verification.promise_request(bond, terms, SALT))
        self.verification.promise(bond, terms, SALT, sender=SELLER)
        return bond

    def submitted(self, bond: int, root: bytes = ROOT, count: int = 8) -> bytes:
        """A batch; its request."""
        request = self.ask(self.verification.batch_request(bond, root, count, SALT))
        self.verification.submit(bond, root, count, SALT, sender=SELLER)
        return request

    def challenged(
        self, bond: int, request: bytes, reason: int = WRONG, number: int = 3, answer: bytes = ANSWER
    ) -> int:
        """A challenge in Bonds about an answer."""
        evidence = self.verification.evidence_of(request, reason, number, answer, URI)
        return int(self.bonds.challenge(bond, evidence, sender=CHALLENGER))

    def brought(self, challenge: int, **changes: Any) -> int:
        """The challenge before the committee, as the promise wants it."""
        fields = {"amount": STAKE, "beneficiary": SINK, "bounty": STAKE * BOUNTY_BPS // 10_000} | changes
        return int(self.committee.open_case(challenge, *fields.values(), sender=CHALLENGER))

    def disputed(
        self, bond: int, request: bytes, reason: int = WRONG, number: int = 3, answer: bytes = ANSWER
    ) -> int:
        """All three steps; the challenge."""
        challenge = self.challenged(bond, request, reason, number, answer)
        self.brought(challenge)
        self.verification.dispute(challenge, request, reason, number, answer, URI, sender=CHALLENGER)
        return challenge

    # --- the committee -----------------------------------------------------------------------------------

    def go_to(self, phase: int) -> int:
        while True:
            epoch, at, ends = self.committee.now_at()
            if at == phase:
                return int(epoch)
            wait(int(ends) - now())

    def jurors_staked(self) -> None:
        self.go_to(0)
        for juror in JURORS:
            self.committee.stake(1_000, sender=juror)

    def sealed(self, topic: bytes, account_: str, value: bytes) -> bytes:
        chain_id = boa.env.evm.patch.chain_id
        return commitment_digest(chain_id, self.committee.address, topic, account_, value=value, salt=SALT)

    def rule(self, challenge: int, vote: int) -> None:
        """Let the whole committee vote so, and conclude."""
        case = int(self.committee.case_on(challenge))
        first = int(self.committee.case_of(case)[8])
        while self.go_to(1) < first:
            wait(PHASE_S)
        epoch = int(self.committee.now_at()[0])
        seed = keccak256(b"seed")
        topic = bytes(self.committee.seed_topic(epoch))
        self.committee.commit_seed(self.sealed(topic, JURORS[0], seed), sender=JURORS[0])
        self.go_to(2)
        self.committee.reveal_seed(seed, SALT, sender=JURORS[0])
        self.go_to(3)
        self.committee.draw(case)
        jurors = self.committee.jurors_of(case)
        topic = bytes(self.committee.vote_topic(case))
        for juror in jurors:
            sealed = self.sealed(topic, juror, vote.to_bytes(32, "big"))
            self.committee.commit_vote(case, sealed, sender=juror)
        commits, reveals = self.committee.vote_times(case)
        wait(int(commits) - now())
        for juror in jurors:
            self.committee.reveal_vote(case, vote, SALT, sender=juror)
        wait(int(reveals) - now())
        self.committee.conclude(case)

    def status(self, request: bytes) -> tuple[int, str]:
        """What the registry says of a request: response and tag."""
        found = self.validation.getValidationStatus(request)
        return int(found[2]), str(found[4])
