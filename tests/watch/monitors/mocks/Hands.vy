# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Does a list of calls, at once or when a pair lends it something
"""

struct Call:
    target: address
    data: Bytes[1_024]


calls: DynArray[Call, 16]


@external
def plan(calls: DynArray[Call, 16]):
    """
    @notice What to do when a pair lends.
    @param calls In their order.
    """
    self.calls = calls


@external
def perform(calls: DynArray[Call, 16]):
    """
    @notice Do something now.
    @param calls In their order; one that fails undoes all.
    """
    for each: Call in calls:
        raw_call(each.target, each.data)


@external
def uniswapV2Call(sender: address, amount0: uint256, amount1: uint256, data: Bytes[1_024]):
    """
    @notice What pairs call: does what was planned.
    @param sender Who swaps.
    @param amount0 Of token0.
    @param amount1 Of token1.
    @param data Given along.
    """
    for each: Call in self.calls:
        raw_call(each.target, each.data)
