# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title VaultRules: what a vault may be
@license Apache-2.0
@author Koinon
@notice What every vault asks before it begins, changes its limits or lists a strategy, and what a pair gives for what it was
        sent. It is apart from the vault's code because all of it together would not fit into one contract.
@dev No storage, no owner: the same question has the same answer for ever, as far as those asked about stay the same.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed
from ethereum.ercs import IERC4626

from interfaces import IVaultRules

implements: IVaultRules


interface Feed:
    def decimals() -> uint8: view


interface Pair:
    def token0() -> address: view
    def token1() -> address: view
    def getReserves() -> (uint112, uint112, uint32): view


TOKEN: constant(uint256) = 1
SHARES: constant(uint256) = 2
WHOLE_BPS: constant(uint256) = 10_000
LONGEST_UNLOCK_S: constant(uint256) = 365 * 86_400
LONGEST_EPOCH_S: constant(uint256) = 30 * 86_400


@external
@view
def check_charter(charter: IVaultRules.Charter) -> uint8:
    """
    @notice Refuse a charter that no vault may have.
    @param charter What is fixed for ever, and the first holders of the roles.
    @return The asset's decimals.
    """
    assert charter.asset != empty(address), "asset missing"
    assert charter.manager != empty(address), "manager missing"
    assert charter.fee_bps <= 2_000, "fee too large"
    assert charter.fee_bps == 0 or charter.fee_to != empty(address), "fee receiver missing"
    assert charter.spread_bps <= 100, "spread too large"
    assert charter.unlock_s <= LONGEST_UNLOCK_S, "unlocking too long"
    assert charter.epoch_s >= 3_600 and charter.epoch_s <= LONGEST_EPOCH_S, "wrong epoch"
    decimals: uint8 = staticcall IERC20Detailed(charter.asset).decimals()
    assert decimals <= 18, "too many decimals"
    return decimals


@external
@view
def check_limits(limits: IVaultRules.Limits) -> bool:
    """
    @notice Refuse limits that no vault may have.
    @param limits All four.
    @return True.
    """
    assert limits.turnover_bps <= 2 * WHOLE_BPS, "turnover too large"
    assert limits.slippage_bps <= 1_000, "slippage too large"
    assert limits.drawdown_bps <= WHOLE_BPS, "drawdown too large"
    assert limits.idle_bps <= WHOLE_BPS, "idle too large"
    return True


@external
@view
def check_strategy(listed: IVaultRules.Strategy, asset: address, vault: address) -> uint256:
    """
    @notice Refuse a strategy that no vault over this asset may list.
    @param listed The strategy.
    @param asset The vault's asset.
    @param vault The vault.
    @return 10 to the power of the decimals of token and feed; 0 for shares.
    """
    assert listed.token != empty(address) and listed.token != asset and listed.token != vault, "wrong token"
    assert listed.min_bps <= listed.max_bps and listed.max_bps <= WHOLE_BPS, "wrong bounds"
    if listed.kind == SHARES:
        assert staticcall IERC4626(listed.token).asset() == asset, "wrong asset"
        return 0
    assert listed.kind == TOKEN, "no such kind"
    side0: address = staticcall Pair(listed.pair).token0()
    side1: address = staticcall Pair(listed.pair).token1()
    assert (side0 == asset and side1 == listed.token) or (side0 == listed.token and side1 == asset), "wrong pair"
    assert listed.max_age_s > 0, "age missing"
    decimals: uint256 = convert(staticcall IERC20Detailed(listed.token).decimals(), uint256)
    decimals += convert(staticcall Feed(listed.feed).decimals(), uint256)
    assert decimals <= 54, "too many decimals"
    return 10**decimals


@external
@view
def pair_outs(pair: address, token_in: address) -> (uint256, uint256):
    """
    @notice What a pair gives for what was sent to it beyond its books, by Uniswap V2's formula with its fee of 0.3 %.
    @param pair The pair.
    @param token_in Which of its tokens was sent.
    @return The amounts to take, of its first and of its second token: one is 0.
    """
    reserve0: uint112 = 0
    reserve1: uint112 = 0
    since: uint32 = 0
    reserve0, reserve1, since = staticcall Pair(pair).getReserves()
    first: bool = staticcall Pair(pair).token0() == token_in
    reserve_in: uint256 = convert(reserve0 if first else reserve1, uint256)
    reserve_out: uint256 = convert(reserve1 if first else reserve0, uint256)
    arrived: uint256 = (staticcall IERC20(token_in).balanceOf(pair) - reserve_in) * 997
    out: uint256 = arrived * reserve_out // (reserve_in * 1_000 + arrived)
    if first:
        return 0, out
    return out, 0
