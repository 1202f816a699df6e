# SPDX-License-Identifier: Apache-2.0
"""Fast checks of many vouchers by few signers."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import coincurve
from coincurve._libsecp256k1 import ffi, lib  # type: ignore[import-not-found]
from coincurve.context import GLOBAL_CONTEXT

from koinon.chain import keys
from koinon.errors import KoinonError

_LIMIT: Final = 65_536


class Signers:
    """Verifies with each signer's cached public key, which costs half of recovering it every time. The
    library is called as coincurve calls it, less the DER form in between. For one thread.

    A plain verification does not look at the recovery byte v, but the contract recovers: `claimable` puts it
    right before a signature goes on chain. The curve library refuses high s, as the contract does.
    """

    def __init__(self) -> None:
        self._keys: OrderedDict[str, coincurve.PublicKey] = OrderedDict()
        self._signature = ffi.new("secp256k1_ecdsa_signature *")

    def verify(self, digest: bytes, signature: bytes, address: str) -> bool:
        """Whether ``address`` signed the 32-byte ``digest``; the signature has 65 bytes, v 27 or 28."""
        if len(digest) != 32 or len(signature) != 65 or signature[64] not in (27, 28):
            return False
        known = self._keys.get(address)
        if known is not None:
            context, parsed = GLOBAL_CONTEXT.ctx, self._signature
            return bool(
                lib.secp256k1_ecdsa_signature_parse_compact(context, parsed, signature[:64])
                and lib.secp256k1_ecdsa_verify(context, parsed, digest, known.public_key)
            )
        if not keys.verify(digest, signature, address):
            return False
        recoverable = signature[:64] + bytes((signature[64] - 27,))
        if len(self._keys) >= _LIMIT:
            self._keys.popitem(last=False)
        self._keys[address] = coincurve.PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
        return True


def claimable(digest: bytes, signature: bytes, address: str) -> bytes:
    """A verified signature with the v by which the contract recovers ``address``."""
    other = signature[:64] + bytes((55 - signature[64],))
    try:
        return signature if keys.recover(digest, signature) == address else other
    except KoinonError:
        return other
