# SPDX-License-Identifier: Apache-2.0
"""What a seller signs for one buyer in a fair exchange, as the contract and as JSON carry it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import IntEnum
from typing import Any, Final

import orjson

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.errors import BadInput, IntegrityError

SALE: Final = TypedStruct(
    "Sale(uint256 workId,address seller,address buyer,bytes32 plaintextRoot,bytes32 ciphertextRoot,"
    "uint64 size,bytes32 keyCommitment,address token,uint256 price,uint64 period,bytes32 termsDigest,"
    "uint64 revealSeconds,uint64 disputeSeconds,uint64 validUntil)"
)


class SaleState(IntEnum):
    """How far a sale is, as the contract says."""

    UNKNOWN = 0
    LOCKED = 1
    REVEALED = 2
    COMPLETED = 3
    REFUNDED = 4


@dataclass(frozen=True, slots=True)
class Sale:
    """One sale: roots, commitment and digest 32 bytes each, ``size`` in bytes, ``price`` in the token's
    smallest unit (``token`` zero: wei), ``period`` of the grant and both times in seconds, ``valid_until``
    Unix seconds."""

    work_id: int
    seller: str
    buyer: str
    plaintext_root: bytes
    ciphertext_root: bytes
    size: int
    key_commitment: bytes
    token: str
    price: int
    period: int
    terms_digest: bytes
    reveal_s: int
    dispute_s: int
    valid_until: int

    def values(self) -> tuple[Any, ...]:
        """As contract and signature take it."""
        return tuple(getattr(self, each.name) for each in fields(self))

    def sale_id(self, domain: Domain) -> bytes:
        """What is signed, and what names the sale: the EIP-712 digest."""
        return digest(domain, SALE.hash(*self.values()))

    def sign(self, seller: Account, domain: Domain) -> bytes:
        """The seller's signature."""
        return seller.sign_typed(domain, SALE, *self.values())

    def to_json(self, signature: bytes) -> bytes:
        """What the buyer is handed."""
        content = {
            name: "0x" + value.hex() if isinstance(value, bytes) else str(value)
            for name, value in asdict(self).items()
        }
        return orjson.dumps({"sale": content, "signature": signature.hex()}, option=orjson.OPT_INDENT_2)

    @classmethod
    def from_json(cls, data: bytes) -> tuple[Sale, bytes]:
        """Sale and signature; IntegrityError for anything that `to_json` did not write."""
        try:
            content = orjson.loads(data)
            values = {each.name: _value(each.type, content["sale"][each.name]) for each in fields(cls)}
            return cls(**values), bytes.fromhex(content["signature"])
        except (KeyError, TypeError, ValueError, AttributeError, BadInput):
            raise IntegrityError(
                "This is not a signed sale.", hint="Ask the seller to send it again.", code="data.sale"
            ) from None


def sale_domain(chain_id: int, fair_exchange: str) -> Domain:
    """What sellers sign for."""
    return Domain("Koinon Fair Exchange", "1", chain_id, fair_exchange)


def _value(kind: Any, text: str) -> Any:
    if kind == "bytes":
        value = bytes.fromhex(text.removeprefix("0x"))
        if len(value) != 32:
            raise ValueError
        return value
    if kind == "str":
        return checksum(text)
    number = int(text)
    if not 0 <= number < 2**256:
        raise ValueError
    return number
