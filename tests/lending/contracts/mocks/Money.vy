# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@notice An ERC-20 that takes fees, answers nothing, changes balances by itself, or calls others when told to.
"""

decimals: public(uint8)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
fee_bps: public(uint256)
silent: public(bool)
refusing: public(bool)
hook: public(address)
hook_data: Bytes[1024]
heard: public(Bytes[128])
hook_worked: public(bool)
calling: bool


@deploy
def __init__(decimals: uint8):
    self.decimals = decimals


@external
def mint(to: address, amount: uint256):
    self.balanceOf[to] += amount


@external
def rebase(account: address, balance: uint256):
    self.balanceOf[account] = balance


@external
def set_manners(fee_bps: uint256, silent: bool, refusing: bool):
    self.fee_bps = fee_bps
    self.silent = silent
    self.refusing = refusing


@external
def set_hook(target: address, data: Bytes[1024]):
    self.hook = target
    self.hook_data = data


@external
def act(target: address, data: Bytes[1024]):
    raw_call(target, data)


@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    return True


@external
@raw_return
def transfer(to: address, amount: uint256) -> Bytes[32]:
    return self._move(msg.sender, to, amount)


@external
@raw_return
def transferFrom(sender: address, to: address, amount: uint256) -> Bytes[32]:
    if self.allowance[sender][msg.sender] != max_value(uint256):
        self.allowance[sender][msg.sender] -= amount
    return self._move(sender, to, amount)


@internal
def _move(sender: address, to: address, amount: uint256) -> Bytes[32]:
    if self.refusing:
        return abi_encode(False)
    self.balanceOf[sender] -= amount
    self.balanceOf[to] += amount - amount * self.fee_bps // 10_000
    if self.hook != empty(address) and not self.calling:
        self.calling = True
        self.hook_worked, self.heard = raw_call(
            self.hook, self.hook_data, max_outsize=128, revert_on_failure=False
        )
        self.calling = False
    if self.silent:
        return b""
    return abi_encode(True)
