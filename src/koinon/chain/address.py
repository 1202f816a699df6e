# SPDX-License-Identifier: Apache-2.0
"""Account addresses: EIP-55 checksums and CREATE / CREATE2 derivation."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from koinon.chain.hashing import keccak256
from koinon.errors import BadInput

ZERO_ADDRESS: Final = "0x" + "00" * 20


def checksum(address: str | bytes) -> str:
    """The EIP-55 form of an address given as 20 bytes or as 40 hex digits (with or without 0x).

    Raises
    ------
    BadInput
        Not 20 bytes, not hex, or mixed case that contradicts its own checksum.
    """
    if isinstance(address, str):
        return _checksum_text(address)
    if isinstance(address, bytes | bytearray | memoryview) and len(address) == 20:
        return _checksum_hex(bytes(address).hex())
    raise _not_an_address(address)


def to_bytes(address: str) -> bytes:
    """The 20 bytes of an address; errors as in `checksum`."""
    return bytes.fromhex(checksum(address)[2:])


def create2_address(deployer: str, salt: bytes, init_code_hash: bytes) -> str:
    """Address of a contract created by ``deployer`` with CREATE2 (EIP-1014).

    ``salt`` and ``init_code_hash`` are 32 bytes each.
    """
    if len(salt) != 32 or len(init_code_hash) != 32:
        raise BadInput("A CREATE2 salt and init code hash have 32 bytes each.")
    return checksum(keccak256(b"\xff" + to_bytes(deployer) + salt + init_code_hash)[12:])


@lru_cache(maxsize=8192)
def _checksum_text(text: str) -> str:
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    lower = digits.lower()
    if len(digits) != 40 or not set(lower) <= set("0123456789abcdef"):
        raise _not_an_address(text)
    result = _checksum_hex(lower)
    if digits not in (lower, digits.upper(), result[2:]):
        raise BadInput(
            f"The address {text} does not match its own checksum.",
            hint="A letter was probably mistyped; copy the address again.",
            code="chain.address_checksum",
        )
    return result


def _checksum_hex(lower: str) -> str:
    digest = keccak256(lower.encode()).hex()
    shown = [
        letter.upper() if nibble > "7" else letter for letter, nibble in zip(lower, digest, strict=False)
    ]
    return "0x" + "".join(shown)


def _not_an_address(given: object) -> BadInput:
    shown = given if isinstance(given, str) and len(given) <= 64 else type(given).__name__
    return BadInput(
        f"{shown!r} is not an address.",
        hint="An address is 0x followed by 40 hex digits.",
        code="chain.address",
    )
