# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Pretends to be a pair and a pool: keeps what it is paid, pays nothing, and calls what it was told to
"""

token0: public(address)
token1: public(address)
reserve0: uint112
reserve1: uint112
target: address
request: Bytes[4_096]
succeeded: public(bool)
answer: public(Bytes[256])


@deploy
def __init__(token0_: address, token1_: address):
    """
    @param token0_ One token.
    @param token1_ The other.
    """
    self.token0 = token0_
    self.token1 = token1_


@external
def boast(reserve0: uint112, reserve1: uint112):
    """
    @notice Claim to hold something.
    @param reserve0 Of token0.
    @param reserve1 Of token1.
    """
    self.reserve0 = reserve0
    self.reserve1 = reserve1


@external
def plan(target: address, request: Bytes[4_096]):
    """
    @notice Call something in the middle of a swap.
    @param target What.
    @param request With what call data.
    """
    self.target = target
    self.request = request


@external
@view
def getReserves() -> (uint112, uint112, uint32):
    """
    @return What it was told.
    """
    return self.reserve0, self.reserve1, 0


@external
@view
def reserves() -> (uint256, uint256):
    """
    @return Nothing.
    """
    return 0, 0


@external
def swap(amount0: uint256, amount1: uint256, to: address, data: Bytes[4_096]):
    """
    @notice Keep it.
    @param amount0 Unused.
    @param amount1 Unused.
    @param to Unused.
    @param data Unused.
    """
    self._act()


@external
def swap_exact(token_in: address, amount_in: uint256, minimum_out: uint256, to: address) -> uint256:
    """
    @notice Keep it.
    @param token_in Unused.
    @param amount_in Unused.
    @param minimum_out Unused.
    @param to Unused.
    @return A lie.
    """
    self._act()
    return max_value(uint256)


@internal
def _act():
    if self.target != empty(address):
        self.succeeded, self.answer = raw_call(
            self.target, self.request, max_outsize=256, revert_on_failure=False
        )
