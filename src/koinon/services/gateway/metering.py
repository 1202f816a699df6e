# SPDX-License-Identifier: Apache-2.0
"""Prices by what a call used: the function says how many units its answer took.

    from koinon.services.gateway.metering import Metered

    def complete(prompt: str) -> Metered[str]:
        text = ...
        return Metered(text, units=len(text.split()))

A stream is a generator; each part is one unit unless it says otherwise:

    def tell(prompt: str) -> Iterator[str]:
        for word in ...:
            yield word

Light: the gateway and a published file import this and no validator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

import orjson

from koinon.errors import PeerError

Value = TypeVar("Value")
SECOND: Final = "second"
TOKEN: Final = "token"  # noqa: S105  (a unit of text)
ROW: Final = "row"
MOST_UNITS: Final = 10**9


@dataclass(frozen=True)
class Metered(Generic[Value]):
    """A result, or one part of a stream, and how many units of the price it took (0 to 10^9)."""

    value: Value
    units: int


class Measured(NamedTuple):
    """A result as JSON; ``units`` as reported, None where nothing was."""

    body: bytes
    units: int | None


def count(unit: str, measured: Measured, seconds: float) -> int:
    """The units of one call: as reported, or else what can be counted from outside.

    ``second`` counts begun seconds of the call, ``row`` the items of a JSON array, ``token`` an
    OpenAI-compatible answer's ``usage.total_tokens``.

    Raises
    ------
    PeerError
        The unit is none of these and nothing was reported (``service.units``); nobody is charged.
    """
    units = measured.units
    if units is None and unit == SECOND:
        return max(1, math.ceil(seconds))
    if units is None and unit in (ROW, TOKEN):
        units = _counted(unit, orjson.loads(measured.body))
    if isinstance(units, bool) or not isinstance(units, int) or not 0 <= units <= MOST_UNITS:
        raise PeerError(
            f"The service did not say how many times the unit '{unit}' its answer took.",
            hint="Nothing was charged; tell the service's owner.",
            code="service.units",
        )
    return units


def _counted(unit: str, document: Any) -> Any:
    if unit == ROW:
        return len(document) if isinstance(document, list) else None
    usage = document.get("usage") if isinstance(document, dict) else None
    return usage.get("total_tokens") if isinstance(usage, dict) else None
