# SPDX-License-Identifier: Apache-2.0
"""What a gateway says of a service, checked before anything of it is shown or signed.

The gateway may be anyone's. Numbers are numbers, texts have an end, and the unit of its price is the
network's coin, whatever the gateway calls it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from koinon.errors import KoinonError, PeerError
from koinon.services.transport import Http
from koinon.web import gettext

SCALARS: Final = {"number": "decimal", "integer": "numeric", "string": "text", "boolean": "text"}
"""JSON type of an input that is one field of a form → its keyboard."""

MOST_INPUTS: Final = 40
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
class Input:
    """One input of a service as a form field. ``kind`` its JSON type; ``example`` as text."""

    name: str
    kind: str
    example: str
    inputmode: str
    required: bool


@dataclass(frozen=True)
class Description:
    """A service for sale. ``price`` in the coin's smallest unit; ``inputs`` None where JSON is typed."""

    url: str
    name: str
    description: str
    price: int
    quality: Quality
    inputs: tuple[Input, ...] | None
    example: Mapping[str, Any]


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
        inputs=_inputs(schema, example),
        example=example,
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


def _inputs(schema: Mapping[str, Any], example: Mapping[str, Any]) -> tuple[Input, ...] | None:
    """A field for each input where all are plain; None where JSON has to be typed."""
    properties = _object(schema.get("properties"))
    if not properties or len(properties) > MOST_INPUTS or schema.get("additionalProperties") is True:
        return None
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    inputs = []
    for name, entry in properties.items():
        kind = _object(entry).get("type")
        if not isinstance(kind, str) or kind not in SCALARS or len(name) > 100:
            return None
        shown = example.get(name, "")
        text = shown if isinstance(shown, str) else orjson.dumps(shown).decode()
        inputs.append(Input(name, kind, text[:_LONGEST], SCALARS[kind], name in needed))
    return tuple(inputs)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
