# SPDX-License-Identifier: Apache-2.0
"""x402's extension of A2A: payments in the metadata of messages.

Source: a2a-x402 spec v0.2, sections 5, 7 and 9; x402 specs/transports-v2/a2a.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from koinon.services.doors.outcome import Outcome

STATUS: Final = "x402.payment.status"
REQUIRED: Final = "x402.payment.required"
PAYLOAD: Final = "x402.payment.payload"
RECEIPTS: Final = "x402.payment.receipts"
ERROR: Final = "x402.payment.error"

_WORDS: Final = (
    ("exceeds_balance", "INSUFFICIENT_FUNDS"),
    ("simulation_failed", "INSUFFICIENT_FUNDS"),
    ("nonce_already_used", "DUPLICATE_NONCE"),
    ("valid_before", "EXPIRED_PAYMENT"),
    ("valid_after", "EXPIRED_PAYMENT"),
    ("signature", "INVALID_SIGNATURE"),
    ("transaction_failed", "SETTLEMENT_FAILED"),
    ("amount_mismatch", "INVALID_AMOUNT"),
    ("value_mismatch", "INVALID_AMOUNT"),
)
"""Part of the gateway's reason → the extension's error code."""


def asked(required: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of a message that asks for a payment."""
    return {STATUS: "payment-required", REQUIRED: required}


def paid(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of a message that acknowledges one."""
    return {STATUS: "payment-completed", RECEIPTS: [receipt]}


def refused(outcome: Outcome, network: str) -> dict[str, Any]:
    """Metadata of a message that says that nothing was paid, and why; with the terms of another attempt where
    there are any."""
    problem = outcome.document
    reason = str(problem.get("reason") or problem.get("code") or "")
    word = next((word for part, word in _WORDS if part in reason), reason or "SETTLEMENT_FAILED")
    receipt = {"success": False, "errorReason": outcome.reason, "network": network, "transaction": ""}
    metadata: dict[str, Any] = {STATUS: "payment-failed", ERROR: word, RECEIPTS: [receipt]}
    if (required := outcome.payment_required) is not None:
        metadata[REQUIRED] = required
    return metadata


def network_of(payload: Any) -> str:
    """The network a payment names, empty where it names none."""
    accepted = payload.get("accepted") if isinstance(payload, dict) else None
    network = accepted.get("network") if isinstance(accepted, dict) else None
    return network[:100] if isinstance(network, str) else ""
