# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Where a vault's money may stand
@license Apache-2.0
@author Koinon
@notice Eight slots, each empty or one of two kinds, fixed in this code:
        - TOKEN: an ERC-20 bought and sold in one constant-product pair (Uniswap V2's ABI), priced by a feed with Chainlink's
          ABI in whole units of the vault's asset;
        - SHARES: shares of an ERC-4626 over the same asset, priced by what it says they convert to.
        The vault itself holds both: no other contract ever keeps its money or is trusted with it.
        What stands in a slot is counted by what came in, so that nobody can change a vault's prices, or keep a slot from
        being emptied, by sending tokens; what went missing is missed at once. Shares that say they are worth more count for
        at most a tenth more a week, from what they were bought for: who lies waits long for it to be believed. Asking for
        prices and balances never reverts and takes a bounded amount of gas: whoever is asked can withhold a price, and no
        more.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC4626

from interfaces import IVaultRules
from koinon.works.contracts import erc20_transfers


interface Pair:
    def swap(amount0_out: uint256, amount1_out: uint256, to: address, data: Bytes[32]): nonpayable


event StrategySet:
    slot: indexed(uint256)
    kind: uint256
    token: indexed(address)
    feed: address
    pair: address
    max_age_s: uint256
    max_bps: uint256


event Traded:
    slot: indexed(uint256)
    bought: bool
    paid: uint256
    received: uint256


SHARES: constant(uint256) = 2
SLOTS: constant(uint256) = 8
WHOLE_BPS: constant(uint256) = 10_000
# Amounts and values are below it, so that no product of them overflows.
LIMIT: constant(uint256) = 2**112
# How much more shares may count for in a week (unix time // WEEK_S).
GAIN_BPS: constant(uint256) = 1_000
WEEK_S: constant(uint256) = 7 * 86_400
RAY: constant(uint256) = 10**27
LARGEST_PRICE: constant(uint256) = 2**120  # of a smallest share, x 1e27

RULES: immutable(address)

_slots: IVaultRules.Strategy[8]
_held: uint256[8]
_units: uint256[8]
_asset_unit: uint256
_believed: uint256[8]  # what a smallest share counted for, x 1e27, when week `_week` began
_week: uint256


@deploy
def __init__(rules: address):
    """
    @dev Nothing is listed.
    @param rules `VaultRules`.
    """
    assert rules.codesize > 0, "rules missing"
    RULES = rules


# --- listing ---------------------------------------------------------------------------------------------------------


@internal
def _list(slot: uint256, listed: IVaultRules.Strategy, asset: address):
    """
    @dev Put a strategy in a slot that holds nothing any more, or has the same token: then it gets another feed or pair.
         A slot whose token does not even answer can be given to another one.
    """
    assert slot < SLOTS, "no such slot"
    same: bool = listed.kind != 0 and self._slots[slot].token == listed.token
    if not same:
        known: bool = False
        left: uint256 = 0
        known, left = self._amount(slot)
        assert left == 0 and (known or listed.kind != 0), "slot holds something"
        self._held[slot] = 0
    if listed.kind == 0:
        self._slots[slot] = empty(IVaultRules.Strategy)
    else:
        self._units[slot] = staticcall IVaultRules(RULES).check_strategy(listed, asset, self)
        for other: uint256 in range(SLOTS):
            assert other == slot or self._slots[other].token != listed.token, "token has a slot"
        self._slots[slot] = listed
        if same and self._held[slot] > 0 and listed.kind == SHARES:
            self._believed[slot] = LARGEST_PRICE  # listed again in public, it is believed what it says now
            self._anchor(slot, WHOLE_BPS + GAIN_BPS)
            assert self._believed[slot] < LARGEST_PRICE // 2, "no valid price"
    log StrategySet(
        slot=slot,
        kind=listed.kind,
        token=listed.token,
        feed=listed.feed,
        pair=listed.pair,
        max_age_s=listed.max_age_s,
        max_bps=listed.max_bps,
    )


# --- what stands where, and what it is worth -------------------------------------------------------------------------


@internal
@view
def _amount(slot: uint256) -> (bool, uint256):
    """
    @dev What stands in a slot: what came in, or what of it is still there; first whether its token answers.
    """
    held: uint256 = self._held[slot]
    if held == 0:
        return True, 0
    known: bool = False
    found: uint256 = 0
    known, found = staticcall IVaultRules(RULES).balance_of(self._slots[slot].token)
    return known, min(held, found)


@internal
@view
def _worth(slot: uint256, amount: uint256) -> (bool, bool, uint256):
    """
    @dev What an amount of a slot's token counts for in the asset, rounded down; first whether there is a valid price, then
         whether it counts for all it says.
    """
    if amount == 0:
        return True, True, 0
    holding: IVaultRules.Holding = empty(IVaultRules.Holding)
    holding.kind = self._slots[slot].kind
    holding.amount = amount
    if holding.kind == SHARES:
        holding.asked = self._slots[slot].token
        holding.believed = self._believed[slot]
        holding.week = self._week
    else:
        holding.asked = self._slots[slot].feed
        holding.max_age_s = self._slots[slot].max_age_s
        holding.unit = self._units[slot]
        holding.asset_unit = self._asset_unit
    return staticcall IVaultRules(RULES).worth(holding)


@internal
@view
def _liquid(slot: uint256) -> uint256:
    """
    @dev What a slot's ERC-4626 pays out at once; 0 for tokens, which are not sold for a withdrawal.
    """
    if self._slots[slot].kind != SHARES:
        return 0
    known: bool = False
    full: bool = False
    worth: uint256 = 0
    known, full, worth = self._worth(slot, self._held[slot])
    if worth == 0:
        return 0
    return min(worth, staticcall IVaultRules(RULES).liquid(self._slots[slot].token))


@internal
def _believe(slot: uint256, worth: uint256, amount: uint256):
    """
    @dev Shares count for so much from now on, and for what they may gain a week.
    """
    self._believed[slot] = min(worth * RAY // max(amount, 1), LARGEST_PRICE)


@internal
def _anchor(slot: uint256, bps: uint256) -> bool:
    """
    @dev What a slot's shares may gain on is this part, of WHOLE_BPS + GAIN_BPS, of what they count for now, or of what they
         counted for as this week began where they do not say now; whether there are any.
    """
    held: uint256 = self._held[slot]
    if held == 0 or self._slots[slot].kind != SHARES:
        return False
    known: bool = False
    full: bool = False
    worth: uint256 = 0
    known, full, worth = self._worth(slot, held)
    if not known:
        worth = held * self._believed[slot] // RAY
    self._believe(slot, worth * bps // (WHOLE_BPS + GAIN_BPS), held)
    return True


@internal
def _begin_week():
    """
    @dev What shares count for now is what they may gain on this week, unless it is less than before: a dip in the moment
         when a week begins would else hold back what recovers from it, and who hides a loss needs no leave to.
    """
    week: uint256 = block.timestamp // WEEK_S
    if week != self._week:
        self._week += 1  # what they may gain in the week that begins is no part of it yet
        for slot: uint256 in range(SLOTS):
            if self._held[slot] > 0:
                before: uint256 = self._believed[slot]
                self._anchor(slot, WHOLE_BPS + GAIN_BPS)
                self._believed[slot] = max(before, self._believed[slot])
        self._week = week


# --- trading ---------------------------------------------------------------------------------------------------------


@internal
def _sell(slot: uint256, amount: uint256, asset: address) -> uint256:
    """
    @dev Turn an amount of a slot's token into the asset; what arrived.
    """
    token: address = self._slots[slot].token
    before: uint256 = staticcall IERC20(asset).balanceOf(self)
    self._held[slot] -= amount
    if self._slots[slot].kind == SHARES:
        extcall IERC4626(token).redeem(amount, self, self)
    else:
        self._swap(self._slots[slot].pair, token, amount)
    received: uint256 = staticcall IERC20(asset).balanceOf(self) - before
    log Traded(slot=slot, bought=False, paid=amount, received=received)
    return received


@internal
def _buy(slot: uint256, spent: uint256, asset: address) -> uint256:
    """
    @dev Turn some of the asset into a slot's token; what arrived.
    """
    token: address = self._slots[slot].token
    before: uint256 = staticcall IERC20(token).balanceOf(self)
    if self._slots[slot].kind == SHARES:
        self._approve(asset, token, spent)
        extcall IERC4626(token).deposit(spent, self)
        self._approve(asset, token, 0)
    else:
        self._swap(self._slots[slot].pair, asset, spent)
    received: uint256 = staticcall IERC20(token).balanceOf(self) - before
    held: uint256 = self._held[slot]
    self._held[slot] = held + received
    self._believe(slot, spent + held * self._believed[slot] // RAY, held + received)
    assert self._held[slot] < LIMIT, "too much"
    log Traded(slot=slot, bought=True, paid=spent, received=received)
    return received


@internal
def _approve(asset: address, spender: address, amount: uint256):
    assert extcall IERC20(asset).approve(spender, amount, default_return_value=True), "approval refused"


@internal
def _pull(slot: uint256, assets: uint256, asset: address, slippage_bps: uint256):
    """
    @dev Withdraw assets from a slot's ERC-4626, for shares that count for no more than the slippage allows, but for one.
    """
    token: address = self._slots[slot].token
    held: uint256 = self._held[slot]
    known: bool = False
    full: bool = False
    worth: uint256 = 0
    known, full, worth = self._worth(slot, held)
    assert known, "no valid price"
    before: uint256 = staticcall IERC20(asset).balanceOf(self)
    shares: uint256 = staticcall IERC20(token).balanceOf(self)
    extcall IERC4626(token).withdraw(assets, self, self)
    assert staticcall IERC20(asset).balanceOf(self) - before >= assets, "pays less than it says"
    shares -= staticcall IERC20(token).balanceOf(self)
    self._held[slot] = held - shares
    most: uint256 = assets * (WHOLE_BPS + slippage_bps) // WHOLE_BPS + 1
    assert shares * worth <= most * held, "slippage"


@internal
def _swap(pair: address, token_in: address, amount: uint256):
    """
    @dev Sell to a pair. Whoever calls measures what arrived.
    """
    erc20_transfers._pay(token_in, pair, amount)
    out0: uint256 = 0
    out1: uint256 = 0
    out0, out1 = staticcall IVaultRules(RULES).pair_outs(pair, token_in)
    extcall Pair(pair).swap(out0, out1, self, b"")
