# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title An ERC-20 whose transfers return nothing, like some of the oldest
"""

decimals: public(constant(uint8)) = 6
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])


@external
def mint(to: address, amount: uint256):
    """
    @notice Give new tokens.
    @param to Who gets them.
    @param amount How many.
    """
    self.balanceOf[to] += amount


@external
def approve(spender: address, amount: uint256):
    """
    @notice Allow.
    @param spender Whom.
    @param amount How much.
    """
    self.allowance[msg.sender][spender] = amount


@external
def transfer(to: address, amount: uint256):
    """
    @notice Move tokens.
    @param to Who gets them.
    @param amount How many.
    """
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[to] += amount


@external
def transferFrom(sender: address, to: address, amount: uint256):
    """
    @notice Move allowed tokens.
    @param sender Whose.
    @param to Who gets them.
    @param amount How many.
    """
    self.allowance[sender][msg.sender] -= amount
    self.balanceOf[sender] -= amount
    self.balanceOf[to] += amount
