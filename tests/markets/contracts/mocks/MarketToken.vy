# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title An ERC-20 that anyone may mint and that misbehaves as it is told
"""

interface Hook:
    def act(): nonpayable


event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256


decimals: public(uint8)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
fee_bps: public(uint256)
refuses: public(bool)
hook: public(address)


@deploy
def __init__(decimals_: uint8):
    """
    @param decimals_ Digits after the point.
    """
    self.decimals = decimals_


@external
def mint(to: address, amount: uint256):
    """
    @notice Give new tokens.
    @param to Who gets them.
    @param amount How many.
    """
    self.balanceOf[to] += amount


@external
def set_balance(account: address, amount: uint256):
    """
    @notice Change a balance from nowhere, as rebasing tokens do.
    @param account Whose.
    @param amount The new balance.
    """
    self.balanceOf[account] = amount


@external
def misbehave(fee_bps: uint256, refuses: bool, hook: address):
    """
    @notice How transfers go from now on.
    @param fee_bps What is lost of what arrives.
    @param refuses Answer False and move nothing.
    @param hook Called after each transfer; zero for none.
    """
    self.fee_bps = fee_bps
    self.refuses = refuses
    self.hook = hook


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Allow.
    @param spender Whom.
    @param amount How much.
    @return True.
    """
    self.allowance[msg.sender][spender] = amount
    return True


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move tokens.
    @param to Who gets them.
    @param amount How many.
    @return Whether it did.
    """
    return self._move(msg.sender, to, amount)


@external
def transferFrom(sender: address, to: address, amount: uint256) -> bool:
    """
    @notice Move allowed tokens.
    @param sender Whose.
    @param to Who gets them.
    @param amount How many.
    @return Whether it did.
    """
    self.allowance[sender][msg.sender] -= amount
    return self._move(sender, to, amount)


@internal
def _move(sender: address, to: address, amount: uint256) -> bool:
    if self.refuses:
        return False
    self.balanceOf[sender] -= amount
    self.balanceOf[to] += amount - amount * self.fee_bps // 10_000
    log Transfer(sender=sender, receiver=to, amount=amount)
    if self.hook != empty(address):
        extcall Hook(self.hook).act()
    return True
