# SPDX-License-Identifier: Apache-2.0
"""What a Work's signed registration file says of the service it is: price, limits, schema, rule, version.

Under ``koinon.about.service`` in the file:

    version        what answers name
    price          {"amount": text of a whole number, "asset": the coin, "unit": "call" or another word,
                    "most_units"}: amount in the coin's smallest unit
    limits         as in `Limits`, with "timeout_s"
    free           {"calls", "in_all"} a day, where there are any
    comparison     the rule of comparison; missing where it promises none
    schema         {"name", "description", "input", "output", …} (see `Signature`); missing beyond 64 KiB
    replaced_by    what callers should use instead, once there is something
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from koinon.errors import BadInput
from koinon.services.gateway.limits import Limits
from koinon.services.gateway.registry import Service
from koinon.services.gateway.releases import check_version
from koinon.services.selling.comparison import Comparison
from koinon.services.selling.signature import Signature
from koinon.works.registration import Registration

TOPIC: Final = "service"
LARGEST_SCHEMA: Final = 65_536
_MOST_DIGITS: Final = 38


@dataclass(frozen=True)
class Announcement:
    """The same, read and checked. ``amount`` in the smallest unit of ``asset``; ``schema`` None where the
    file does not say."""

    version: str
    amount: int
    asset: str
    unit: str
    limits: Limits
    timeout_s: float
    comparison: str
    schema: Signature | None
    replaced_by: str


def announce(service: Service, asset: str) -> dict[str, Any]:
    """The object for a file."""
    price: dict[str, Any] = {"amount": str(service.price), "asset": asset, "unit": service.unit or "call"}
    if service.unit:
        price["most_units"] = service.most_units
    found: dict[str, Any] = {
        "version": service.version,
        "price": price,
        "limits": {**service.limits.to_json(), "timeout_s": service.timeout_s},
    }
    if service.free_calls:
        found["free"] = {"calls": service.free_calls, "in_all": service.free_in_all}
    if service.comparison:
        found["comparison"] = service.comparison
    if service.schema and len(orjson.dumps(service.schema)) <= LARGEST_SCHEMA:
        found["schema"] = service.schema
    if service.replaced_by:
        found["replaced_by"] = service.replaced_by
    return found


def read_announcement(registration: Registration) -> Announcement | None:
    """What a file says of its service; None where it is no service's file.

    Raises
    ------
    BadInput
        It says something that cannot be (``service.announcement``).
    """
    said = registration.about.get(TOPIC)
    if said is None:
        return None
    try:
        limits = dict(said["limits"])
        timeout_s = float(limits.pop("timeout_s"))
        price, amount = said["price"], str(said["price"]["amount"])
        if not (amount.isascii() and amount.isdigit() and 0 < len(amount) <= _MOST_DIGITS):
            raise _wrong()
        return Announcement(
            version=check_version(said["version"]),
            amount=int(amount),
            asset=str(price["asset"]),
            unit=str(price["unit"]),
            limits=Limits.from_json(limits),
            timeout_s=timeout_s,
            comparison=str(Comparison.parse(said["comparison"])) if "comparison" in said else "",
            schema=Signature.from_dict(said["schema"]) if "schema" in said else None,
            replaced_by=str(said.get("replaced_by", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _wrong() from None


def _wrong() -> BadInput:
    return BadInput(
        "What the registration file says of its service cannot be.",
        hint="Ask its publisher to publish it again.",
        code="service.announcement",
    )
