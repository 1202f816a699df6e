# pragma version 0.4.3
# SPDX-License-Identifier: Apache-2.0
"""
@title Trades with a Uniswap v3 pool and pays, when called back, from its own balance.
"""

interface Token:
    def transfer(receiver: address, amount: uint256) -> bool: nonpayable

interface Pool:
    def mint(receiver: address, lower: int24, upper: int24, amount: uint128, data: Bytes[1]) -> (uint256, uint256): nonpayable
    def swap(receiver: address, zero_for_one: bool, amount: int256, limit: uint160, data: Bytes[1]) -> (int256, int256): nonpayable

POOL: immutable(address)
TOKENS: immutable(address[2])


@deploy
def __init__(pool: address, token_0: address, token_1: address):
    POOL = pool
    TOKENS = [token_0, token_1]


@external
def provide(receiver: address, lower: int24, upper: int24, amount: uint128):
    extcall Pool(POOL).mint(receiver, lower, upper, amount, b"")


@external
def trade(receiver: address, zero_for_one: bool, amount: int256, limit: uint160):
    extcall Pool(POOL).swap(receiver, zero_for_one, amount, limit, b"")


@external
def uniswapV3MintCallback(owed_0: uint256, owed_1: uint256, data: Bytes[1]):
    extcall Token(TOKENS[0]).transfer(msg.sender, owed_0)
    extcall Token(TOKENS[1]).transfer(msg.sender, owed_1)


@external
def uniswapV3SwapCallback(delta_0: int256, delta_1: int256, data: Bytes[1]):
    if delta_0 > 0:
        extcall Token(TOKENS[0]).transfer(msg.sender, convert(delta_0, uint256))
    if delta_1 > 0:
        extcall Token(TOKENS[1]).transfer(msg.sender, convert(delta_1, uint256))
