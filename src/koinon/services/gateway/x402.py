# SPDX-License-Identifier: Apache-2.0
"""x402 version 2 on the wire: headers, requirements, payloads, answers (specs/x402-specification-v2.md, EVM
schemes).

Headers carry base64 of JSON: ``PAYMENT-REQUIRED`` with a 402, ``PAYMENT-SIGNATURE`` from the buyer,
``PAYMENT-RESPONSE`` with the answer. Everything here is pure.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from koinon.works import wire
from koinon.works.payments import HEADER_LIMIT, SCHEME, X402_VERSION, DepositAuthorization
from koinon.works.vouchers import MIN_WITHDRAW_DELAY_S, Voucher
from koinon.works.wire import MalformedPayment

BATCH: Final = SCHEME
EXACT: Final = "exact"
TIMEOUT_S: Final = 300


@dataclass(frozen=True, slots=True)
class Terms:
    """What one service asks for: all that a 402 answer states.

    ``price`` (the most a call may cost) and ``minimum_deposit`` in the coin's smallest unit; ``authorizer``
    the gateway's address; ``coin_name`` and ``coin_version`` the coin's EIP-712 domain. Where ``unit`` names
    what is counted after the work, a call costs ``unit_price`` for each, and no fixed transfer can pay it.
    """

    chain_id: int
    coin: str
    coin_name: str
    coin_version: str
    pay_to: str
    price: int
    authorizer: str
    withdraw_delay_s: int = MIN_WITHDRAW_DELAY_S
    minimum_deposit: int = 0
    unit: str = ""
    unit_price: int = 0

    @property
    def network(self) -> str:
        """CAIP-2 name of the chain."""
        return f"eip155:{self.chain_id}"

    def requirements(self, scheme: str) -> dict[str, Any]:
        """The PaymentRequirements object for one scheme."""
        extra: dict[str, Any] = {"name": self.coin_name, "version": self.coin_version}
        if scheme == BATCH:
            extra |= {
                "receiverAuthorizer": self.authorizer,
                "withdrawDelay": self.withdraw_delay_s,
                "assetTransferMethod": "eip3009",
                "minDeposit": str(max(self.minimum_deposit, self.price)),
            }
            if self.unit:
                extra |= {"unit": self.unit, "unitPrice": str(self.unit_price)}
        return {
            "scheme": scheme,
            "network": self.network,
            "asset": self.coin,
            "amount": str(self.price),
            "payTo": self.pay_to,
            "maxTimeoutSeconds": TIMEOUT_S,
            "extra": extra,
        }


class BatchPayment(NamedTuple):
    """A batch-settlement payload. ``kind``: voucher, deposit or refund.

    ``config`` stays as the buyer wrote it: a channel that is known is recognised by it without reading it
    again.
    """

    kind: str
    config: dict[str, Any]
    voucher: Voucher
    deposit: DepositAuthorization | None = None
    refund_amount: int | None = None


@dataclass(frozen=True, slots=True)
class TransferPayment:
    """An exact payload: EIP-3009 transferWithAuthorization to the till."""

    payer: str
    receiver: str
    value: int
    valid_after: int
    valid_before: int
    nonce: bytes
    signature: bytes

    def arguments(self) -> tuple[str, str, int, int, int, bytes, int, bytes, bytes]:
        """As the coin's function takes it."""
        return (
            self.payer,
            self.receiver,
            self.value,
            self.valid_after,
            self.valid_before,
            self.nonce,
            self.signature[64],
            self.signature[:32],
            self.signature[32:64],
        )


Payment = BatchPayment | TransferPayment


def encode(value: Any) -> bytes:
    """A header's value."""
    return base64.b64encode(orjson.dumps(value))


def decode(header: bytes) -> Any:
    """The JSON in a header; raises MalformedPayment."""
    if len(header) > HEADER_LIMIT:
        raise MalformedPayment(
            "The PAYMENT-SIGNATURE header is too long.", hint=f"At most {HEADER_LIMIT} bytes."
        )
    try:
        return orjson.loads(base64.b64decode(header, validate=True))
    except (binascii.Error, ValueError):
        raise MalformedPayment(
            "The PAYMENT-SIGNATURE header is not base64 of JSON.", hint="Encode it as x402 version 2 says."
        ) from None


def payment_required(
    terms: Terms,
    url: str,
    description: str,
    *,
    error: str = "payment required",
    channel_state: dict[str, Any] | None = None,
    voucher_state: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The PaymentRequired object of a 402 answer, with the channel's true state when it corrects a buyer."""
    batch = terms.requirements(BATCH)
    if channel_state is not None:
        batch["extra"]["channelState"] = channel_state
    if voucher_state is not None:
        batch["extra"]["voucherState"] = voucher_state
    return {
        "x402Version": X402_VERSION,
        "error": error,
        "resource": {"url": url, "description": description[:500], "mimeType": "application/json"},
        "accepts": [batch] if terms.unit else [batch, terms.requirements(EXACT)],
        "extensions": {},
    }


def channel_state(
    channel_id: bytes,
    *,
    balance: int,
    claimed: int,
    withdraw_requested_at: int,
    refund_nonce: int,
    charged: int,
) -> dict[str, Any]:
    """The ``channelState`` object of answers and corrective 402s."""
    return {
        "channelId": "0x" + channel_id.hex(),
        "balance": str(balance),
        "totalClaimed": str(claimed),
        "withdrawRequestedAt": withdraw_requested_at,
        "refundNonce": str(refund_nonce),
        "chargedCumulativeAmount": str(charged),
    }


def settle_response(
    network: str,
    payer: str,
    *,
    transaction: str = "",
    amount: int | None = None,
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The PAYMENT-RESPONSE object of a successful payment."""
    return {
        "success": True,
        "payer": payer,
        "transaction": transaction,
        "network": network,
        "amount": "" if amount is None else str(amount),
        "extra": extra or {},
    }


def parse_payment(value: Any, terms: Terms) -> Payment:
    """The payment in a decoded header, checked for form and for agreement with the service's terms.

    Raises MalformedPayment.
    """
    if not isinstance(value, dict) or value.get("x402Version") != X402_VERSION:
        raise MalformedPayment("The payment is not of x402 version 2.", hint='Set "x402Version" to 2.')
    accepted, payload = value.get("accepted"), value.get("payload")
    if not isinstance(accepted, dict) or not isinstance(payload, dict):
        raise MalformedPayment(
            "The payment lacks 'accepted' or 'payload'.", hint="Send what the 402 answer offered."
        )
    scheme = accepted.get("scheme")
    if (
        accepted.get("network") != terms.network
        or accepted.get("amount") != str(terms.price)
        or not _same_address(accepted.get("asset"), terms.coin)
        or not _same_address(accepted.get("payTo"), terms.pay_to)
    ):
        raise MalformedPayment(
            "The accepted requirements are not what this service offers.",
            hint="Ask again without payment and accept one of the answer's requirements unchanged.",
        )
    if scheme == BATCH:
        return _batch_payment(payload)
    if scheme == EXACT and not terms.unit:
        return _transfer_payment(payload)
    raise MalformedPayment(
        f"The scheme is neither {BATCH} nor {EXACT}.", hint="Choose one of the offered schemes."
    )


def _batch_payment(payload: dict[str, Any]) -> BatchPayment:
    kind, config = payload.get("type"), payload.get("channelConfig")
    names = ("type", "channelConfig", "voucher")
    deposit = amount = None
    if kind == "voucher":
        fields = payload if len(payload) == 3 and config else wire.fields_of(payload, "The payload", *names)
    elif kind == "deposit":
        fields = wire.fields_of(payload, "The payload", *names, "deposit")
        deposit = DepositAuthorization.from_json(fields["deposit"])
    elif kind == "refund":
        fields = wire.fields_of(payload, "The payload", *names, optional="amount")
        if "amount" in fields:
            amount = wire.integer(fields["amount"], "amount", wire.AMOUNT_LIMIT)
    else:
        raise MalformedPayment("The payload's type is not deposit, voucher or refund.")
    if not isinstance(config, dict):
        raise MalformedPayment("The payload's channelConfig is not an object.")
    return BatchPayment(kind, config, _voucher(fields.get("voucher")), deposit, amount)


def _voucher(value: Any) -> Voucher:
    """As `Voucher.from_json`, which says what is wrong where this finds anything unusual. Every call needs
    it."""
    try:
        channel_id, amount, signature = value["channelId"], value["maxClaimableAmount"], value["signature"]
        if len(value) == 3 and len(channel_id) == 66 and len(signature) == 132 and 0 < len(amount) < 39:
            found = Voucher(bytes.fromhex(channel_id[2:]), int(amount), bytes.fromhex(signature[2:]))
            if (
                channel_id[:2] == signature[:2] == "0x"
                and amount.isascii()
                and amount.isdigit()
                and len(found.channel_id) == 32
                and len(found.signature) == 65
            ):
                return found
    except (TypeError, KeyError, ValueError, AttributeError):
        pass
    return Voucher.from_json(value)


def _transfer_payment(payload: dict[str, Any]) -> TransferPayment:
    fields = wire.fields_of(payload, "The payload", "authorization", "signature")
    authorization = wire.fields_of(
        fields["authorization"], "authorization", "from", "to", "value", "validAfter", "validBefore", "nonce"
    )
    return TransferPayment(
        wire.address(authorization["from"], "from"),
        wire.address(authorization["to"], "to"),
        wire.integer(authorization["value"], "value", wire.WORD_LIMIT),
        wire.integer(authorization["validAfter"], "validAfter", wire.WORD_LIMIT),
        wire.integer(authorization["validBefore"], "validBefore", wire.WORD_LIMIT),
        wire.hex_bytes(authorization["nonce"], "nonce", 32),
        wire.hex_bytes(fields["signature"], "signature", 65),
    )


def _same_address(value: object, expected: str) -> bool:
    return value == expected or (isinstance(value, str) and value.lower() == expected.lower())
