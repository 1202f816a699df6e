# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title An ERC-20 with allowances for tests, that takes fees, refuses or blacklists when told to
"""

balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
fee_bps: public(uint256)
refusing: public(bool)
blocked: public(HashMap[address, bool])
hook: public(address)
hook_data: Bytes[1024]


@external
def mint(to: address, amount: uint256):
    """
    @notice Give new tokens.
    @param to Who gets them.
    @param amount How many.
    """
    self.balanceOf[to] += amount


@external
def set_fee(fee_bps: uint256):
    """
    @notice Take a part of every transfer.
    @param fee_bps The part.
    """
    self.fee_bps = fee_bps


@external
def set_refusing(refusing: bool):
    """
    @notice Answer False to every transfer.
    @param refusing True to do so.
    """
    self.refusing = refusing


@external
def set_block(account: address, blocked: bool):
    """
    @notice Blacklist an account.
    @param account The account.
    @param blocked True to refuse it.
    """
    self.blocked[account] = blocked


@external
def set_hook(target: address, data: Bytes[1024]):
    """
    @notice Call this, and insist that it works, in the middle of every transfer.
    @param target Whom to call; zero for nobody.
    @param data With what.
    """
    self.hook = target
    self.hook_data = data


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Let another move one's tokens.
    @param spender Who.
    @param amount How many.
    @return True, unless it is refusing.
    """
    if self.refusing:
        return False
    self.allowance[msg.sender][spender] = amount
    return True


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move tokens.
    @param to Who gets them.
    @param amount How many.
    @return False when told to refuse.
    """
    return self._move(msg.sender, to, amount)


@external
def transferFrom(sender: address, to: address, amount: uint256) -> bool:
    """
    @notice Move another's tokens.
    @param sender Whose.
    @param to Who gets them.
    @param amount How many.
    @return False when told to refuse.
    """
    self.allowance[sender][msg.sender] -= amount
    return self._move(sender, to, amount)


@internal
def _move(sender: address, to: address, amount: uint256) -> bool:
    assert not self.blocked[sender] and not self.blocked[to], "blacklisted"
    if self.refusing:
        return False
    self.balanceOf[sender] -= amount
    self.balanceOf[to] += amount - amount * self.fee_bps // 10_000
    if self.hook != empty(address):
        raw_call(self.hook, self.hook_data)
    return True
