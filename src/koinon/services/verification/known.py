# SPDX-License-Identifier: Apache-2.0
"""Known answers: planted wrong answers, whoever finds or misses them (`KnownAnswers.vy`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from koinon.chain import codec
from koinon.chain.account import Account
from koinon.chain.eip712 import Domain, TypedStruct
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.services.verification.evidence import Evidence
from koinon.works.bonds import Bonds, BondTerms

PLANT: Final = TypedStruct("Plant(uint256 plantId,address sponsor)")
MAX_FOUND: Final = 16
_PLANT_SEAL: Final = ("uint256", "address", "address", "address", "bytes32")
_FINDING_SEAL: Final = ("uint256", "address", "bytes32", "address", "bytes32", "uint256", "uint256[]")


@dataclass(frozen=True, slots=True)
class Plant:
    """A plant as the chain has it; ``request`` is empty until it is exposed."""

    sponsor: str
    sealed: bytes
    reward: int
    finders: int
    planted_at: int
    until: int
    request: bytes
    number: int


@dataclass(frozen=True, slots=True)
class Attestation:
    """What an auditor attested, as the chain has it."""

    sealed: bytes
    sponsor: str
    bond_id: int
    secret: bytes
    draws: int
    found: Sequence[int]
    disclosed: bool
    fined: bool
    released: bool
    won: int


class Quarters(NamedTuple):
    """Until when a batch is attested, disclosed, exposed and disputed, and guesses in it are fined, in Unix
    seconds."""

    attest: int
    disclose: int
    expose: int
    dispute: int
    fine: int


def seal_of_plant(known: KnownAnswers, sponsor: str, payer: str, salt: bytes) -> bytes:
    """What stands for a plant on chain until it is exposed."""
    values = (known.chain.chain_id, known.contract.address, sponsor, payer, salt)
    return keccak256(codec.encode(_PLANT_SEAL, values))


def draw(secret: bytes, request: bytes, draws: int, count: int) -> list[int]:
    """The sample that follows from a secret: a number of the batch for each draw, some perhaps twice."""
    kinds = ("bytes32", "bytes32", "uint256")
    drawn = (keccak256(codec.encode(kinds, (secret, request, number))) for number in range(draws))
    return [int.from_bytes(digest, "big") % count for digest in drawn]


class KnownAnswers:
    """The KnownAnswers contract of a network. What sends takes the key that pays; errors as in `Sender`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = chain.contract("KnownAnswers")

    @property
    def domain(self) -> Domain:
        """What accounts that paid for plants sign in."""
        return Domain("Koinon Known Answers", "1", self.chain.chain_id, self.contract.address)

    def plant(
        self, sponsor: Account, payer: str, salt: bytes, *, reward: int, finders: int, until: int
    ) -> int:
        """Approve and escrow rewards for finding the wrong answer that ``payer``, an account used for nothing
        else, is going to be given; the plant's id."""
        seal = seal_of_plant(self, sponsor.address, payer, salt)
        calls = [
            self.chain.coin.transaction("approve", self.contract.address, reward * finders),
            self.contract.transaction("plant", seal, reward, finders, until, gas=500_000),
        ]
        receipt = self.chain.sender(sponsor).send_all(calls)[-1]
        return int(self.contract.logs(receipt, "Planted")[0]["plant_id"])

    def expose(
        self, sponsor: Account, payer: Account, plant_id: int, evidence: Evidence, salt: bytes
    ) -> None:
        """Show that an answer in a batch was a plant; ``payer`` signs for it."""
        place = evidence.place
        assert place is not None  # noqa: S101  (of an answer in a batch)
        consent = payer.sign_typed(self.domain, PLANT, plant_id, sponsor.address)
        answer = evidence.answer.values
        where = (place.request, place.position)
        self._send(sponsor, "expose", plant_id, *where, answer, list(place.proof), salt, consent)

    def enlist(self, auditor: Account, amount: int, *, notice_s: int) -> int:
        """Stake, to attest; the bond's id."""
        terms = BondTerms(
            judge=self.contract.address, subject=self.contract.call("subject"), ruling_s=1, notice_s=notice_s
        )
        return Bonds(self.chain).post(auditor, amount, terms)

    def attest(
        self, auditor: Account, request: bytes, finding: Finding, *, bond_id: int, sponsor: str
    ) -> None:
        """Say, sealed, what was found in a batch."""
        place = (self.chain.chain_id, self.contract.address, request, auditor.address)
        seal = keccak256(codec.encode(_FINDING_SEAL, (*place, *finding)))
        self._send(auditor, "attest", request, seal, bond_id, sponsor)

    def disclose(self, auditor: Account, request: bytes, finding: Finding) -> None:
        """Show it."""
        self._send(auditor, "disclose", request, *finding)

    def reward(self, submitter: Account, plant_id: int, auditor: str) -> None:
        """Pay a finder."""
        self._send(submitter, "reward", plant_id, auditor)

    def fine(
        self, submitter: Account, request: bytes, auditor: str, *, plant_id: int = 0, draw: int = 0
    ) -> None:
        """Take the penalty of who missed a plant or disclosed nothing."""
        self._send(submitter, "fine", request, auditor, plant_id, draw)

    def fine_guess(self, submitter: Account, request: bytes, auditor: str, number: int) -> None:
        """Take the penalty of who named as wrong what is neither a plant nor in a batch that was disputed."""
        self._send(submitter, "fine_guess", request, auditor, number)

    def release(self, submitter: Account, request: bytes, auditor: str) -> None:
        """Let go of the stake that an attestation held."""
        self._send(submitter, "release", request, auditor)

    def reclaim(self, submitter: Account, plant_id: int) -> None:
        """Send what finders did not take back to the sponsor."""
        self._send(submitter, "reclaim", plant_id)

    def attested_by(self, request: bytes, sponsor: str) -> list[str]:
        """Who attested a batch for a sponsor."""
        found = self.contract.history("Attested", request=request, sponsor=sponsor)
        return [str(each["auditor"]) for each in found]

    def attestation(self, request: bytes, auditor: str) -> Attestation:
        """What an auditor attested, empty where it did not."""
        return Attestation(*self.contract.call("attestation_of", request, auditor))

    def penalty(self) -> int:
        """What missing a plant, or naming what is none, costs; the most an attestation wins."""
        return int(self.contract.call("penalty"))

    def held(self, bond_id: int) -> int:
        """What open attestations hold of a bond."""
        return int(self.contract.call("held", bond_id))

    def bond_of(self, auditor: str) -> int:
        """The latest bond that an auditor posted to attest; 0 for none."""
        posted = Bonds(self.chain).contract.history("Posted", poster=auditor, judge=self.contract.address)
        return int(posted[-1]["bond_id"]) if posted else 0

    def was_rewarded(self, plant_id: int, auditor: str) -> bool:
        """Whether a finder was paid."""
        return bool(self.contract.history("Rewarded", plant_id=plant_id, auditor=auditor))

    def plant_of(self, plant_id: int) -> Plant:
        """One plant; TransactionFailed when there is none."""
        return Plant(*self.contract.call("plant_of", plant_id))

    def plant_at(self, request: bytes, number: int) -> int:
        """The plant that was exposed there; 0 for none."""
        return int(self.contract.call("plant_at", request, number))

    def quarters(self, request: bytes) -> Quarters:
        """The times of a batch."""
        return Quarters(*(int(moment) for moment in self.contract.call("times", request)))

    def is_plant(self, request: bytes, number: int) -> bool:
        """Whether an answer was exposed as a plant."""
        return self.plant_at(request, number) != 0

    def may_hold_plants(self, request: bytes) -> bool:
        """Whether a plant may still be exposed in a batch."""
        return next(self.waiting_plants(request), None) is not None

    def waiting_plants(self, request: bytes) -> Iterator[Plant]:
        """Plants that may still be exposed in a batch, the newest first: planted before it, neither exposed
        nor over, while there is time."""
        quarters = self.quarters(request)
        now = self.chain.next_timestamp()
        if now >= quarters.expose:
            return
        submitted_at = quarters.attest - (quarters.disclose - quarters.attest)
        for plant_id in range(int(self.contract.call("plant_count")), 0, -1):
            plant = self.plant_of(plant_id)
            if plant.request == bytes(32) and plant.until > now and plant.planted_at < submitted_at:
                yield plant

    def _send(self, key: Account, name: str, *arguments: Any) -> None:
        self.chain.sender(key).send(self.contract.transaction(name, *arguments))


class Finding(NamedTuple):
    """What an auditor attests of a batch: the secret that its sample follows from, of how many draws, and the
    wrong answers in it, at most `MAX_FOUND`."""

    secret: bytes
    draws: int
    found: Sequence[int]
