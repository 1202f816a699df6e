# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title VaultRules: what a vault may be
@license Apache-2.0
@author Koinon
@notice What every vault asks before it begins, changes its limits or lists a strategy; where its books stand; and what a
        pair gives for what it was sent. It is apart from the vault's code because all of it together would not fit into one contract.
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
# Nobody's shares and one unit of the asset, which make rounding too small to exploit (ERC-4626, security considerations).
VIRTUAL_SHARES: constant(uint256) = 10**6
VIRTUAL_ASSETS: constant(uint256) = 1
RAY: constant(uint256) = 10**27
# A fee waits until the gain is so many units, so that rounding takes no part of it that matters.
LEAST_GAIN: constant(uint256) = 10_000


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


@external
@view
def mark(books: IVaultRules.Books) -> IVaultRules.Mark:
    """
    @notice Where a vault stands this second: what is locked of its gains, what its shares are worth, the fee that is due.
    @param books What it wrote down last, and what it holds now.
    @return All that prices and fees follow from.
    """
    gross: uint256 = books.gross if books.valid else books.recorded
    rest: uint256 = max(books.locked_until, block.timestamp) - block.timestamp
    locked: uint256 = 0
    if rest > 0:
        duration: uint256 = books.locked_until - books.locked_at
        locked = (books.locked * rest + duration - 1) // duration
    if gross > books.recorded:
        gain: uint256 = gross - books.recorded
        if books.unlock_s > 0:
            rest = (locked * rest + gain * books.unlock_s) // (locked + gain)
            locked += gain
    else:
        locked -= min(locked, books.recorded - gross)
    locked = min(locked, gross)
    net: uint256 = gross - locked
    supply: uint256 = books.supply
    high_water: uint256 = books.high_water
    fee_shares: uint256 = 0
    entry: uint256 = net  # where nobody has shares, what is locked is the next one's
    if supply == 0:
        high_water = self._price(net, 0)
    else:
        if books.valid and books.fee_bps > 0:
            gain: uint256 = self._gain(net, supply, high_water)
            if gain >= LEAST_GAIN:
                fee: uint256 = gain * books.fee_bps // 100  # in hundredths of a unit
                fee_shares = fee * (supply + VIRTUAL_SHARES) // ((net + VIRTUAL_ASSETS) * 100 - fee)
                supply += fee_shares
                high_water = self._price(net, supply)
        # The fee on what is locked is due when it unlocks, and those pay it whose gain it is.
        entry = max(net, gross - self._gain(gross, supply, high_water) * books.fee_bps // WHOLE_BPS)
    return IVaultRules.Mark(
        valid=books.valid,
        gross=gross,
        locked=locked,
        locked_until=block.timestamp + rest,
        net=net,
        entry=entry,
        fee_shares=fee_shares,
        supply=supply,
        price=self._price(net, supply),
        high_water=high_water,
    )


@external
@view
def part_of(shares: uint256, m: IVaultRules.Mark, behind: uint256) -> uint256:
    """
    @notice The part of what is handed out in kind that shares stand for, before what leaving costs.
    @param shares How many of all.
    @param m Where the vault stands.
    @param behind What of it is left behind, at the same prices.
    @return In 1e-27.
    """
    part: uint256 = shares * RAY // (m.supply + VIRTUAL_SHARES)
    handed: uint256 = m.gross - behind
    if handed == 0:
        return part
    # Nobody stays to whom locked gains belong: only the fee on them does.
    locked: uint256 = m.locked if shares < m.supply else m.gross - m.entry
    return part * (handed - min(handed, locked - min(locked, behind))) // handed


@internal
@pure
def _price(worth: uint256, supply: uint256) -> uint256:
    return (worth + VIRTUAL_ASSETS) * RAY // (supply + VIRTUAL_SHARES)


@internal
@pure
def _gain(worth: uint256, supply: uint256, high_water: uint256) -> uint256:
    """
    @dev What all shares are worth beyond the highest price that was charged for.
    """
    price: uint256 = self._price(worth, supply)
    if price <= high_water:
        return 0
    return (price - high_water) * (supply + VIRTUAL_SHARES) // RAY
