# SPDX-License-Identifier: Apache-2.0
"""Keccak-256, the EVM's hash (the original Keccak padding, not NIST SHA-3)."""

from __future__ import annotations

from Crypto.Hash import keccak


def keccak256(data: bytes) -> bytes:
    """Keccak-256 digest of ``data``: 32 bytes."""
    return keccak.new(digest_bits=256, data=data).digest()
