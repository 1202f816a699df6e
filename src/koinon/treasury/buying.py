# SPDX-License-Identifier: Apache-2.0
"""Who buys a model's views: the operator, within a limit or under an owner's mandate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from koinon.services.buying.allowance import Allowance, Limit
from koinon.services.buying.client import Buyer
from koinon.services.counter import buyer_key
from koinon.services.mandates.book import MandateBook
from koinon.services.mandates.mandate import SignedMandate
from koinon.services.prices import to_units


def open_buyer(node: Any, limit: str, mandate: Path | None) -> Buyer:
    """A buyer to be used with ``with``; errors as reading the limit or the mandate."""
    key = buyer_key(node)
    allowance: Allowance = Limit(to_units(limit, int(node.chain.coin.call("decimals"))))
    if mandate is not None:
        book = MandateBook(node.chain, node.settings.home)
        allowance = book.spending(SignedMandate.load(mandate), key.address, store=node.store)
    return Buyer(node.chain, key, allowance=allowance)
