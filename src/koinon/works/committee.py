# SPDX-License-Identifier: Apache-2.0
"""The committee that judges challenges: jurors' stakes, seeds, cases and votes (`Committee.vy`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from koinon.chain.account import Account
from koinon.chain.contract import Block
from koinon.chain.handle import Chain
from koinon.works.bonds import commitment_digest


class Phase(IntEnum):
    """What an epoch's four phases are for."""

    STAKES = 0
    COMMIT_SEEDS = 1
    REVEAL_SEEDS = 2
    DRAW = 3


class Vote(IntEnum):
    """What a juror says of a challenge."""

    DISMISS = 1
    UPHOLD = 2


@dataclass(frozen=True, slots=True)
class CommitteeRules:
    """The numbers fixed at the start; amounts in the token's smallest unit, see `Committee.vy`."""

    seats: int
    seat_stake: int
    slash_bps: int
    fee_per_seat: int
    seed_deposit: int
    minimum_seeds: int
    phase_s: int

    @property
    def fee(self) -> int:
        """What bringing a case costs."""
        return self.seats * self.fee_per_seat

    @property
    def minimum_stake(self) -> int:
        """The least stake that is drawn."""
        return self.seat_stake + self.seed_deposit


@dataclass(frozen=True, slots=True)
class Juror:
    """Stake, what of it seats lock, and the weight that the draw knows."""

    stake: int
    locked: int
    weight: int
    position: int


@dataclass(frozen=True, slots=True)
class Case:
    """A case as the chain has it; ``drawn_epoch`` is 0 until its jurors are drawn."""

    challenge_id: int
    opener: str
    poster: str
    beneficiary: str
    amount: int
    bounty: int
    fee: int
    deadline: int
    first_epoch: int
    drawn_epoch: int
    jurors: int
    closed: bool


class Committee:
    """The Committee contract of a network. What sends takes the key that pays; errors as in `Sender.send`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = chain.contract("Committee")

    def rules(self) -> CommitteeRules:
        """The rules, which never change."""
        return CommitteeRules(*self.contract.call("rules"))

    def moment(self, block: Block = "latest") -> tuple[int, Phase, int]:
        """The epoch, its phase, and when that ends (Unix seconds), at a block: ``pending`` is what a
        transaction sent now would see."""
        epoch, phase, ends = self.contract.call("now_at", block=block)
        return int(epoch), Phase(phase), int(ends)

    def juror(self, account: str) -> Juror:
        """An account as juror; zeros where it never was."""
        return Juror(*self.contract.call("juror_of", account))

    def stake(self, juror: Account, amount: int) -> None:
        """Approve and stake; counts from the next phase in which stakes change."""
        coin = self.chain.coin
        calls = [
            coin.transaction("approve", self.contract.address, amount),
            self.contract.transaction("stake", amount, gas=500_000),
        ]
        self.chain.sender(juror).send_all(calls)

    def case(self, case_id: int) -> Case:
        """One case; TransactionFailed when there is none."""
        return Case(*self.contract.call("case_of", case_id))

    def case_count(self) -> int:
        """How many cases there ever were; they are numbered from 1."""
        return int(self.contract.call("case_count"))

    def case_on(self, challenge_id: int) -> int:
        """The case on a challenge; 0 for none."""
        return int(self.contract.call("case_on", challenge_id))

    def open_case(
        self, challenger: Account, challenge_id: int, *, amount: int, beneficiary: str, bounty: int
    ) -> int:
        """Pay the fee and bring a challenge before the committee; the case's id."""
        calls = [
            self.chain.coin.transaction("approve", self.contract.address, self.rules().fee),
            self.contract.transaction("open_case", challenge_id, amount, beneficiary, bounty, gas=800_000),
        ]
        receipt = self.chain.sender(challenger).send_all(calls)[-1]
        return int(self.contract.logs(receipt, "CaseOpened")[0]["case_id"])

    def seats(self, case_id: int, juror: str) -> int:
        """How many votes a juror has in a case."""
        return int(self.contract.call("seats_of", case_id, juror))

    def has_sealed_vote(self, case_id: int, juror: str) -> bool:
        """Whether a juror has committed to a vote."""
        return bool(self.contract.history("VoteCommitted", case_id=case_id, juror=juror))

    def has_voted(self, case_id: int, juror: str) -> bool:
        """Whether a juror has revealed its vote."""
        return int(self.contract.call("vote_of", case_id, juror)) != 0

    def vote_times(self, case_id: int) -> tuple[int, int]:
        """Until when votes are committed, and until when revealed (Unix seconds); of a drawn case."""
        commits, reveals = self.contract.call("vote_times", case_id)
        return int(commits), int(reveals)

    def commit_seed(self, juror: Account, epoch: int, secret: bytes, salt: bytes) -> None:
        """Commit to a part of an epoch's seed; ``secret`` and ``salt`` are 32 random bytes to keep."""
        topic = self.contract.call("seed_topic", epoch)
        self._send(juror, "commit_seed", self._sealed(topic, juror.address, secret, salt))

    def reveal_seed(self, juror: Account, secret: bytes, salt: bytes) -> None:
        """Reveal it; the deposit comes back."""
        self._send(juror, "reveal_seed", secret, salt)

    def commit_vote(self, juror: Account, case_id: int, vote: Vote, salt: bytes) -> None:
        """Commit to a vote; ``salt`` is 32 random bytes to keep."""
        topic = self.contract.call("vote_topic", case_id)
        sealed = self._sealed(topic, juror.address, int(vote).to_bytes(32, "big"), salt)
        self._send(juror, "commit_vote", case_id, sealed)

    def reveal_vote(self, juror: Account, case_id: int, vote: Vote, salt: bytes) -> None:
        """Reveal it."""
        self._send(juror, "reveal_vote", case_id, int(vote), salt)

    def draw(self, submitter: Account, case_id: int) -> None:
        """Seat a case's jurors."""
        self._send(submitter, "draw", case_id)

    def conclude(self, submitter: Account, case_id: int) -> None:
        """Count the votes and rule."""
        self._send(submitter, "conclude", case_id)

    def give_up(self, submitter: Account, case_id: int) -> None:
        """Close a case that can no longer be drawn."""
        self._send(submitter, "give_up", case_id)

    def credit(self, account: str) -> int:
        """What an account may collect."""
        return int(self.contract.call("credit", account))

    def collect(self, submitter: Account, account: str) -> int:
        """Pay an account its credit; returns the amount."""
        amount = self.credit(account)
        self._send(submitter, "collect", account)
        return amount

    def _sealed(self, topic: bytes, account: str, value: bytes, salt: bytes) -> bytes:
        return commitment_digest(
            self.chain.chain_id, self.contract.address, topic, account, value=value, salt=salt
        )

    def _send(self, key: Account, name: str, *arguments: Any) -> None:
        self.chain.sender(key).send(self.contract.transaction(name, *arguments))
