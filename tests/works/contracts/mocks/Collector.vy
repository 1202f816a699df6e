# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A deposit collector that holds tokens of its own, and an intruder that calls back when money moves
"""

from ethereum.ercs import IERC20

shortfall: uint256
target: address
plan: Bytes[4096]
tried: public(uint256)
succeeded: public(uint256)


@external
def keep_back(shortfall: uint256):
    """
    @notice Bring less than asked.
    @param shortfall How much less.
    """
    self.shortfall = shortfall


@external
def intrude(target: address, plan: Bytes[4096]):
    """
    @notice Make this call whenever money moves.
    @param target Whom to call.
    @param plan With what.
    """
    self.target = target
    self.plan = plan


@external
def collect(payer: address, token: address, amount: uint256, channel_id: bytes32, data: Bytes[2048]):
    """
    @notice Bring a deposit.
    @param payer Not asked.
    @param token What to bring.
    @param amount How much, before the shortfall.
    @param channel_id Not asked.
    @param data Not asked.
    """
    extcall IERC20(token).transfer(msg.sender, amount - self.shortfall, default_return_value=True)
    self._intrude()


@external
def token_arrived():
    """
    @notice Called by HostileToken in the middle of a transfer.
    """
    self._intrude()


@internal
def _intrude():
    if self.target == empty(address):
        return
    self.tried += 1
    if raw_call(self.target, self.plan, revert_on_failure=False):
        self.succeeded += 1
