# SPDX-License-Identifier: Apache-2.0
"""Strict readers of single JSON fields as x402 version 2 writes them; all raise `MalformedPayment`."""

from __future__ import annotations

from typing import Any, Final

from koinon.chain.address import checksum
from koinon.errors import BadInput

AMOUNT_LIMIT: Final = 1 << 128
WORD_LIMIT: Final = 1 << 256


class MalformedPayment(BadInput):
    """A payment that is not written as x402 version 2 writes it."""

    code = "payment.malformed"
    http_status = 400


def fields_of(value: object, what: str, *names: str, optional: str = "") -> dict[str, Any]:
    """The object's fields, which must be exactly ``names``, and perhaps ``optional``."""
    if not isinstance(value, dict):
        raise MalformedPayment(f"{what} is not an object.")
    if value.keys() != set(names) and value.keys() != {*names, optional or names[0]}:
        raise MalformedPayment(f"{what} must have the fields {', '.join(names)} and no others.")
    return value


def integer(value: object, name: str, limit: int) -> int:
    """A number below ``limit``, written as a decimal string."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 78:
        number = int(value)
        if number < limit:
            return number
    raise MalformedPayment(f"{name} is not a number in range.", hint="Write it as a decimal string.")


def hex_bytes(value: object, name: str, length: int) -> bytes:
    """``length`` bytes, written as 0x and hex digits."""
    found = _hex(value)
    if found is not None and len(found) == length:
        return found
    raise MalformedPayment(f"{name} is not {length} bytes in hex.", hint="Write it as 0x and hex digits.")


def signature(value: object) -> bytes:
    """1 to 512 bytes, written as 0x and hex digits."""
    found = _hex(value)
    if found is not None and 0 < len(found) <= 512:
        return found
    raise MalformedPayment("signature is not 1 to 512 bytes in hex.", hint="Write it as 0x and hex digits.")


def address(value: object, name: str) -> str:
    """An address in EIP-55 form."""
    if isinstance(value, str) and len(value) == 42 and value.startswith("0x"):
        try:
            return checksum(value)
        except BadInput:
            pass
    raise MalformedPayment(f"{name} is not an address.", hint="Write it as 0x and 40 hex digits.")


def _hex(value: object) -> bytes | None:
    if not isinstance(value, str) or not value.startswith("0x"):
        return None
    try:
        found = bytes.fromhex(value[2:])
    except ValueError:
        return None
    return found if len(value) == 2 + 2 * len(found) else None  # fromhex passes over spaces
