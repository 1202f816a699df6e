# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title An ERC-20 that anyone may mint, and that misbehaves as it is told
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


decimals: public(uint8)
totalSupply: public(uint256)
balances: HashMap[address, uint256]
allowance: public(HashMap[address, HashMap[address, uint256]])
fee_bps: public(uint256)
stuck: public(bool)
silent: public(bool)
callee: address
question: Bytes[520]
callback_failed: public(bool)
callback_answer: public(Bytes[320])


@deploy
def __init__(decimals: uint8):
    """
    @notice A token.
    @param decimals Its decimals.
    """
    self.decimals = decimals


@external
def mint(to: address, amount: uint256):
    """
    @notice Give new tokens.
    @param to Who gets them.
    @param amount How many.
    """
    self.balances[to] += amount
    self.totalSupply += amount


@external
def seize(account: address, amount: uint256):
    """
    @notice Take tokens away from anybody.
    @param account From whom.
    @param amount How many.
    """
    self.balances[account] -= amount
    self.totalSupply -= amount


@external
def take_fee(fee_bps: uint256):
    """
    @notice Deliver less than what is sent.
    @param fee_bps How much less.
    """
    self.fee_bps = fee_bps


@external
def misbehave(stuck: bool, silent: bool):
    """
    @notice Refuse transfers, or say nothing of balances.
    @param stuck Refuse transfers.
    @param silent Refuse to say balances.
    """
    self.stuck = stuck
    self.silent = silent


@external
def call_back(callee: address, question: Bytes[520]):
    """
    @notice Make this call in the middle of each transfer.
    @param callee Whom; zero for nobody.
    @param question Call data.
    """
    self.callee = callee
    self.question = question


@external
@view
def balanceOf(account: address) -> uint256:
    """
    @notice A balance.
    @param account Whose.
    @return In the smallest unit.
    """
    assert not self.silent, "silent"
    return self.balances[account]


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Allow.
    @param spender Whom.
    @param amount How much.
    @return True.
    """
    self.allowance[msg.sender][spender] = amount
    log Approval(owner=msg.sender, spender=spender, amount=amount)
    return True


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move.
    @param to Who gets them.
    @param amount How many.
    @return True.
    """
    self._move(msg.sender, to, amount)
    return True


@external
def transferFrom(sender: address, to: address, amount: uint256) -> bool:
    """
    @notice Move another's.
    @param sender Whose.
    @param to Who gets them.
    @param amount How many.
    @return True.
    """
    self.allowance[sender][msg.sender] -= amount
    self._move(sender, to, amount)
    return True


@internal
def _move(sender: address, to: address, amount: uint256):
    assert not self.stuck, "stuck"
    fee: uint256 = amount * self.fee_bps // 10_000
    self.balances[sender] -= amount
    self.balances[to] += amount - fee
    self.totalSupply -= fee
    log Transfer(sender=sender, receiver=to, amount=amount - fee)
    if self.callee != empty(address):
        fine: bool = False
        answer: Bytes[320] = b""
        fine, answer = raw_call(self.callee, self.question, max_outsize=320, revert_on_failure=False)
        self.callback_failed = not fine
        self.callback_answer = answer
