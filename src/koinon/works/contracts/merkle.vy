# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Merkle trees of payouts
@notice A leaf is keccak256(0x00, index, account, amount), a node keccak256(0x01, smaller child, greater child): a node
        can never pass for a leaf. A lone node at a level is promoted unchanged.
"""


@internal
@pure
def _leaf(index: uint256, account: address, amount: uint256) -> bytes32:
    """
    @dev Index 32 bytes, account 20, amount 32, packed after the prefix.
    """
    return keccak256(
        concat(
            0x00,
            convert(index, bytes32),
            slice(convert(account, bytes32), 12, 20),
            convert(amount, bytes32),
        )
    )


@internal
@pure
def _root(leaf: bytes32, proof: DynArray[bytes32, 64]) -> bytes32:
    """
    @dev The root that a leaf and its siblings, from the bottom up, lead to.
    """
    node: bytes32 = leaf
    for sibling: bytes32 in proof:
        if convert(node, uint256) <= convert(sibling, uint256):
            node = keccak256(concat(0x01, node, sibling))
        else:
            node = keccak256(concat(0x01, sibling, node))
    return node
