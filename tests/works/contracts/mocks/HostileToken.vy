# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title An ERC-20 that misbehaves as it is told
"""

interface Hook:
    def token_arrived(): nonpayable


balances: HashMap[address, uint256]
blocked: public(HashMap[address, bool])
lies: HashMap[address, uint256]  # what `balanceOf` says plus one; zero tells the truth
fee_from_receiver_bps: public(uint256)
fee_from_sender_bps: public(uint256)
answers_false: public(bool)
silent_theft: public(bool)
mute: public(bool)
hook: public(address)


@external
def mint(to: address, amount: uint256):
    """
    @notice Give new tokens.
    @param to Who gets them.
    @param amount How many.
    """
    self.balances[to] += amount


@external
def take_fee(from_receiver_bps: uint256, from_sender_bps: uint256):
    """
    @notice Take a fee of each transfer.
    @param from_receiver_bps From what arrives.
    @param from_sender_bps On top, from the sender's balance.
    """
    self.fee_from_receiver_bps = from_receiver_bps
    self.fee_from_sender_bps = from_sender_bps


@external
def set_block(account: address, blocked: bool):
    """
    @notice Blacklist an account.
    @param account The account.
    @param blocked True to refuse it.
    """
    self.blocked[account] = blocked


@external
def lie(account: address, reported: uint256):
    """
    @notice Report a false balance.
    @param account Whose.
    @param reported What is said.
    """
    self.lies[account] = unsafe_add(reported, 1)


@external
def be_honest(account: address):
    """
    @notice Report the truth again.
    @param account Whose balance.
    """
    self.lies[account] = 0


@external
def set_manners(answers_false: bool, silent_theft: bool, mute: bool):
    """
    @notice How a transfer ends.
    @param answers_false It answers False.
    @param silent_theft It answers True and moves nothing.
    @param mute `balanceOf` reverts.
    """
    self.answers_false = answers_false
    self.silent_theft = silent_theft
    self.mute = mute


@external
def set_hook(hook: address):
    """
    @notice Call this account in the middle of each transfer.
    @param hook The account; zero for none.
    """
    self.hook = hook


@external
@view
def true_balance(account: address) -> uint256:
    """
    @notice What an account really holds.
    @param account The account.
    @return The amount.
    """
    return self.balances[account]


@external
@view
def balanceOf(account: address) -> uint256:
    """
    @notice What an account is said to hold.
    @param account The account.
    @return The amount.
    """
    assert not self.mute, "mute"
    if self.lies[account] != 0:
        return self.lies[account] - 1
    return self.balances[account]


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move tokens, or not.
    @param to Who gets them.
    @param amount How many.
    @return Whatever it was told to answer.
    """
    assert not self.blocked[to] and not self.blocked[msg.sender], "blacklisted"
    if self.answers_false:
        return False
    if self.silent_theft:
        return True
    if self.lies[msg.sender] == 0:
        self.balances[msg.sender] -= amount + amount * self.fee_from_sender_bps // 10_000
        self.balances[to] += amount - amount * self.fee_from_receiver_bps // 10_000
    if self.hook != empty(address):
        extcall Hook(self.hook).token_arrived()
    return True
