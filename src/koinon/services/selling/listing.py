# SPDX-License-Identifier: Apache-2.0
"""What is said of a service that is sold, to its owner and beside every answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from koinon.errors import BadInput
from koinon.works.registration import Card
from koinon.works.shares import OWNER, ShareTable


@dataclass(frozen=True)
class Listing:
    """A service that is sold: its Work, where it is paid, where it is called.

    ``price`` in the coin's smallest unit, ``price_text`` as people write it; ``shares`` payee → share in
    1e-9; ``command`` calls it from a shell; ``unit`` is what the price is for.
    """

    work_id: int
    name: str
    till: str
    price: int
    price_text: str
    url: str
    shares: Mapping[str, int]
    command: str
    unit: str = "call"


def with_url(listing: Listing, gateway_url: str) -> Listing:
    """The listing as reached through another address."""
    url = f"{gateway_url}/services/{listing.work_id}"
    return replace(listing, url=url, command=listing.command.replace(listing.url, url))


def card_evidence(card: Card | None) -> dict[str, Any]:
    """What each answer says about quality: the held-out metric beside its baseline, or that there is none."""
    if card is None or card.metric is None:
        return {"metric": None, "unmeasured": card.unmeasured if card else "Its publisher stated no metric."}
    metric = card.metric
    return {
        "metric": metric.name,
        "value": metric.value,
        "interval": list(metric.interval),
        "baseline": metric.baseline,
        "baseline_name": metric.baseline_name,
        "held_out": metric.held_out,
        "samples": metric.samples,
    }


def share_table(shares: Mapping[str, Fraction]) -> ShareTable:
    """Who shares in a service's income, the rest its owner's; BadInput where it is more than the whole."""
    if not shares:
        return ShareTable.of_owner()
    if sum(shares.values()) > 1:
        raise BadInput(
            f"The shares add up to {float(sum(shares.values())):.4%}.",
            hint="Keep them at 100 % or less; the rest is yours.",
            code="service.share",
        )
    return ShareTable.from_fractions(dict(shares), rest=OWNER)
