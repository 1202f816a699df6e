# SPDX-License-Identifier: Apache-2.0
"""What the journal's rows say, one record a kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Watermark(NamedTuple):
    """How far a channel is used: what its calls cost so far, the highest amount its payer signed, the highest
    voucher that paid a call, and the signature of the highest amount. Amounts below 2**128."""

    charged: int
    signed: int
    floor: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """One channel as kept: ``number`` in this journal, its 32-byte id, its configuration as x402's JSON."""

    number: int
    channel_id: bytes
    work_id: int
    config: bytes
    watermark: Watermark


class CallRecord(NamedTuple):
    """A paid call that can be repeated for nothing by the same key and input."""

    call_key: bytes
    input_digest: bytes


@dataclass(frozen=True, slots=True)
class TransferRecord:
    """An `exact` payment: written before its transaction is sent, marked once its answer is out."""

    payer: str
    nonce: bytes
    work_id: int
    input_digest: bytes
    amount: int
    transaction_hash: str | None
    answered: bool


class FreeCall(NamedTuple):
    """A call that cost nothing; ``day`` since 1970 counts it, ``answers`` how often it was answered."""

    work_id: int
    caller: str
    nonce: bytes
    input_digest: bytes
    valid_until: int
    day: int
    answers: int = 0
