# SPDX-License-Identifier: Apache-2.0
"""Splitting a secret so that any t of n shares give it back, and fewer say nothing about it.

Source: Shamir, "How to share a secret", 1979, over GF(2⁸) with AES's polynomial, each byte by itself.

The tables are read by secret bytes, so whoever measures this process's cache could learn them: split and
combine on a machine of one's own. Shares carry no check; commit to each where a lie must be noticed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from koinon.errors import BadInput

MAXIMUM_SHARES: Final = 255
"""The field has 255 points beside zero, where the secret is."""

_POLYNOMIAL: Final = 0x11B


@dataclass(frozen=True, slots=True)
class Share:
    """One share: ``index`` 1 … 255, and as many bytes as the secret has."""

    index: int
    value: bytes = field(repr=False)


def split(
    secret: bytes, threshold: int, count: int, *, entropy: Callable[[int], bytes] = secrets.token_bytes
) -> tuple[Share, ...]:
    """``count`` shares of ``secret``, any ``threshold`` of which give it back.

    Parameters
    ----------
    secret : bytes
        At least one byte.
    threshold, count : int
        1 ≤ threshold ≤ count ≤ 255.
    entropy : callable
        Gives so many bytes that nobody can foresee.

    Raises
    ------
    BadInput
        Nothing to split, or numbers out of range.
    """
    if not secret or not 1 <= threshold <= count <= MAXIMUM_SHARES:
        raise BadInput(
            f"A secret of {len(secret)} bytes cannot be split {threshold} of {count}.",
            hint=f"Ask for at least one share and for no more than there are: at most {MAXIMUM_SHARES}.",
            code="shamir.split",
        )
    polynomials = [bytes(byte for byte in (first, *entropy(threshold - 1))) for first in secret]
    return tuple(
        Share(index, bytes(_value_at(index, polynomial) for polynomial in polynomials))
        for index in range(1, count + 1)
    )


def combine(shares: Sequence[Share], threshold: int) -> bytes:
    """The secret from ``threshold`` of the shares (the first ones); with a wrong share, other bytes.

    Raises BadInput: too few, one twice, of different lengths, or an index out of range.
    """
    used = shares[:threshold]
    indexes = [share.index for share in used]
    if threshold < 1 or len(used) < threshold:
        raise BadInput(
            f"{len(used)} shares do not give the secret: it takes {threshold}.", code="shamir.combine"
        )
    if len(set(indexes)) < len(indexes) or not all(1 <= index <= MAXIMUM_SHARES for index in indexes):
        raise BadInput("Every share must have a number of its own, 1 to 255.", code="shamir.combine")
    if len({len(share.value) for share in used}) != 1 or not used[0].value:
        raise BadInput("The shares have different lengths.", code="shamir.combine")
    weights = [_weight(index, indexes) for index in indexes]
    secret = bytearray(len(used[0].value))
    for share, weight in zip(used, weights, strict=True):
        for place, byte in enumerate(share.value):
            secret[place] ^= _product(weight, byte)
    return bytes(secret)


def _tables() -> tuple[bytes, tuple[int, ...]]:
    """Powers of the generator 3 (twice around, so that a sum of logarithms needs no reduction), and logs."""
    powers, logarithms, value = bytearray(510), [0] * 256, 1
    for exponent in range(255):
        powers[exponent] = powers[exponent + 255] = value
        logarithms[value] = exponent
        value ^= value << 1 ^ (_POLYNOMIAL if value & 0x80 else 0)
    return bytes(powers), tuple(logarithms)


_POWERS, _LOGARITHMS = _tables()


def _product(one: int, other: int) -> int:
    return _POWERS[_LOGARITHMS[one] + _LOGARITHMS[other]] if one and other else 0


def _value_at(point: int, polynomial: bytes) -> int:
    value = 0
    for coefficient in reversed(polynomial):
        value = _product(value, point) ^ coefficient
    return value


def _weight(index: int, indexes: Sequence[int]) -> int:
    """Lagrange's coefficient at zero: the product of j / (j − i), where − is exclusive or."""
    weight = 1
    for other in indexes:
        if other != index:
            inverse = _POWERS[255 - _LOGARITHMS[other ^ index]]
            weight = _product(weight, _product(other, inverse))
    return weight
