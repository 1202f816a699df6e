# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title The factory of pairs
@license Apache-2.0
@author Koinon
@notice One pair for every two tokens, created by anyone, at an address that follows from this factory and the two tokens.
        Uniswap V2's ABI. There is no protocol fee and no account that could set one.
@dev The constructor keeps a pair's code as a blueprint (ERC-5202). Nobody owns this contract.
@custom:source Uniswap V2 Core, Adams, Zinsmeister, Robinson, 2020; EIP-1014; ERC-5202
"""

from interfaces import IPairFactory

implements: IPairFactory


feeTo: public(constant(address)) = empty(address)
feeToSetter: public(constant(address)) = empty(address)

blueprint: public(immutable(address))
getPair: public(HashMap[address, HashMap[address, address]])
allPairs: public(DynArray[address, 1_000_000_000])


@deploy
def __init__(pair_code: Bytes[24_000]):
    """
    @notice A factory without pairs.
    @param pair_code The code that creates a pair, without arguments.
    """
    assert len(pair_code) > 0, "no code"
    size: uint256 = len(pair_code) + 3
    # PUSH2 size, RETURNDATASIZE, DUP2, PUSH1 10, RETURNDATASIZE, CODECOPY, RETURN, then ERC-5202's preamble.
    blueprint = raw_create(
        concat(
            b"\x61",
            convert(convert(size, uint16), bytes2),
            b"\x3d\x81\x60\x0a\x3d\x39\xf3",
            b"\xfe\x71\x00",
            pair_code,
        )
    )


@external
def createPair(token_a: address, token_b: address) -> address:
    """
    @notice Create the pair of two tokens, once. Anyone may.
    @param token_a One token.
    @param token_b The other, in any order.
    @return The new pair.
    """
    assert token_a != token_b, "UniswapV2: IDENTICAL_ADDRESSES"
    token0: address = token_a
    token1: address = token_b
    if convert(token_a, uint160) > convert(token_b, uint160):
        token0 = token_b
        token1 = token_a
    assert token0 != empty(address), "UniswapV2: ZERO_ADDRESS"
    assert self.getPair[token0][token1] == empty(address), "UniswapV2: PAIR_EXISTS"
    pair: address = create_from_blueprint(
        blueprint, token0, token1, salt=keccak256(concat(convert(token0, bytes20), convert(token1, bytes20)))
    )
    self.getPair[token0][token1] = pair
    self.getPair[token1][token0] = pair
    self.allPairs.append(pair)
    log IPairFactory.PairCreated(token0=token0, token1=token1, pair=pair, count=len(self.allPairs))
    return pair


@external
@view
def allPairsLength() -> uint256:
    """
    @return How many pairs there are.
    """
    return len(self.allPairs)
