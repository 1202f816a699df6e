# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title A stranger's contract that looks like a vault, with terms that no vault can have
"""


struct Charter:
    asset: address
    manager: address
    allocator: address
    guardian: address
    fee_to: address
    fee_bps: uint256
    spread_bps: uint256
    unlock_s: uint256
    epoch_s: uint256


struct Limits:
    turnover_bps: uint256
    slippage_bps: uint256
    drawdown_bps: uint256
    idle_bps: uint256


struct Strategy:
    kind: uint256
    token: address
    feed: address
    pair: address
    max_age_s: uint256
    min_bps: uint256
    max_bps: uint256


event Announced:
    change_id: indexed(bytes32)
    ready_at: uint256
    call: Bytes[260]


name: public(String[64])
symbol: public(String[32])
decimals: public(uint8)
charter: public(Charter)
kind: uint256
totalAssets: public(uint256)
totalSupply: public(uint256)
stopped: public(bool)
tripped: public(bool)
peak: public(uint256)
high_water: public(uint256)
traded: public(HashMap[uint256, uint256])
balanceOf: public(HashMap[address, uint256])


@deploy
def __init__(asset: address, name: String[64], decimals: uint8, epoch_s: uint256, kind: uint256):
    """
    @notice A mask.
    @param asset What it says it holds.
    @param name What it says it is called.
    @param decimals What it says of its shares.
    @param epoch_s Its epoch.
    @param kind Of its first slot.
    """
    self.name = name
    self.decimals = decimals
    self.charter.asset = asset
    self.charter.epoch_s = epoch_s
    self.kind = kind


@external
def announce(call: Bytes[260]):
    """
    @notice Say that something will change.
    @param call Any call data.
    """
    log Announced(change_id=keccak256(call), ready_at=max_value(uint256), call=call)


@external
@view
def ready_at(change_id: bytes32) -> uint256:
    """
    @notice When a change can be made.
    @param change_id Which.
    @return Never.
    """
    return max_value(uint256)


@external
@view
def limits() -> Limits:
    """
    @notice No limits.
    @return Nothing.
    """
    return empty(Limits)


@external
@view
def values() -> (bool, uint256, uint256[8], uint256):
    """
    @notice What it says it holds.
    @return Nothing, at valid prices.
    """
    return True, 0, empty(uint256[8]), 0


@external
@view
def strategy(number: uint256) -> Strategy:
    """
    @notice A slot.
    @param number Which.
    @return Only the first is used.
    """
    found: Strategy = empty(Strategy)
    if number == 0:
        found.kind = self.kind
        found.token = self.charter.asset
    return found


@external
@view
def held(number: uint256) -> uint256:
    """
    @notice What a slot holds.
    @param number Which.
    @return Nothing.
    """
    return 0
