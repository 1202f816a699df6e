# SPDX-License-Identifier: Apache-2.0
"""Keccak-256, the EVM's hash (the original Keccak padding, not NIST SHA-3).

Every paid call hashes twice, and pycryptodome's own class spends longer on building objects than on hashing.
So its compiled functions are called here with one sponge a thread.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from Crypto.Hash.keccak import _raw_keccak_lib as _library  # type: ignore[attr-defined]
from Crypto.Util import _raw_api

_CAPACITY: Final = _raw_api.c_size_t(64)
_ROUNDS: Final = _raw_api.c_ubyte(24)  # type: ignore[attr-defined]
_LENGTH: Final = _raw_api.c_size_t(32)
_PADDING: Final = _raw_api.c_ubyte(1)  # type: ignore[attr-defined]
_size: Final = _raw_api.c_size_t
_bytes: Final = _raw_api.get_raw_buffer
_reset: Final = _library.keccak_reset
_absorb: Final = _library.keccak_absorb
_digest: Final = _library.keccak_digest


class _State(threading.local):
    """A sponge and room for its output; the library lets other threads run while it hashes."""

    def __init__(self) -> None:
        pointer = _raw_api.VoidPointer()
        if _library.keccak_init(pointer.address_of(), _CAPACITY, _ROUNDS):
            raise MemoryError("no room for a hash's state")
        self._owner = _raw_api.SmartPointer(pointer.get(), _library.keccak_destroy)
        self.sponge: Any = self._owner.get()
        self.output = _raw_api.create_string_buffer(32)  # type: ignore[call-arg]


_state: Final = _State()


def keccak256(data: bytes) -> bytes:
    """Keccak-256 digest of ``data``: 32 bytes."""
    sponge, output = _state.sponge, _state.output
    if (
        _reset(sponge)
        or _absorb(sponge, bytes(data), _size(len(data)))
        or _digest(sponge, output, _LENGTH, _PADDING)
    ):
        raise MemoryError("the hash could not be computed")
    digest: bytes = _bytes(output)
    return digest
