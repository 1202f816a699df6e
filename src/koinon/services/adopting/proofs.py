# SPDX-License-Identifier: Apache-2.0
"""That who adopts a thing controls it: its token's owner signs, or its host names the Work.

A proof is looked at whenever somebody reads it, not only when it was made: a token may be sold, and a host
may take its word back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.keys import verify
from koinon.errors import BadInput, KeyFault, KoinonError
from koinon.services.adopting.places import WELL_KNOWN, Places
from koinon.services.adopting.tokens import Token

Method = Literal["token", "domain", "none"]
ADOPTION: Final = TypedStruct("Adoption(string source,address adopter)")


@dataclass(frozen=True)
class Proof:
    """How control is shown. ``token``: ``account`` owned the token and signed that the adopter may;
    ``domain``: the source's host names the Work; ``none``: nothing can show it, as of a file."""

    method: Method
    account: str = ""
    signature: bytes = b""

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"method": self.method}
        if self.method == "token":
            found |= {"account": self.account, "signature": "0x" + self.signature.hex()}
        return found

    @classmethod
    def from_json(cls, data: Any) -> Proof:
        """Read what `to_json` wrote; BadInput for anything else."""
        try:
            if data["method"] == "token":
                signature = bytes.fromhex(data["signature"].removeprefix("0x"))
                return cls("token", checksum(data["account"]), signature)
            if data["method"] in ("domain", "none"):
                return cls(data["method"])
        except (KeyError, TypeError, ValueError, AttributeError):
            pass
        raise BadInput("This is no proof of control.", code="service.adopt_proof")


@dataclass(frozen=True)
class Control:
    """Whether a Work's owner controls what it adopts, and why or why not in a sentence."""

    proven: bool
    reason: str


def adoption_domain(chain_id: int, register: str) -> Domain:
    """What adoptions are signed for: one register of Works on one chain."""
    return Domain("Koinon adoption", "1", chain_id, register)


def sign_adoption(owner: Account, domain: Domain, source: str, adopter: str) -> Proof:
    """A token's owner lets ``adopter`` make a Work of it."""
    signature = owner.sign_typed(domain, ADOPTION, source, checksum(adopter))
    return Proof("token", owner.address, signature)


def check_token(proof: Proof, domain: Domain, token: Token, adopter: str) -> None:
    """`KeyFault` unless the token's present owner signed that ``adopter`` may adopt it."""
    signed = digest(domain, ADOPTION.hash(token.name, checksum(adopter)))
    if token.owner() != proof.account:
        raise _not_owner(token.name, "it belongs to another account than the one that signed")
    if not verify(signed, proof.signature, proof.account):
        raise _not_owner(token.name, "its owner did not sign this")


def control(
    proof: Proof,
    source: str,
    *,
    domain: Domain,
    register: str,
    work_id: int,
    owner: str,
    token: Token | None,
    places: Places,
) -> Control:
    """Look at a proof now.

    Parameters
    ----------
    register : str
        ``eip155:<chain>:<address>`` of the Works.
    owner : str
        Who owns the Work now.
    token : Token, optional
        The source, where it is one whose chain can be asked.
    """
    if proof.method == "token":
        if token is None:
            return Control(False, "The token's chain cannot be asked from here.")
        try:
            check_token(proof, domain, token, owner)
        except KoinonError as fault:
            return Control(False, fault.message)
        return Control(True, f"Its owner, {proof.account}, signed for the Work's owner.")
    if proof.method == "domain":
        return _named_by_host(source, register, work_id, places)
    return Control(False, "A file has no owner that could be asked; its fingerprints are registered.")


def _named_by_host(source: str, register: str, work_id: int, places: Places) -> Control:
    host = "/".join(source.split("/", 3)[:3])
    try:
        document = places.document(host + WELL_KNOWN)
    except KoinonError:
        return Control(False, f"{host}{WELL_KNOWN} is not there.")
    listed = document.get("registrations") if isinstance(document, dict) else None
    for each in listed if isinstance(listed, list) else []:
        if not isinstance(each, dict) or isinstance(each.get("agentId"), bool):
            continue
        same = str(each.get("agentRegistry", "")).lower() == register.lower()
        if same and each.get("agentId") in (work_id, str(work_id)):
            return Control(True, f"{host} names the Work.")
    return Control(False, f"{host}{WELL_KNOWN} does not name the Work.")


def _not_owner(source: str, reason: str) -> KeyFault:
    return KeyFault(
        f"{source} cannot be adopted by you: {reason}.",
        hint="Let the token's owner sign: koinon adopt SOURCE --sign-for YOUR_ACCOUNT",
        code="service.adopt_not_owner",
    )
