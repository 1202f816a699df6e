# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A pair of tokens that anyone trades against the pool of both
@license Apache-2.0
@author Koinon
@notice Constant product: after every swap the product of both reserves, less 0.3 % of what came in, is at least what it
        was. Uniswap V2's ABI and its numbers to the wei: shares, reserves, cumulative prices (UQ112x112 times
        seconds), flash swaps by `uniswapV2Call`, `skim` and `sync`, and the same reasons when it refuses.
        The whole fee stays in the pool: there is no protocol fee and nobody who could switch one on (`kLast` is 0,
        as in a V2 pair whose factory names no receiver).
        - Whoever swaps, mints or burns pays in first and calls then: use a router, or do both in one transaction.
        - A token that takes a fee, changes balances or lies hurts the liquidity of its own pairs and nobody else.
        - During a call of the pool (flash swap, token with a callback) `getReserves` still tells the state before it,
          while the balances have moved already: never value shares from inside a callback.
@dev The tokens are in the code, not in storage, and the lock is transient, so that a swap costs less than V2's. One
     selector is V2's in name only: `initialize` has nothing left to do and refuses everyone, as V2's does after creation.
@custom:source Uniswap V2 Core, Adams, Zinsmeister, Robinson, 2020
"""

from ethereum.ercs import IERC20
from interfaces import IPair
from interfaces import IUniswapV2Callee

import liquidity_token

implements: IERC20
implements: IPair

initializes: liquidity_token

exports: (
    liquidity_token.name,
    liquidity_token.symbol,
    liquidity_token.decimals,
    liquidity_token.totalSupply,
    liquidity_token.balanceOf,
    liquidity_token.allowance,
    liquidity_token.nonces,
    liquidity_token.transfer,
    liquidity_token.transferFrom,
    liquidity_token.approve,
    liquidity_token.permit,
    liquidity_token.DOMAIN_SEPARATOR,
    liquidity_token.PERMIT_TYPEHASH,
)


MINIMUM_LIQUIDITY: public(constant(uint256)) = 1_000
kLast: public(constant(uint256)) = 0

factory: public(immutable(address))
token0: public(immutable(address))
token1: public(immutable(address))
price0CumulativeLast: public(uint256)
price1CumulativeLast: public(uint256)

_state: uint256  # reserve0 in the lowest 112 bits, reserve1 in the next 112, the last second in the highest 32
_locked: transient(bool)


@deploy
def __init__(token0_: address, token1_: address):
    """
    @notice A pair without liquidity; the creator is its factory.
    @param token0_ One token, by custom the one with the lower address.
    @param token1_ The other.
    """
    factory = msg.sender
    token0 = token0_
    token1 = token1_


@external
@view
def getReserves() -> (uint112, uint112, uint32):
    """
    @return What the pool holds of each token by its own books, and the second of their last change (modulo 2**32).
    """
    reserve0: uint256 = 0
    reserve1: uint256 = 0
    reserve0, reserve1 = self._reserves()
    return convert(reserve0, uint112), convert(reserve1, uint112), convert(self._state >> 224, uint32)


@external
def initialize(token_a: address, token_b: address):
    """
    @notice Refuses: a pair is complete once it is created.
    @param token_a Unused.
    @param token_b Unused.
    """
    raise "UniswapV2: FORBIDDEN"


@external
def mint(to: address) -> uint256:
    """
    @notice Turn what was paid in since the last change into shares.
    @param to Who gets the shares.
    @return How many. The pool's first shares are fewer by MINIMUM_LIQUIDITY, which nobody can ever redeem.
    """
    self._lock()
    reserve0: uint256 = 0
    reserve1: uint256 = 0
    reserve0, reserve1 = self._reserves()
    balance0: uint256 = self._holding(token0)
    balance1: uint256 = self._holding(token1)
    amount0: uint256 = balance0 - reserve0
    amount1: uint256 = balance1 - reserve1
    supply: uint256 = liquidity_token.totalSupply
    liquidity: uint256 = 0
    if supply == 0:
        liquidity = isqrt(amount0 * amount1) - MINIMUM_LIQUIDITY
        liquidity_token._mint(empty(address), MINIMUM_LIQUIDITY)
    else:
        liquidity = min(amount0 * supply // reserve0, amount1 * supply // reserve1)
    assert liquidity > 0, "UniswapV2: INSUFFICIENT_LIQUIDITY_MINTED"
    liquidity_token._mint(to, liquidity)
    self._update(balance0, balance1, reserve0, reserve1)
    log IPair.Mint(sender=msg.sender, amount0=amount0, amount1=amount1)
    self._locked = False
    return liquidity


@external
def burn(to: address) -> (uint256, uint256):
    """
    @notice Redeem the shares that were sent to the pool itself.
    @param to Who gets the tokens.
    @return What was paid of each token.
    """
    self._lock()
    reserve0: uint256 = 0
    reserve1: uint256 = 0
    reserve0, reserve1 = self._reserves()
    balance0: uint256 = self._holding(token0)
    balance1: uint256 = self._holding(token1)
    liquidity: uint256 = liquidity_token.balanceOf[self]
    supply: uint256 = liquidity_token.totalSupply
    amount0: uint256 = liquidity * balance0 // supply
    amount1: uint256 = liquidity * balance1 // supply
    assert amount0 > 0 and amount1 > 0, "UniswapV2: INSUFFICIENT_LIQUIDITY_BURNED"
    liquidity_token._burn(self, liquidity)
    self._send(token0, to, amount0)
    self._send(token1, to, amount1)
    self._update(self._holding(token0), self._holding(token1), reserve0, reserve1)
    log IPair.Burn(sender=msg.sender, amount0=amount0, amount1=amount1, to=to)
    self._locked = False
    return amount0, amount1


@external
def swap(amount0Out: uint256, amount1Out: uint256, to: address, data: Bytes[16384]):
    """
    @notice Pay tokens out against what was paid in before or is paid in during the callback.
    @param amount0Out What to pay of token0.
    @param amount1Out What to pay of token1.
    @param to Who gets them; not a token of the pair.
    @param data Empty for a plain swap; anything else calls `uniswapV2Call` on `to` after paying it.
    """
    self._lock()
    assert amount0Out > 0 or amount1Out > 0, "UniswapV2: INSUFFICIENT_OUTPUT_AMOUNT"
    reserve0: uint256 = 0
    reserve1: uint256 = 0
    reserve0, reserve1 = self._reserves()
    assert amount0Out < reserve0 and amount1Out < reserve1, "UniswapV2: INSUFFICIENT_LIQUIDITY"
    assert to != token0 and to != token1, "UniswapV2: INVALID_TO"
    if amount0Out > 0:
        self._send(token0, to, amount0Out)
    if amount1Out > 0:
        self._send(token1, to, amount1Out)
    if len(data) > 0:
        extcall IUniswapV2Callee(to).uniswapV2Call(msg.sender, amount0Out, amount1Out, data)
    balance0: uint256 = self._holding(token0)
    balance1: uint256 = self._holding(token1)
    amount0_in: uint256 = self._excess(balance0, unsafe_sub(reserve0, amount0Out))
    amount1_in: uint256 = self._excess(balance1, unsafe_sub(reserve1, amount1Out))
    assert amount0_in > 0 or amount1_in > 0, "UniswapV2: INSUFFICIENT_INPUT_AMOUNT"
    # 0.3 % of what came in does not count.
    adjusted: uint256 = (balance0 * 1_000 - amount0_in * 3) * (balance1 * 1_000 - amount1_in * 3)
    assert adjusted >= unsafe_mul(unsafe_mul(reserve0, reserve1), 1_000_000), "UniswapV2: K"
    self._update(balance0, balance1, reserve0, reserve1)
    log IPair.Swap(
        sender=msg.sender,
        amount0In=amount0_in,
        amount1In=amount1_in,
        amount0Out=amount0Out,
        amount1Out=amount1Out,
        to=to,
    )
    self._locked = False


@external
def skim(to: address):
    """
    @notice Send away what the pool holds beyond its books. Anyone may take it.
    @param to Who gets it.
    """
    self._lock()
    reserve0: uint256 = 0
    reserve1: uint256 = 0
    reserve0, reserve1 = self._reserves()
    self._send(token0, to, self._holding(token0) - reserve0)
    self._send(token1, to, self._holding(token1) - reserve1)
    self._locked = False


@external
def sync():
    """
    @notice Set the books to what the pool holds.
    """
    self._lock()
    reserve0: uint256 = 0
    reserve1: uint256 = 0
    reserve0, reserve1 = self._reserves()
    self._update(self._holding(token0), self._holding(token1), reserve0, reserve1)
    self._locked = False


# --------------------------------------------------------------------------------------------- inside


@internal
def _lock():
    assert not self._locked, "UniswapV2: LOCKED"
    self._locked = True


@internal
@view
def _reserves() -> (uint256, uint256):
    state: uint256 = self._state
    return state & convert(max_value(uint112), uint256), (state >> 112) & convert(max_value(uint112), uint256)


@internal
@view
def _holding(token: address) -> uint256:
    return staticcall IERC20(token).balanceOf(self)


@internal
@pure
def _excess(balance: uint256, expected: uint256) -> uint256:
    return unsafe_sub(balance, expected) if balance > expected else 0


@internal
def _send(token: address, to: address, amount: uint256):
    """
    @dev Tokens that answer nothing are accepted, as V2 does.
    """
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        token,
        abi_encode(to, amount, method_id=method_id("transfer(address,uint256)")),
        max_outsize=32,
        revert_on_failure=False,
    )
    accepted: bool = success and len(answer) == 0
    if success and len(answer) == 32:
        accepted = convert(answer, uint256) != 0
    assert accepted, "UniswapV2: TRANSFER_FAILED"


@internal
def _update(balance0: uint256, balance1: uint256, reserve0: uint256, reserve1: uint256):
    """
    @dev Close the books: the old reserves' prices count for the seconds they stood.
    """
    assert balance0 <= convert(max_value(uint112), uint256), "UniswapV2: OVERFLOW"
    assert balance1 <= convert(max_value(uint112), uint256), "UniswapV2: OVERFLOW"
    now: uint256 = block.timestamp & convert(max_value(uint32), uint256)
    elapsed: uint256 = unsafe_sub(now, self._state >> 224) & convert(max_value(uint32), uint256)
    if elapsed > 0 and reserve0 != 0 and reserve1 != 0:
        # A price fits 224 bits and 32 bits of seconds; the sum may wrap, readers take differences.
        self.price0CumulativeLast = unsafe_add(
            self.price0CumulativeLast, unsafe_mul(unsafe_div(reserve1 << 112, reserve0), elapsed)
        )
        self.price1CumulativeLast = unsafe_add(
            self.price1CumulativeLast, unsafe_mul(unsafe_div(reserve0 << 112, reserve1), elapsed)
        )
    self._state = balance0 | (balance1 << 112) | (now << 224)
    log IPair.Sync(reserve0=convert(balance0, uint112), reserve1=convert(balance1, uint112))
