# SPDX-License-Identifier: Apache-2.0
"""Lineage claims: an owner stakes on “this is nobody else's Work made over”, and whose it is may object.

The stake lies in `Bonds` and names the committee as its judge. A claim is a public document whose sha256
stands on chain as the challenge's evidence, so that jurors find it by that digest in the content store.
Upheld, a part of the stake goes into the original Work's till and so to everyone it was made from, and a
bounty to who found it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from koinon.chain import codec
from koinon.chain.account import Account
from koinon.chain.hashing import keccak256
from koinon.errors import BadInput, NotFound
from koinon.store.cid import cid_from_digest, digest_of
from koinon.works.bonds import Bond, Bonds, BondTerms, Outcome
from koinon.works.catalogue import Catalogue
from koinon.works.committee import Committee
from koinon.works.fingerprints.behaviour import NEAR, Answers, Probes, distance, follow_the_rule
from koinon.works.fingerprints.registry import FingerprintRegistry

TYPE: Final = "koinon.lineage-claim/1"
BOUNTY_PART: Final = 5
"""One in so many of what is taken goes to who brought the claim."""

DAY_S: Final = 86_400
_LARGEST: Final = 16_384


@dataclass(frozen=True)
class LineageClaim:
    """One Work is another made over. ``probes`` is the CID of the original's revealed `Probes`, or ""."""

    original: int
    accused: int
    bond_id: int
    kinds: tuple[str, ...]
    probes: str = ""

    def to_bytes(self) -> bytes:
        """The canonical document."""
        document = {
            "type": TYPE,
            "original": self.original,
            "accused": self.accused,
            "bond": self.bond_id,
            "kinds": list(self.kinds),
            "probes": self.probes,
        }
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_bytes(cls, content: bytes) -> LineageClaim:
        """Read one; BadInput (``works.lineage_claim``) for anything else."""
        try:
            found = orjson.loads(content) if len(content) <= _LARGEST else {}
            claim = cls(
                int(found["original"]),
                int(found["accused"]),
                int(found["bond"]),
                tuple(str(kind) for kind in found["kinds"]),
                str(found["probes"]),
            )
        except (ValueError, KeyError, TypeError):
            raise _no_claim() from None
        if claim.to_bytes() != content:
            raise _no_claim()
        return claim


@dataclass(frozen=True)
class Finding:
    """What a juror makes of a claim: whether to uphold it, and why in a sentence."""

    uphold: bool
    reason: str


class LineageClaims:
    """Stakes and claims on one network.

    Parameters
    ----------
    catalogue : Catalogue
        With the content store that claims and revealed probes are put into and read from.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.fingerprints = FingerprintRegistry(catalogue)
        self.bonds = Bonds(catalogue.chain)
        self.committee = Committee(catalogue.chain)

    def subject(self, work_id: int) -> bytes:
        """The digest of the promise about one Work, 32 bytes: what its bond is on."""
        values = (TYPE, self.catalogue.chain.chain_id, self.catalogue.contract.address, work_id)
        return keccak256(codec.encode(("string", "uint256", "address", "uint256"), values))

    def stake(
        self,
        owner: Account,
        work_id: int,
        amount: int,
        *,
        counter_stake: int = 0,
        ruling_s: int = 30 * DAY_S,
        notice_s: int = 30 * DAY_S,
    ) -> int:
        """Stake ``amount`` of the coin on a Work's lineage until its end is announced; the bond's id.

        A challenger stakes ``counter_stake``; the committee has ``ruling_s`` for a claim.
        """
        self.catalogue.owner_of(work_id)
        terms = BondTerms(
            judge=self.committee.contract.address,
            subject=self.subject(work_id),
            ruling_s=ruling_s,
            notice_s=notice_s,
            counter_stake=counter_stake,
        )
        return self.bonds.post(owner, amount, terms)

    def bonds_on(self, work_id: int) -> list[int]:
        """The bonds that its present owner ever posted on a Work's lineage, newest first."""
        posted = self.bonds.contract.history(
            "Posted",
            self.catalogue.chain.network.start_block,
            poster=self.catalogue.owner_of(work_id),
            judge=self.committee.contract.address,
        )
        subject = self.subject(work_id)
        return [int(each["bond_id"]) for each in reversed(posted) if bytes(each["subject"]) == subject]

    def standing(self, work_id: int) -> tuple[int, Bond] | None:
        """The largest of them that stands; None without one."""
        held = [(number, self.bonds.bond(number)) for number in self.bonds_on(work_id)]
        alive = [pair for pair in held if self.bonds.contract.call("stands", pair[0])]
        return max(alive, key=lambda pair: pair[1].amount, default=None)

    def challenges(self, bond_id: int) -> list[int]:
        """Every challenge there ever was of a bond."""
        found = self.bonds.contract.history(
            "Challenged", self.catalogue.chain.network.start_block, bond_id=bond_id
        )
        return [int(each["challenge_id"]) for each in found]

    def outcomes(self, bond_id: int) -> list[Outcome]:
        """How they ended."""
        return [self.bonds.outcome(number) for number in self.challenges(bond_id)]

    def claim(
        self,
        challenger: Account,
        original: int,
        accused: int,
        *,
        kinds: Sequence[str],
        probes: Probes | None = None,
    ) -> tuple[int, int]:
        """Bring a claim on the accused Work's standing bond before the committee: (challenge, case).

        Reveals the original's probes, which are of no more use afterwards; pays the counter-stake and the
        committee's fee. All of the stake is asked for.

        Raises
        ------
        NotFound
            Nobody stakes on the accused Work's lineage.
        BadInput
            The claim cannot hold: the original came later, or is an ancestor (``works.lineage_claim``).
        """
        held = self.standing(accused)
        if held is None:
            raise NotFound(
                f"Nobody stakes on the lineage of Work {accused}.",
                hint="Mandates that demand verified lineage do not pay it; there is nothing to take.",
                code="works.no_lineage_bond",
            )
        if problem := self._impossible(original, accused):
            raise _no_claim(problem)
        bond_id, bond = held
        revealed = "" if probes is None else self.catalogue.store.put(probes.to_bytes())
        document = LineageClaim(original, accused, bond_id, tuple(kinds), revealed)
        evidence = digest_of(self.catalogue.store.put(document.to_bytes()))
        challenge = self.bonds.challenge(challenger, bond_id, evidence)
        case = self.committee.open_case(
            challenger,
            challenge,
            amount=bond.amount,
            beneficiary=self.catalogue.till_of(original),
            bounty=bond.amount // BOUNTY_PART,
        )
        return challenge, case

    def read(self, challenge_id: int) -> LineageClaim:
        """The document of a challenge; NotFound, BadInput where it is missing or no claim on that bond."""
        challenge = self.bonds.challenge_of(challenge_id)
        claim = LineageClaim.from_bytes(self.catalogue.store.get(cid_from_digest(challenge.evidence)))
        bond = self.bonds.bond(challenge.bond_id)
        if claim.bond_id != challenge.bond_id or bond.subject != self.subject(claim.accused):
            raise _no_claim("it is about another bond")
        return claim

    def examine(
        self,
        claim: LineageClaim,
        *,
        original: Answers | None = None,
        accused: Answers | None = None,
    ) -> Finding:
        """What the evidence comes to, for a juror.

        Parameters
        ----------
        original, accused : callable, optional
            How the two models answer rows of numbers, as the juror can ask them; needed for behaviour.
        """
        if problem := self._impossible(claim.original, claim.accused):
            return Finding(False, problem)
        registered = self.fingerprints.registered(claim.original)
        alike = registered.likenesses(self.fingerprints.registered(claim.accused))
        if shared := [each.kind for each in alike if each.kind in claim.kinds]:
            return Finding(True, f"Both registered the same {' and '.join(shared)}.")
        if "behaviour" not in claim.kinds or not claim.probes:
            return Finding(False, "The registered fingerprints do not match.")
        if original is None or accused is None:
            return Finding(False, "Without asking both models there is nothing to see.")
        probes = Probes.from_bytes(self.catalogue.store.get(claim.probes))
        if probes.digest != registered.behaviour:
            return Finding(False, "These probes are not those that were registered.")
        if not follow_the_rule(probes, original):
            return Finding(False, "These probes are not those that the rule gives for the original.")
        far = distance(probes, accused)
        said = f"Where the original hesitates, the other's answers lie {far:.3f} away; a match is {NEAR}."
        return Finding(far <= NEAR, said)

    def _impossible(self, original: int, accused: int) -> str:
        """Why a claim cannot hold whatever the models are; "" where it can."""
        if self.fingerprints.related(original, accused):
            return "the accused Work names the original as an ancestor"
        if not self.fingerprints.precedes(original, accused):
            return "the original's fingerprints were not registered before the accused Work"
        return ""


def _no_claim(reason: str = "it is malformed") -> BadInput:
    return BadInput(
        f"This is no claim that a committee could uphold: {reason}.",
        hint="See docs/how-to/claim-lineage.md.",
        code="works.lineage_claim",
    )
