# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title A plain ERC-20 for tests that anyone may mint
"""

event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256


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
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move tokens.
    @param to Who gets them.
    @param amount How many.
    @return True.
    """
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[to] += amount
    log Transfer(sender=msg.sender, receiver=to, amount=amount)
    return True
