# SPDX-License-Identifier: Apache-2.0
"""Amounts as people write them ("0.001") and as the coin counts them (1000 units at 6 decimals)."""

from __future__ import annotations

import re

from koinon.errors import BadInput

_DECIMAL = re.compile(r"([0-9]{1,30})(?:\.([0-9]{1,30}))?")
_UINT128 = 1 << 128


def to_units(text: str, decimals: int) -> int:
    """The amount a decimal string stands for, in the coin's smallest unit.

    Raises BadInput (``service.price``) for anything else than a positive decimal with at most ``decimals``
    places.
    """
    match = _DECIMAL.fullmatch(text.strip())
    if match is None:
        raise BadInput(f"'{text}' is not an amount.", hint='Write it like "0.001".', code="service.price")
    whole, part = match[1], (match[2] or "").rstrip("0")
    if len(part) > decimals:
        raise BadInput(
            f"{text} is finer than the coin's smallest unit.",
            hint=f"Use at most {decimals} decimal places.",
            code="service.price",
        )
    units = int(whole + part.ljust(decimals, "0"))
    if not 0 < units < _UINT128:
        raise BadInput(f"{text} is not a payable amount.", hint="It must be above 0.", code="service.price")
    return units


def to_text(units: int, decimals: int) -> str:
    """The decimal string for an amount in the coin's smallest unit, without trailing zeros."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    whole, part = divmod(units, 10**decimals)
    fraction = str(part).rjust(decimals, "0").rstrip("0") if part else ""
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"
