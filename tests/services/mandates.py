# SPDX-License-Identifier: Apache-2.0
"""Mandates for tests: generous where a test does not say otherwise."""

from __future__ import annotations

from typing import Any

from koinon.chain.eip712 import Domain
from koinon.chain.keys import Key
from koinon.services.buying.allowance import Payee
from koinon.services.mandates.mandate import Mandate, SignedMandate

OWNER, AGENT = Key.from_bytes(b"\1" * 32), Key.from_bytes(b"\2" * 32)
DOMAIN = Domain("Koinon Mandates", "1", 31_337, "0x" + "11" * 20)
LAST = 2**40


def payee(number: int = 1, owner: str = OWNER.address) -> Payee:
    return Payee(number, "0x" + "22" * 20, owner)


def mandate(**fields: Any) -> Mandate:
    chosen = {
        "owner": OWNER.address,
        "agent": AGENT.address,
        "token": OWNER.address,
        "per_call": 10**9,
        "per_day": 10**9,
        "total": 10**9,
        "per_counterparty": 10**9,
        "not_before": 0,
        "not_after": LAST,
    }
    return Mandate(**{**chosen, **fields})


def signed(**fields: Any) -> SignedMandate:
    """Signed for no chain in particular: the ledger does not ask."""
    return SignedMandate(mandate(**fields), b"\1" * 65, DOMAIN)
