# SPDX-License-Identifier: Apache-2.0
"""Content as numbered blocks under one root, encrypted so that a contract can open a single block.

The same rules as in ``FairExchange.vy``: blocks of 1,024 bytes, the last filled up with zeros; a leaf binds
the size of the whole and the block's number; trees are filled up to a power of two with zero words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import BinaryIO, Final

from koinon.chain.hashing import keccak256
from koinon.errors import BadInput

WORD: Final = 32
BLOCK_BYTES: Final = 1_024
MAXIMUM_SIZE: Final = 2**42


def block_count(size: int) -> int:
    """How many blocks so many bytes make; BadInput when there are none or too many."""
    if not 0 < size <= MAXIMUM_SIZE:
        raise BadInput(
            f"Content of {size} bytes cannot be exchanged fairly.",
            hint=f"From 1 to {MAXIMUM_SIZE} bytes can.",
            code="data.exchange_size",
        )
    return -(-size // BLOCK_BYTES)


def block_leaf(size: int, index: int, block: bytes) -> bytes:
    """keccak256(0x00 ‖ size ‖ index ‖ block): 32 bytes; ``block`` of 1,024 bytes."""
    return keccak256(b"\x00" + size.to_bytes(WORD, "big") + index.to_bytes(WORD, "big") + block)


def block_node(left: bytes, right: bytes) -> bytes:
    """keccak256(0x01 ‖ left ‖ right)."""
    return keccak256(b"\x01" + left + right)


def crypt_block(key: bytes, index: int, block: bytes) -> bytes:
    """Encrypt or decrypt block number ``index``: XOR with keccak256(key ‖ index ‖ word number)."""
    start = key + index.to_bytes(WORD, "big")
    pad = b"".join(keccak256(start + word.to_bytes(WORD, "big")) for word in range(len(block) // WORD))
    return (int.from_bytes(block, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(block), "big")


def read_blocks(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """Every block of a stream of ``size`` bytes, filled up; BadInput when the stream ends early."""
    left = size
    while left > 0:
        wanted, block = min(left, BLOCK_BYTES), b""
        while len(block) < wanted:
            part = stream.read(wanted - len(block))
            if not part:
                raise BadInput(
                    f"The content ends {left - len(block)} bytes early.",
                    hint="Fetch it again.",
                    code="data.exchange_short",
                )
            block += part
        left -= wanted
        yield block.ljust(BLOCK_BYTES, b"\x00")


class BlockTree:
    """The tree over the leaves of some content, in the order of its blocks (at least one, 32 bytes each)."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self._levels[-1][0]

    def proof(self, index: int) -> list[bytes]:
        """The siblings of a leaf, from the bottom up."""
        return [level[index >> depth ^ 1] for depth, level in enumerate(self._levels[:-1])]

    def leaf(self, index: int) -> bytes:
        """One leaf."""
        return self._leaves[index]

    @cached_property
    def _levels(self) -> list[list[bytes]]:
        width = 1 << (len(self._leaves) - 1).bit_length()
        level = [*self._leaves, *[bytes(WORD)] * (width - len(self._leaves))]
        levels = [level]
        while len(level) > 1:
            level = [block_node(level[place], level[place + 1]) for place in range(0, len(level), 2)]
            levels.append(level)
        return levels


def tree_of(stream: BinaryIO, size: int) -> BlockTree:
    """The tree of a stream of ``size`` bytes: its root is what an owner promises."""
    block_count(size)
    return BlockTree(
        [block_leaf(size, index, block) for index, block in enumerate(read_blocks(stream, size))]
    )
