# SPDX-License-Identifier: Apache-2.0
"""What a gateway says of a service, checked before anything of it is shown or signed.

The gateway may be anyone's. Numbers are numbers, texts have an end, and the unit of its price is the
network's coin, whatever the gateway calls it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from koinon.errors import KoinonError, PeerError
from koinon.services.buying.transport import Http
from koinon.web import gettext

_LONGEST: Final = 2_000
_MOST_DIGITS: Final = 38
"""Of a price: below 2**128."""


@dataclass(frozen=True)
class Quality:
    """How good a service is: a metric beside its baseline, or ``unmeasured`` says why there is none."""

    metric: str = ""
    value: float = 0.0
    interval: tuple[float, float] = (0.0, 0.0)
    baseline: float = 0.0
    baseline_name: str = ""
    unmeasured: str = ""


@dataclass(frozen=True)
class Description:
    """A service for sale. ``price`` in the coin's smallest unit; ``schema`` of the input as JSON Schema (see
    `call_form`); ``claimed_ms`` how fast the gateway says that it is: the half, and
    all but a twentieth, of its answers take at most so many milliseconds."""

    url: str
    name: str
    description: str
    price: int
    quality: Quality
    example: Mapping[str, Any]
    schema: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""
    claimed_ms: tuple[float, float] | None = None


def describe(http: Http, url: str) -> Description:
    """What the gateway at an address sells; PeerError when it says nothing that makes sense."""
    try:
        response = http.request("GET", url)
        found = orjson.loads(response.body) if response.status == 200 else None
        return read_description(url, found)
    except (KoinonError, ValueError) as fault:
        raise PeerError(
            gettext("The gateway does not sell this at the moment."),
            hint=gettext("Try again in a few seconds; a service that was just published needs a moment."),
            code="service.away",
        ) from fault
    finally:
        http.close()


def read_description(url: str, document: Any) -> Description:
    """A gateway's JSON, checked. ValueError where it is no service's description."""
    found = _object(document)
    price = str(_object(found.get("price")).get("amount", ""))
    schema = _object(found.get("schema")).get("input")
    if not (price.isascii() and price.isdigit() and len(price) <= _MOST_DIGITS and int(price)):
        raise ValueError("no price")
    if schema != _object(schema):
        raise ValueError("no input")
    example = _object(found.get("example"))
    return Description(
        url=url,
        name=_text(found.get("name"))[:200] or url[:200],
        description=_text(found.get("description")),
        price=int(price),
        quality=read_quality(found.get("card")),
        example=example,
        schema=_object(schema),
        version=_text(found.get("version"))[:40],
        claimed_ms=_speed(found.get("latency")),
    )


def read_quality(card: Any) -> Quality:
    """A card's figures; without a metric where any of them is not what it should be."""
    found = _object(card)
    figures = [found.get("value"), found.get("baseline")]
    interval = found.get("interval")
    figures += interval if isinstance(interval, list) and len(interval) == 2 else [None]
    metric = _text(found.get("metric"))[:200]
    if not metric or not all(_is_figure(figure) for figure in figures):
        return Quality(unmeasured=_text(found.get("unmeasured")))
    value, baseline, low, high = (float(figure or 0) for figure in figures)
    return Quality(metric, value, (low, high), baseline, _text(found.get("baseline_name"))[:200])


def _speed(claim: Any) -> tuple[float, float] | None:
    half, most = _object(claim).get("p50_ms"), _object(claim).get("p95_ms")
    if not _is_figure(half) or not _is_figure(most) or not 0 <= float(half or 0) <= float(most or 0):
        return None
    return float(half or 0), float(most or 0)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
