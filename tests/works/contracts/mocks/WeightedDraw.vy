# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title The tree of weights by itself
"""

from koinon.works.contracts import weighted_draw

initializes: weighted_draw


@external
def append(weight: uint256) -> uint256:
    """
    @notice Add a member.
    @param weight Its weight.
    @return Its position.
    """
    return weighted_draw._append(weight)


@external
def change(position: uint256, before: uint256, after: uint256):
    """
    @notice Give a member another weight.
    @param position Which.
    @param before What it has.
    @param after What it shall have.
    """
    weighted_draw._change(position, before, after)


@external
@view
def find(point: uint256) -> uint256:
    """
    @notice Whom a point falls on.
    @param point Below the total.
    @return The member's position.
    """
    return weighted_draw._find(point)


@external
@view
def total() -> uint256:
    """
    @notice All weights.
    @return Their sum.
    """
    return weighted_draw._total
