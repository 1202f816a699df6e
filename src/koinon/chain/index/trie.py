# SPDX-License-Identifier: Apache-2.0
"""The root of a Merkle-Patricia trie, from all of its entries at once (Yellow Paper, appendix D)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from koinon.chain.hashing import keccak256
from koinon.chain.transactions import RlpItem, rlp_encode

EMPTY_ROOT: Final = keccak256(rlp_encode(b""))

_Entry = tuple[bytes, bytes]  # nibbles, one a byte; content


def trie_root(entries: Mapping[bytes, bytes]) -> bytes:
    """32 bytes; no content may be empty, which in a trie means that there is no entry."""
    ordered = sorted((_nibbles(key), content) for key, content in entries.items())
    return keccak256(rlp_encode(_node(ordered, 0))) if ordered else EMPTY_ROOT


def _node(entries: Sequence[_Entry], depth: int) -> RlpItem:
    """The node of entries that share their first ``depth`` nibbles."""
    if len(entries) == 1:
        key, content = entries[0]
        return [_path(key[depth:], leaf=True), content]
    first, last = entries[0][0], entries[-1][0]
    shared = depth
    while shared < min(len(first), len(last)) and first[shared] == last[shared]:
        shared += 1
    if shared > depth:
        return [_path(first[depth:shared], leaf=False), _reference(_node(entries, shared))]
    content = b""
    if len(first) == depth:
        content, entries = entries[0][1], entries[1:]
    branches: list[RlpItem] = []
    start = 0
    for nibble in range(16):
        end = start
        while end < len(entries) and entries[end][0][depth] == nibble:
            end += 1
        branches.append(_reference(_node(entries[start:end], depth + 1)) if end > start else b"")
        start = end
    return [*branches, content]


def _reference(node: RlpItem) -> RlpItem:
    """A node inside its parent: itself where it is short, else its hash."""
    encoded = rlp_encode(node)
    return node if len(encoded) < 32 else keccak256(encoded)


def _nibbles(key: bytes) -> bytes:
    return bytes(nibble for byte in key for nibble in (byte >> 4, byte & 15))


def _path(nibbles: bytes, *, leaf: bool) -> bytes:
    """Hex-prefix encoding (Yellow Paper, appendix C)."""
    flag = 2 if leaf else 0
    padded = bytes((flag + 1, *nibbles)) if len(nibbles) % 2 else bytes((flag, 0, *nibbles))
    return bytes(padded[at] << 4 | padded[at + 1] for at in range(0, len(padded), 2))
