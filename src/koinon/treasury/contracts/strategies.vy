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
        being emptied, by sending tokens; what went missing is missed at once. Asking for prices and balances never reverts
        and takes a bounded amount of gas: whoever is asked can withhold a price, and no more.
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
LARGEST_ANSWER: constant(uint256) = 2**80
# What one question may cost, and what must be left to be sure that the answer did not fail for want of gas.
QUESTION_GAS: constant(uint256) = 500_000
NEEDED_GAS: constant(uint256) = 520_000

_slots: IVaultRules.Strategy[8]
_held: uint256[8]
_units: uint256[8]


# --- listing ---------------------------------------------------------------------------------------------------------


@internal
def _list(rules: address, slot: uint256, listed: IVaultRules.Strategy, asset: address):
    """
    @dev Put a strategy in a slot that holds nothing, or has the same token: then it gets another feed or pair.
    """
    assert slot < SLOTS, "no such slot"
    same: bool = listed.kind != 0 and self._slots[slot].token == listed.token
    assert same or self._held[slot] == 0, "slot holds something"
    if listed.kind == 0:
        self._slots[slot] = empty(IVaultRules.Strategy)
    else:
        self._units[slot] = staticcall IVaultRules(rules).check_strategy(listed, asset, self)
        for other: uint256 in range(SLOTS):
            assert other == slot or self._slots[other].token != listed.token, "token has a slot"
        self._slots[slot] = listed
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


@internal
@view
def _amount(slot: uint256) -> (bool, uint256):
    """
    @dev What stands in a slot: what came in, or what of it is still there.
    """
    held: uint256 = self._held[slot]
    if held == 0:
        return True, 0
    known: bool = False
    answer: Bytes[160] = b""
    known, answer = self._ask(
        self._slots[slot].token, abi_encode(self, method_id=method_id("balanceOf(address)"))
    )
    if not known or len(answer) < 32:
        return False, 0
    return True, min(held, extract32(answer, 0, output_type=uint256))


@internal
@view
def _worth(slot: uint256, amount: uint256, asset_unit: uint256) -> (bool, uint256):
    """
    @dev What an amount of a slot's token is worth in the asset, rounded down; False where there is no valid price.
    """
    if amount == 0:
        return True, 0
    token: address = self._slots[slot].token
    if self._slots[slot].kind == SHARES:
        return self._ask_number(token, abi_encode(amount, method_id=method_id("convertToAssets(uint256)")))
    answered: bool = False
    answer: Bytes[160] = b""
    answered, answer = self._ask(self._slots[slot].feed, method_id("latestRoundData()"))
    if not answered or len(answer) < 160:
        return False, 0
    price: uint256 = extract32(answer, 32, output_type=uint256)  # a negative one is beyond the bound
    updated_at: uint256 = extract32(answer, 96, output_type=uint256)
    if price == 0 or price >= LARGEST_ANSWER:
        return False, 0
    if updated_at > block.timestamp or block.timestamp - updated_at > self._slots[slot].max_age_s:
        return False, 0
    worth: uint256 = amount * price * asset_unit // self._units[slot]
    return worth < LIMIT, worth


@internal
@view
def _liquid(slot: uint256, asset_unit: uint256) -> uint256:
    """
    @dev What a slot's ERC-4626 pays out at once; 0 for tokens, which are not sold for a withdrawal.
    """
    if self._slots[slot].kind != SHARES or self._held[slot] == 0:
        return 0
    known: bool = False
    most: uint256 = 0
    worth: uint256 = 0
    known, worth = self._worth(slot, self._held[slot], asset_unit)
    if not known:
        return 0
    known, most = self._ask_number(
        self._slots[slot].token, abi_encode(self, method_id=method_id("maxWithdraw(address)"))
    )
    return min(worth, most) if known else 0


# --- trading ---------------------------------------------------------------------------------------------------------


@internal
def _sell(rules: address, slot: uint256, amount: uint256, asset: address) -> uint256:
    """
    @dev Turn an amount of a slot's token into the asset; what arrived.
    """
    token: address = self._slots[slot].token
    before: uint256 = staticcall IERC20(asset).balanceOf(self)
    self._held[slot] -= amount
    if self._slots[slot].kind == SHARES:
        extcall IERC4626(token).redeem(amount, self, self)
    else:
        self._swap(rules, self._slots[slot].pair, token, amount)
    received: uint256 = staticcall IERC20(asset).balanceOf(self) - before
    log Traded(slot=slot, bought=False, paid=amount, received=received)
    return received


@internal
def _buy(rules: address, slot: uint256, spent: uint256, asset: address) -> uint256:
    """
    @dev Turn some of the asset into a slot's token; what arrived.
    """
    token: address = self._slots[slot].token
    before: uint256 = staticcall IERC20(token).balanceOf(self)
    if self._slots[slot].kind == SHARES:
        assert extcall IERC20(asset).approve(token, spent, default_return_value=True), "approval refused"
        extcall IERC4626(token).deposit(spent, self)
        assert extcall IERC20(asset).approve(token, 0, default_return_value=True), "approval refused"
    else:
        self._swap(rules, self._slots[slot].pair, asset, spent)
    received: uint256 = staticcall IERC20(token).balanceOf(self) - before
    self._held[slot] += received
    assert self._held[slot] < LIMIT, "too much"
    log Traded(slot=slot, bought=True, paid=spent, received=received)
    return received


@internal
def _pull(slot: uint256, assets: uint256):
    """
    @dev Withdraw assets from a slot's ERC-4626.
    """
    token: address = self._slots[slot].token
    before: uint256 = staticcall IERC20(token).balanceOf(self)
    extcall IERC4626(token).withdraw(assets, self, self)
    self._held[slot] -= before - staticcall IERC20(token).balanceOf(self)


@internal
def _swap(rules: address, pair: address, token_in: address, amount: uint256):
    """
    @dev Sell to a pair. Whoever calls measures what arrived.
    """
    erc20_transfers._pay(token_in, pair, amount)
    out0: uint256 = 0
    out1: uint256 = 0
    out0, out1 = staticcall IVaultRules(rules).pair_outs(pair, token_in)
    extcall Pair(pair).swap(out0, out1, self, b"")
