# SPDX-License-Identifier: Apache-2.0
"""A signed offer of credit as a file: what an issuer hands to a borrower, and the borrower to the pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain.address import checksum
from koinon.errors import BadInput, NotFound
from koinon.lending.credit_offer import CreditOffer

FORMAT: Final = "koinon.offer/1"


@dataclass(frozen=True, slots=True)
class SignedOffer:
    """An offer, who signed it, and the reasons that came with it (not signed: they are for the reader)."""

    chain_id: int
    offer: CreditOffer
    issuer: str
    signature: bytes
    reasons: tuple[str, ...] = ()
    ways_up: tuple[str, ...] = ()

    def check(self, chain_id: int, borrower: str, now: int) -> None:
        """BadInput where it is another chain's or another borrower's, or has ended."""
        if self.chain_id != chain_id:
            raise _wrong(f"This offer is for chain {self.chain_id}, not {chain_id}.")
        if self.offer.borrower.lower() != borrower.lower():
            raise _wrong(f"This offer is for {self.offer.borrower}, not {borrower}.")
        if now > self.offer.expires_at:
            raise _wrong("This offer has ended.", "Ask the issuer for a new one.")

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return {
            "format": FORMAT,
            "chain_id": self.chain_id,
            "offer": self.offer.to_json(),
            "issuer": self.issuer,
            "signature": "0x" + self.signature.hex(),
            "reasons": list(self.reasons),
            "ways_up": list(self.ways_up),
        }

    @classmethod
    def from_json(cls, fields: Any) -> SignedOffer:
        """From `to_json`; BadInput where it is not that."""
        try:
            known = {FORMAT: fields}[fields["format"]]
            return cls(
                int(known["chain_id"]),
                CreditOffer.from_json(fields["offer"]),
                checksum(fields["issuer"]),
                bytes.fromhex(str(fields["signature"]).removeprefix("0x")),
                _sentences(fields.get("reasons", ())),
                _sentences(fields.get("ways_up", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _wrong("This is not a signed offer's JSON.") from error

    def save(self, path: Path) -> None:
        """Write the file."""
        write_json(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> SignedOffer:
        """Read a file; NotFound or BadInput."""
        return cls.from_json(read_json(path))


def write_json(path: Path, document: dict[str, Any]) -> None:
    """A document as people can read it; BadInput where it cannot be written."""
    try:
        path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    except OSError as fault:
        raise BadInput(
            f"{path} cannot be written ({fault.strerror or fault}).",
            hint="Name a file in a folder you may write.",
            code="lending.file",
        ) from None


def read_json(path: Path) -> Any:
    """What a file holds; NotFound where there is none, BadInput where it is no JSON."""
    try:
        return orjson.loads(path.read_bytes())
    except OSError:
        raise NotFound(f"{path} cannot be read.", hint="Check the path.", code="lending.file") from None
    except orjson.JSONDecodeError as fault:
        raise BadInput(f"{path} is not JSON.", hint="Check the file.", code="lending.file") from fault


def _sentences(given: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(each)[:400] for each in given[:16])


def _wrong(sentence: str, hint: str = "") -> BadInput:
    return BadInput(sentence, hint=hint, code="lending.offer")
