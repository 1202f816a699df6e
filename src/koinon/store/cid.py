# SPDX-License-Identifier: Apache-2.0
"""CIDv1 of raw bytes under sha2-256, in lower-case base32: ``bafkrei…``.

Source: multiformats CID specification, version 1; multicodec table (raw 0x55, sha2-256 0x12);
RFC 4648 base32.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from koinon.errors import BadInput

HEADER = bytes([0x01, 0x55, 0x12, 0x20])  # version 1, raw bytes, sha2-256, 32 bytes long


def cid_of(data: bytes) -> str:
    """The CID of ``data`` as one raw block."""
    return cid_from_digest(hashlib.sha256(data).digest())


def cid_from_digest(digest: bytes) -> str:
    """The CID of the raw block whose SHA-256 is ``digest`` (32 bytes)."""
    if len(digest) != 32:
        raise BadInput(
            f"A SHA-256 digest has 32 bytes, this one {len(digest)}.",
            hint="Give the digest itself.",
            code="store.cid",
        )
    return "b" + base64.b32encode(HEADER + digest).decode().rstrip("=").lower()


def digest_of(cid: str) -> bytes:
    """The SHA-256 digest inside ``cid``; raises BadInput for any CID that `cid_of` could not have made."""
    try:
        content = base64.b32decode(cid[1:].upper() + "=" * (-(len(cid) - 1) % 8))
    except (binascii.Error, ValueError):
        content = b""
    if len(content) != 36 or not content.startswith(HEADER) or cid_from_digest(content[4:]) != cid:
        raise BadInput(
            f"{cid[:80]!r} is not the CID of a raw SHA-256 block.",
            hint="Such a CID starts with bafkrei and has 59 characters.",
            code="store.cid",
        )
    return content[4:]
