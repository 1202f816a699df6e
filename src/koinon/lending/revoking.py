# SPDX-License-Identifier: Apache-2.0
"""Taking a score back: as many issuers sign that as sign a score, and then nothing brings it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.chain.handle import Chain
from koinon.errors import BadInput, IntegrityError, NotFound
from koinon.works.attestations import Attestations, Signed, Standing


@dataclass(frozen=True, slots=True)
class Revocation:
    """A score of ``subject`` on its way to be taken back, and who signed so far."""

    schema: bytes
    subject: str
    uid: bytes
    signed: tuple[Signed, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Its fields; bytes in hexadecimal digits."""
        signed = [{"issuer": issuer, "signature": "0x" + by.hex()} for issuer, by in self.signed]
        return {
            "schema": "0x" + self.schema.hex(),
            "subject": self.subject,
            "uid": "0x" + self.uid.hex(),
            "signed": signed,
        }

    @classmethod
    def from_json(cls, fields: Any) -> Revocation:
        """From `to_json`; BadInput where it is not that."""
        try:
            signed = tuple((checksum(each["issuer"]), _bytes(each["signature"])) for each in fields["signed"])
            made = cls(_bytes(fields["schema"]), checksum(fields["subject"]), _bytes(fields["uid"]), signed)
        except (BadInput, KeyError, TypeError, ValueError) as error:
            raise BadInput("This is no revocation that issuers sign.", code="lending.revocation") from error
        if len(made.schema) != 32 or len(made.uid) != 32:
            raise BadInput("This is no revocation that issuers sign.", code="lending.revocation")
        return made


def standing_score(chain: Chain, schema: bytes, wallet: str) -> Standing:
    """The score of a wallet that can be taken back.

    Raises
    ------
    NotFound
        It never had one, or issuers took it back already.
    """
    found = Attestations(chain).latest(schema, checksum(wallet))
    if not any(found.uid) or found.revoked:
        raise NotFound(
            f"{checksum(wallet)} has no score here that could be taken back.",
            hint="It never had one, or it was taken back before.",
            code="lending.no_score",
        )
    return found


def sign_revocation(
    chain: Chain, issuer: Account, schema: bytes, wallet: str, begun: Revocation | None = None
) -> Revocation:
    """As an issuer: sign that a wallet's newest score is taken back, beside what others signed.

    Raises
    ------
    NotFound
        There is none.
    IntegrityError
        Others began to take back another score.
    """
    uid = standing_score(chain, schema, wallet).uid
    subject = checksum(wallet)
    if begun is not None and (begun.schema, begun.subject, begun.uid) != (schema, subject, uid):
        raise IntegrityError(
            "The file is about another score than the wallet has now.",
            hint="A newer one replaced it. Begin again without --with.",
            code="lending.other_score",
        )
    others = tuple(each for each in (begun.signed if begun else ()) if each[0] != issuer.address)
    mine = Attestations(chain).domain.sign_taking_back(issuer, schema, subject, uid)
    return Revocation(schema, subject, uid, (*others, mine))


def _bytes(text: Any) -> bytes:
    return bytes.fromhex(str(text).removeprefix("0x"))
