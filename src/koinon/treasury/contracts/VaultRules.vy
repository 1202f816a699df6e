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
WAD: constant(uint256) = 10**18
KEEP: constant(uint256) = max_value(uint256)
# How much more shares may count for in a week (unix time // WEEK_S).
GAIN_BPS: constant(uint256) = 1_000
WEEK_S: constant(uint256) = 7 * 86_400
# Amounts and values are below it, so that no product of them overflows.
LIMIT: constant(uint256) = 2**112
LARGEST_ANSWER: constant(uint256) = 2**80
# What one question may cost, and what must be left to be sure that the answer did not fail for want of gas.
QUESTION_GAS: constant(uint256) = 500_000
NEEDED_GAS: constant(uint256) = 520_000
# A fee waits until the gain is so many units, so that rounding takes no part of it that matters.
LEAST_GAIN: constant(uint256) = 10_000


@external
@view
def check_terms(charter: IVaultRules.Charter, limits: IVaultRules.Limits) -> uint8:
    """
    @notice Refuse terms that no vault may have.
    @param charter What is fixed for ever, and the first holders of the roles.
    @param limits The first limits.
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
    self._check_limits(limits)
    return decimals


@external
@view
def loosen(limits: IVaultRules.Limits, before: IVaultRules.Limits) -> bool:
    """
    @notice Whether limits are looser than others; refuse them where no vault may have them.
    @param limits The limits.
    @param before The others.
    @return Whether any allows more.
    """
    self._check_limits(limits)
    return (
        limits.turnover_bps > before.turnover_bps
        or limits.slippage_bps > before.slippage_bps
        or limits.drawdown_bps > before.drawdown_bps
        or limits.idle_bps < before.idle_bps
    )


@internal
@pure
def _check_limits(limits: IVaultRules.Limits):
    assert limits.turnover_bps <= 2 * WHOLE_BPS, "turnover too large"
    assert limits.slippage_bps <= 1_000, "slippage too large"
    assert limits.drawdown_bps <= WHOLE_BPS, "drawdown too large"
    assert limits.idle_bps <= WHOLE_BPS, "idle too large"


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


# --- what stands where, and what it is worth -------------------------------------------------------------------------


@external
@view
def balance_of(token: address) -> (bool, uint256):
    """
    @notice What the caller has of a token.
    @param token Which.
    @return Whether it answers; how much.
    """
    answered: bool = False
    answer: Bytes[160] = b""
    answered, answer = self._ask(token, abi_encode(msg.sender, method_id=method_id("balanceOf(address)")))
    if not answered or len(answer) < 32:
        return False, 0
    return True, extract32(answer, 0, output_type=uint256)


@external
@view
def liquid(token: address) -> uint256:
    """
    @notice What an ERC-4626 pays the caller out at once.
    @param token Which.
    @return In its asset; 0 where it does not answer.
    """
    known: bool = False
    most: uint256 = 0
    known, most = self._ask_number(token, abi_encode(msg.sender, method_id=method_id("maxWithdraw(address)")))
    return most


@external
@view
def worth(holding: IVaultRules.Holding) -> (bool, bool, uint256):
    """
    @notice What a slot counts for.
    @param holding What stands in it.
    @return Whether there is a valid price; whether it counts for all it says; in the asset, rounded down.
    """
    if holding.kind == SHARES:
        known: bool = False
        said: uint256 = 0
        known, said = self._ask_number(
            holding.asked, abi_encode(holding.amount, method_id=method_id("convertToAssets(uint256)"))
        )
        weeks: uint256 = block.timestamp // WEEK_S - holding.week + 1
        most: uint256 = holding.amount * holding.believed * (WHOLE_BPS + weeks * GAIN_BPS) // (WHOLE_BPS * RAY)
        asked: bool = False
        cost: uint256 = 0
        asked, cost = self._ask_number(
            holding.asked, abi_encode(holding.amount, method_id=method_id("previewMint(uint256)"))
        )
        full: bool = said <= most and (not asked or cost <= said + said // 100 + 1)
        return known, full, min(said, most)
    answered: bool = False
    answer: Bytes[160] = b""
    answered, answer = self._ask(holding.asked, method_id("latestRoundData()"))
    if not answered or len(answer) < 160:
        return False, True, 0
    price: uint256 = extract32(answer, 32, output_type=uint256)  # a negative one is beyond the bound
    updated_at: uint256 = extract32(answer, 96, output_type=uint256)
    if price == 0 or price >= LARGEST_ANSWER:
        return False, True, 0
    if updated_at > block.timestamp or block.timestamp - updated_at > holding.max_age_s:
        return False, True, 0
    found: uint256 = holding.amount * price * holding.asset_unit // holding.unit
    if found >= LIMIT:
        return False, True, 0
    return True, True, found


@internal
@view
def _ask(target: address, question: Bytes[68]) -> (bool, Bytes[160]):
    """
    @dev Ask another contract, which cannot make this one revert.
    """
    assert msg.gas >= NEEDED_GAS, "too little gas"
    answered: bool = False
    answer: Bytes[160] = b""
    answered, answer = raw_call(
        target, question, max_outsize=160, gas=QUESTION_GAS, is_static_call=True, revert_on_failure=False
    )
    return answered, answer


@internal
@view
def _ask_number(target: address, question: Bytes[68]) -> (bool, uint256):
    """
    @dev Ask for one number; False where there is no answer, or one beyond all bounds.
    """
    answered: bool = False
    answer: Bytes[160] = b""
    answered, answer = self._ask(target, question)
    if not answered or len(answer) < 32:
        return False, 0
    found: uint256 = extract32(answer, 0, output_type=uint256)
    if found >= LIMIT:
        return False, 0
    return True, found


# --- the books -------------------------------------------------------------------------------------------------------


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
        full=books.full,
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


@external
@view
def targets(plan: IVaultRules.Plan) -> (uint256[8], uint256):
    """
    @notice What a rebalancing is to leave in each slot; refuse it beyond the bounds.
    @param plan What is held and what is wanted.
    @return For each slot its worth then; the part of what is held that is traded, in 1e-18, rounded up.
    """
    found: uint256[8] = plan.values
    planned: uint256 = 0
    moved: uint256 = 0
    for slot: uint256 in range(8):
        target_bps: uint256 = plan.targets_bps[slot]
        if target_bps != KEEP:
            assert target_bps >= plan.min_bps[slot] and target_bps <= plan.max_bps[slot], "target out of bounds"
            found[slot] = plan.gross * target_bps // WHOLE_BPS
            moved += max(found[slot], plan.values[slot]) - min(found[slot], plan.values[slot])
        planned += found[slot]
    assert planned <= plan.gross * (WHOLE_BPS - plan.idle_bps) // WHOLE_BPS, "too little idle"
    assert moved > 0, "nothing to move"
    return found, (moved * WAD + plan.gross - 1) // plan.gross


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
