# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title ERC-20 core
@license Apache-2.0
@author Koinon
@notice Balances, allowances and their moves, for tokens that add their own rules on top. An allowance of 2**256 - 1
        never runs down. Nothing moves to or from the zero address except by `_mint` and `_burn`.
@custom:source ERC-20
"""

from ethereum.ercs import IERC20

implements: IERC20


event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256


event Approval:
    owner: indexed(address)
    spender: indexed(address)
    amount: uint256


totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move tokens of the caller.
    @param to The receiver.
    @param amount In the smallest unit.
    @return Always True; it reverts otherwise.
    """
    self._transfer(msg.sender, to, amount)
    return True


@external
def transferFrom(sender: address, to: address, amount: uint256) -> bool:
    """
    @notice Move tokens of `sender` within the allowance it gave the caller.
    @param sender The account that pays.
    @param to The receiver.
    @param amount In the smallest unit.
    @return Always True; it reverts otherwise.
    """
    self._spend_allowance(sender, msg.sender, amount)
    self._transfer(sender, to, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Set what `spender` may move of the caller's tokens.
    @param spender The account allowed.
    @param amount In the smallest unit; 2**256 - 1 for no limit.
    @return Always True; it reverts otherwise.
    """
    self._approve(msg.sender, spender, amount)
    return True


@internal
def _transfer(sender: address, to: address, amount: uint256):
    """
    @dev Move tokens; no authorization is checked here.
    """
    assert sender != empty(address), "erc20: transfer from the zero address"
    assert to != empty(address), "erc20: transfer to the zero address"
    balance: uint256 = self.balanceOf[sender]
    assert amount <= balance, "erc20: transfer amount exceeds balance"
    self.balanceOf[sender] = unsafe_sub(balance, amount)
    # The sum of all balances is totalSupply, which fits.
    self.balanceOf[to] = unsafe_add(self.balanceOf[to], amount)
    log Transfer(sender=sender, receiver=to, amount=amount)


@internal
def _approve(owner: address, spender: address, amount: uint256):
    """
    @dev Set an allowance; no authorization is checked here.
    """
    assert owner != empty(address), "erc20: approve from the zero address"
    assert spender != empty(address), "erc20: approve to the zero address"
    self.allowance[owner][spender] = amount
    log Approval(owner=owner, spender=spender, amount=amount)


@internal
def _spend_allowance(owner: address, spender: address, amount: uint256):
    """
    @dev Run an allowance down, unless it has no limit.
    """
    allowed: uint256 = self.allowance[owner][spender]
    if allowed == max_value(uint256):
        return
    assert amount <= allowed, "erc20: insufficient allowance"
    self._approve(owner, spender, unsafe_sub(allowed, amount))


@internal
def _mint(to: address, amount: uint256):
    """
    @dev Create tokens; who may is the caller's matter.
    """
    assert to != empty(address), "erc20: mint to the zero address"
    self.totalSupply += amount
    self.balanceOf[to] = unsafe_add(self.balanceOf[to], amount)
    log Transfer(sender=empty(address), receiver=to, amount=amount)


@internal
def _burn(owner: address, amount: uint256):
    """
    @dev Destroy tokens; who may is the caller's matter.
    """
    assert owner != empty(address), "erc20: burn from the zero address"
    balance: uint256 = self.balanceOf[owner]
    assert amount <= balance, "erc20: burn amount exceeds balance"
    self.balanceOf[owner] = unsafe_sub(balance, amount)
    self.totalSupply = unsafe_sub(self.totalSupply, amount)
    log Transfer(sender=owner, receiver=empty(address), amount=amount)
