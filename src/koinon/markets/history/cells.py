# SPDX-License-Identifier: Apache-2.0
"""Cells of other people's tables: exact integers, times, addresses and hashes, however they are written."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from koinon.chain.address import checksum
from koinon.errors import BadInput

_DIGITS: Final = re.compile(r"[+-]?\d+(\.0+)?")
_HEX: Final = re.compile(r"0[xX][0-9a-fA-F]+")
_THOUSANDS: Final = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?")
_EXACT: Final = 1 << 53
_MILLISECONDS: Final = 100_000_000_000
_WORD: Final = 1 << 256
_WORD_DIGITS: Final = 79
"""Digits of a word in decimal, and a sign: longer text is no amount of any chain."""


def integer(cell: Any) -> int:
    """A whole number of any size: digits, hex after ``0x``, a whole decimal, or up to 32 bytes.

    Raises
    ------
    ValueError
        Anything else, and floating-point numbers of 2**53 and more, which were rounded already.
    """
    number = _integer(cell)
    if abs(number) >= _WORD:
        raise ValueError("is larger than 256 bits")
    return number


def _integer(cell: Any) -> int:
    if isinstance(cell, bool) or cell is None:
        raise ValueError("is empty" if cell is None else "is no number")
    if isinstance(cell, int):
        return cell
    if isinstance(cell, float):
        if not cell.is_integer():
            raise ValueError("is no whole number")
        if abs(cell) >= _EXACT:
            raise ValueError("is a floating-point number, and too large to be exact: export it as text")
        return int(cell)
    if isinstance(cell, Decimal):
        if not cell.is_finite() or cell != cell.to_integral_value():
            raise ValueError("is no whole number")
        return int(cell)
    if isinstance(cell, bytes):
        return int.from_bytes(cell, "big")
    text = str(cell).strip()
    if not text:
        raise ValueError("is empty")
    if _HEX.fullmatch(text):
        return int(text, 16)
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    if not _DIGITS.fullmatch(text):
        raise ValueError("is no whole number" if _decimal(text) is not None else "is no number")
    whole = text.partition(".")[0]
    if len(whole) > _WORD_DIGITS:
        raise ValueError("is larger than 256 bits")
    return int(whole)


def whole_units(cell: Any, decimals: int) -> int:
    """An amount in whole tokens (``1,234.5``) in the smallest unit; ValueError where that is not exact."""
    text = str(cell).strip()
    number = _decimal(text.replace(",", "") if _THOUSANDS.fullmatch(text) else text)
    if number is None or not number.is_finite() or len(text) > _WORD_DIGITS:
        raise ValueError("is no number")
    sign, digits, exponent = number.as_tuple()
    shift = int(exponent) + decimals
    if shift > _WORD_DIGITS:
        raise ValueError("is larger than 256 bits")
    value = int("".join(map(str, digits)) or "0")
    if shift < 0:
        value, rest = divmod(value, 10**-shift) if -shift <= _WORD_DIGITS else (0, value)
        if rest:
            raise ValueError(f"has more than the token's {decimals} decimals")
    else:
        value *= 10**shift
    return integer(-value if sign else value)


def moment(cell: Any) -> int:
    """Unix seconds of a number of seconds or milliseconds, a datetime, or ISO text (UTC where it names no
    zone); ValueError for anything else."""
    if isinstance(cell, datetime):
        return int((cell if cell.tzinfo else cell.replace(tzinfo=UTC)).timestamp())
    try:
        number = integer(cell)
    except ValueError:
        text = str(cell).strip().removesuffix("UTC").strip()
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("is no time") from None
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    if number < 0:
        raise ValueError("is no time")
    return number // 1_000 if number >= _MILLISECONDS else number


def address(cell: Any) -> str:
    """EIP-55 of 20 bytes or 40 hex digits, also where they end a word of 32 bytes; ValueError for anything
    else."""
    raw = cell.hex() if isinstance(cell, bytes) else str(cell).strip()
    digits = raw[2:] if raw[:2] in ("0x", "0X", "\\x") else raw
    if len(digits) == 64 and digits.startswith("0" * 24):
        digits = digits[24:]
    try:
        return checksum(digits)
    except BadInput as fault:
        raise ValueError("is no address") from fault


def hexadecimal(cell: Any) -> str:
    """``0x…`` in lower case of bytes or hex text ('' for an empty cell); ValueError for anything else."""
    if cell is None:
        return ""
    raw = cell.hex() if isinstance(cell, bytes) else str(cell).strip()
    digits = (raw[2:] if raw[:2] in ("0x", "0X", "\\x") else raw).lower()
    if not set(digits) <= set("0123456789abcdef"):
        raise ValueError("is no hex")
    return "0x" + digits if digits or isinstance(cell, bytes) or raw else ""


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
