# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Drawing by weight
@notice A Fenwick tree of weights that grows with its members: adding, changing and drawing one costs time in the
        logarithm of how many ever joined, so that no number of members can block another.
@custom:source Fenwick, A new data structure for cumulative frequency tables (1994)
"""

LEVELS: constant(uint256) = 64

_size: uint256
_total: uint256
_nodes: HashMap[uint256, uint256]


@internal
@pure
def _low_bit(position: uint256) -> uint256:
    return position & (~position + 1)


@internal
def _append(weight: uint256) -> uint256:
    """
    @dev Adds a member; positions run from 1.
    """
    position: uint256 = self._size + 1
    self._size = position
    self._total += weight
    node: uint256 = weight
    low: uint256 = self._low_bit(position)
    step: uint256 = 1
    for i: uint256 in range(LEVELS):
        if step >= low:
            break
        node += self._nodes[position - step]
        step *= 2
    self._nodes[position] = node
    return position


@internal
def _change(position: uint256, before: uint256, after: uint256):
    """
    @dev Gives a member another weight; `before` must be the one it has.
    """
    if before == after:
        return
    self._total = self._total + after - before
    at: uint256 = position
    for i: uint256 in range(LEVELS):
        if at > self._size:
            break
        self._nodes[at] = self._nodes[at] + after - before
        at += self._low_bit(at)


@internal
@view
def _find(point: uint256) -> uint256:
    """
    @dev The member on whose part of the whole a point, below the total, falls.
    """
    size: uint256 = self._size
    left: uint256 = point
    at: uint256 = 0
    step: uint256 = 2 ** (LEVELS - 1)
    for i: uint256 in range(LEVELS):
        if at + step <= size:
            node: uint256 = self._nodes[at + step]
            if node <= left:
                at += step
                left -= node
        step //= 2
    return at + 1
