# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title An ERC-20 whose `transfer` returns nothing, like some of the oldest
"""

balanceOf: public(HashMap[address, uint256])


@external
def mint(to: address, amount: uint256):
    """
    @notice Give new tokens.
    @param to Who gets them.
    @param amount How many.
    """
    self.balanceOf[to] += amount


@external
def transfer(to: address, amount: uint256):
    """
    @notice Move tokens.
    @param to Who gets them.
    @param amount How many.
    """
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[to] += amount
