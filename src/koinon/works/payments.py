# SPDX-License-Identifier: Apache-2.0
"""A payment by channel as it travels with a call: x402 version 2, scheme ``batch-settlement``."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from koinon.chain.hashing import keccak256
from koinon.works import wire
from koinon.works.vouchers import ChannelConfig, Voucher

HEADER_LIMIT: Final = 16_384
SCHEME: Final = "batch-settlement"
X402_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class DepositAuthorization:
    """An ERC-3009 ReceiveWithAuthorization of ``amount`` to the collector, good for one channel only.

    ``salt`` is a random number below 2**256; the times are Unix seconds, both exclusive.
    """

    amount: int
    valid_after: int
    valid_before: int
    salt: int
    signature: bytes = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """x402's deposit object."""
        return {
            "amount": str(self.amount),
            "authorization": {
                "erc3009Authorization": {
                    "validAfter": str(self.valid_after),
                    "validBefore": str(self.valid_before),
                    "salt": f"0x{self.salt:064x}",
                    "signature": "0x" + self.signature.hex(),
                }
            },
        }

    @classmethod
    def from_json(cls, value: object) -> DepositAuthorization:
        """From x402's deposit object with an erc3009Authorization; `wire.MalformedPayment` otherwise."""
        fields = wire.fields_of(value, "deposit", "amount", "authorization")
        inner = wire.fields_of(fields["authorization"], "authorization", "erc3009Authorization")
        signed = wire.fields_of(
            inner["erc3009Authorization"],
            "erc3009Authorization",
            "validAfter",
            "validBefore",
            "salt",
            "signature",
        )
        return cls(
            wire.integer(fields["amount"], "amount", wire.AMOUNT_LIMIT),
            wire.integer(signed["validAfter"], "validAfter", wire.WORD_LIMIT),
            wire.integer(signed["validBefore"], "validBefore", wire.WORD_LIMIT),
            int.from_bytes(wire.hex_bytes(signed["salt"], "salt", 32), "big"),
            wire.signature(signed["signature"]),
        )


def deposit_nonce(channel_id: bytes, salt: int) -> bytes:
    """The ERC-3009 nonce of a deposit: keccak256(channel id ‖ salt)."""
    return keccak256(channel_id + salt.to_bytes(32, "big"))


@dataclass(frozen=True, slots=True)
class ChannelPayment:
    """What a buyer sends with a call: a voucher, perhaps with a deposit for the channel or a refund wish.

    ``kind`` is voucher, deposit or refund; ``deposit`` comes with the second, ``refund_amount`` perhaps with
    the third (all that is left when None).
    """

    kind: str
    config: ChannelConfig
    voucher: Voucher
    deposit: DepositAuthorization | None = None
    refund_amount: int | None = None

    def to_json(self) -> dict[str, Any]:
        """x402's payload object."""
        payload: dict[str, Any] = {
            "type": self.kind,
            "channelConfig": self.config.to_json(),
            "voucher": self.voucher.to_json(),
        }
        if self.deposit is not None:
            payload["deposit"] = self.deposit.to_json()
        if self.refund_amount is not None:
            payload["amount"] = str(self.refund_amount)
        return payload

    @classmethod
    def from_json(cls, value: object) -> ChannelPayment:
        """From x402's payload object; `wire.MalformedPayment` otherwise."""
        kind = value.get("type") if isinstance(value, dict) else None
        names = ("type", "channelConfig", "voucher")
        if kind == "deposit":
            fields = wire.fields_of(value, "payload", *names, "deposit")
        elif kind == "voucher":
            fields = wire.fields_of(value, "payload", *names)
        elif kind == "refund":
            fields = wire.fields_of(value, "payload", *names, optional="amount")
        else:
            raise wire.MalformedPayment("The payload's type is not deposit, voucher or refund.")
        amount = fields.get("amount")
        return cls(
            kind,
            ChannelConfig.from_json(fields["channelConfig"]),
            Voucher.from_json(fields["voucher"]),
            DepositAuthorization.from_json(fields["deposit"]) if kind == "deposit" else None,
            None if amount is None else wire.integer(amount, "amount", wire.AMOUNT_LIMIT),
        )


def encode_header(payment: ChannelPayment, accepted: Mapping[str, Any], **rest: Any) -> bytes:
    """The PAYMENT-SIGNATURE header: base64 of x402's PaymentPayload.

    ``accepted`` is the PaymentRequirements object the buyer agreed to, unchanged; ``rest`` may hold its
    ``resource`` and ``extensions``.
    """
    return base64.b64encode(
        orjson.dumps(
            {"x402Version": X402_VERSION, "payload": payment.to_json(), "accepted": accepted, **rest}
        )
    )


def decode_header(header: bytes) -> tuple[ChannelPayment, dict[str, Any]]:
    """The payment in a PAYMENT-SIGNATURE header, and the PaymentRequirements the buyer says it agreed to.

    Raises
    ------
    wire.MalformedPayment
        Not base64 of JSON, not version 2, not batch-settlement; a field is missing, unknown or out of range.
    """
    if len(header) > HEADER_LIMIT:
        raise wire.MalformedPayment("The payment header is too long.", hint=f"At most {HEADER_LIMIT} bytes.")
    try:
        value = orjson.loads(base64.b64decode(header, validate=True))
    except (binascii.Error, ValueError):
        raise wire.MalformedPayment("The payment header is not base64 of JSON.") from None
    if not isinstance(value, dict) or value.get("x402Version") != X402_VERSION:
        raise wire.MalformedPayment("The payment is not x402 version 2.", hint='Set "x402Version" to 2.')
    accepted = value.get("accepted")
    if not isinstance(accepted, dict) or accepted.get("scheme") != SCHEME:
        raise wire.MalformedPayment(f"The payment does not accept {SCHEME} requirements.")
    return ChannelPayment.from_json(value.get("payload")), accepted
