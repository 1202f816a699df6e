# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Vault: money that is allocated within bounds
@license Apache-2.0
@author Koinon
@notice An ERC-4626 vault over one asset. It holds the asset and what stands in its eight slots (`strategies`).
        - The allocator may only move what is held between the asset and the slots, to targets within each slot's bounds,
          within a turnover an epoch, each trade losing at most the slippage allowed against the slot's price, and never
          without valid prices. So in an epoch it loses at most turnover x slippage, whatever it does.
        - The manager sets these bounds: tighter at once; looser, a strategy, or an allocator, 48 hours after announcing it.
        - The guardian may veto what was announced, stop allocation, and let shares that lie count for less. Neither ever
          moves money.
        - Allocation also stops by itself when a share has lost more than the drawdown allowed from its peak.
        - Gains unlock over time, losses count at once (against what is still locked first). Who comes pays for what is
          locked, too, so that a gain is theirs who were there; who leaves before it unlocks leaves it. A fee is taken
          from a share's gain above its highest price alone, in shares, to one address fixed at the beginning: a Work's
          till.
        - `withdraw` and `redeem` pay from what is idle and from what ERC-4626 slots pay out at once, at the prices that hold.
          `redeem_in_kind` hands out everything that is held in proportion, and needs no price, no role and no trade: nobody
          can stop it. Whoever leaves by either pays `spread_bps` to those who stay, for what prices may lag behind.
        What is sent here without a deposit is a gain like any other. Prices asked for in the middle of a call are refused.
@dev Clones of this code are made by `VaultFactory`. There is no upgrade, no owner, no sweep.
@custom:source ERC-4626
"""

from ethereum.ercs import IERC20

from koinon.works.contracts import erc20
from koinon.works.contracts import erc20_transfers
from interfaces import IVaultRules
import strategies
import timelock

initializes: erc20
initializes: strategies
initializes: timelock

exports: (
    erc20.totalSupply,
    erc20.balanceOf,
    erc20.allowance,
    erc20.transfer,
    erc20.transferFrom,
    erc20.approve,
)


event Deposit:
    sender: indexed(address)
    owner: indexed(address)
    assets: uint256
    shares: uint256


event Withdraw:
    sender: indexed(address)
    receiver: indexed(address)
    owner: indexed(address)
    assets: uint256
    shares: uint256


event WithdrawnInKind:
    sender: indexed(address)
    receiver: indexed(address)
    owner: indexed(address)
    shares: uint256
    amounts: uint256[9]  # of the asset, then of each slot


event Settled:
    gross: uint256
    locked: uint256
    fee_shares: uint256
    price: uint256


event Rebalanced:
    allocator: indexed(address)
    before: uint256
    after: uint256
    turnover: uint256  # in 1e-18 of what was held


event BoundsSet:
    slot: indexed(uint256)
    min_bps: uint256
    max_bps: uint256


event LimitsSet:
    limits: IVaultRules.Limits


event RoleSet:
    role: indexed(uint256)
    account: indexed(address)


event MarkedDown:
    slot: indexed(uint256)
    bps: uint256


event Stopped:
    by: indexed(address)


event Tripped:
    price: uint256
    peak: uint256


event Resumed:
    price: uint256


MANAGER: constant(uint256) = 1
ALLOCATOR: constant(uint256) = 2
GUARDIAN: constant(uint256) = 3
# Nobody's shares and one unit of the asset, which make rounding too small to exploit (ERC-4626, security considerations).
VIRTUAL_SHARES: constant(uint256) = 10**6
VIRTUAL_ASSETS: constant(uint256) = 1
RAY: constant(uint256) = 10**27
PULLING_GAS: constant(uint256) = 3_000_000
WAD: constant(uint256) = 10**18
KEEP: constant(uint256) = max_value(uint256)

name: public(String[64])
symbol: public(String[16])
decimals: public(uint8)
charter: public(IVaultRules.Charter)
limits: public(IVaultRules.Limits)
stopped: public(bool)
tripped: public(bool)
# A share's price is assets x 1e27 / shares: the highest that was charged for, and where drawdowns are counted from.
high_water: public(uint256)
peak: public(uint256)
# The part of what is held, in 1e-18, that was traded in an epoch (unix time // epoch_s)
traded: public(HashMap[uint256, uint256])

_recorded: uint256  # what was held when last settled
_locked: uint256
_locked_at: uint256
_locked_until: uint256


@deploy
def __init__(rules: address):
    """
    @notice The code that clones run; on its own address it does nothing.
    @param rules `VaultRules`.
    """
    strategies.__init__(rules)
    self.charter.asset = self


@external
def initialize(
    name: String[64],
    symbol: String[16],
    charter: IVaultRules.Charter,
    limits: IVaultRules.Limits,
    listed: DynArray[IVaultRules.Strategy, 8],
):
    """
    @notice Begin a clone; the factory does it as it makes one.
    @param name The share's name.
    @param symbol The share's symbol.
    @param charter What is fixed for ever, and the first holders of the roles.
    @param limits The first limits.
    @param listed The first strategies, in the slots from 0.
    """
    assert self.charter.asset == empty(address), "already begun"
    asset_decimals: uint8 = staticcall IVaultRules(strategies.RULES).check_terms(charter, limits)
    self.name = name
    self.symbol = symbol
    self.charter = charter
    self.limits = limits
    self.decimals = asset_decimals + 6
    strategies._asset_unit = 10 ** convert(asset_decimals, uint256)
    slot: uint256 = 0
    for each: IVaultRules.Strategy in listed:
        strategies._list(slot, each, charter.asset)
        slot += 1
    self._check_floors()
    log LimitsSet(limits=limits)
    self._log_role(MANAGER, charter.manager)
    self._log_role(ALLOCATOR, charter.allocator)
    self._log_role(GUARDIAN, charter.guardian)


# --- ERC-4626: what it is worth --------------------------------------------------------------------------------------


@external
@view
def asset() -> address:
    """
    @notice What is deposited.
    @return The token.
    """
    return self.charter.asset


@external
@view
def totalAssets() -> uint256:
    """
    @notice What all shares are worth: what is held, less gains that are still locked.
    @return In the asset; as last settled where something held has no valid price.
    """
    return self._mark().net


@external
@view
def convertToShares(assets: uint256) -> uint256:
    """
    @notice Shares of this worth.
    @param assets In the asset's smallest unit.
    @return Rounded down.
    """
    m: IVaultRules.Mark = self._mark()
    return self._shares_for(assets, m.net, m.supply)


@external
@view
def convertToAssets(shares: uint256) -> uint256:
    """
    @notice What shares are worth, before what leaving costs.
    @param shares In the smallest unit.
    @return In the asset, rounded down.
    """
    return self._assets_for(shares, self._mark())


@external
@view
def maxDeposit(receiver: address) -> uint256:
    """
    @notice The most that may be deposited now.
    @param receiver Anyone.
    @return 0 where something held has no valid price.
    """
    m: IVaultRules.Mark = self._mark()
    return self._room(m)


@external
@view
def maxMint(receiver: address) -> uint256:
    """
    @notice The most shares that may be issued now.
    @param receiver Anyone.
    @return 0 where something held has no valid price.
    """
    m: IVaultRules.Mark = self._mark()
    return self._shares_for(self._room(m), m.entry, m.supply)


@external
@view
def maxWithdraw(owner: address) -> uint256:
    """
    @notice The most that `withdraw` pays an owner now; `redeem_in_kind` always pays the rest.
    @param owner Whose shares.
    @return In the asset; 0 where something held has no valid price.
    """
    m: IVaultRules.Mark = self._mark()
    if not m.valid:
        return 0
    return min(self._after_spread(self._assets_for(erc20.balanceOf[owner], m)), self._liquid())


@external
@view
def maxRedeem(owner: address) -> uint256:
    """
    @notice The most shares that `redeem` takes from an owner now; `redeem_in_kind` always takes the rest.
    @param owner Whose shares.
    @return 0 where something held has no valid price.
    """
    m: IVaultRules.Mark = self._mark()
    if not m.valid:
        return 0
    # Rounded down twice, so that they are paid no more than there is.
    most: uint256 = self._liquid() * strategies.WHOLE_BPS // (strategies.WHOLE_BPS - self.charter.spread_bps)
    return min(erc20.balanceOf[owner], self._shares_for(most, m.net, m.supply))


@external
@view
def previewDeposit(assets: uint256) -> uint256:
    """
    @notice The shares that a deposit would give now: who comes pays for gains that are still locked, too.
    @param assets What is deposited.
    @return Rounded down.
    """
    m: IVaultRules.Mark = self._mark()
    return self._shares_for(assets, m.entry, m.supply)


@external
@view
def previewMint(shares: uint256) -> uint256:
    """
    @notice What these shares would cost now.
    @param shares What is wanted.
    @return In the asset, rounded up.
    """
    return self._cost_of(shares, self._mark())


@external
@view
def previewWithdraw(assets: uint256) -> uint256:
    """
    @notice The shares that a withdrawal would take now.
    @param assets What is wanted.
    @return Rounded up.
    """
    return self._shares_taken(assets, self._mark())


@external
@view
def previewRedeem(shares: uint256) -> uint256:
    """
    @notice What these shares would be paid now.
    @param shares What is given.
    @return In the asset, rounded down, less what leaving costs.
    """
    return self._after_spread(self._assets_for(shares, self._mark()))


# --- coming and going ------------------------------------------------------------------------------------------------


@external
def deposit(assets: uint256, receiver: address) -> uint256:
    """
    @notice Give assets, get shares. The amount must have been approved.
    @param assets What is given.
    @param receiver Who gets the shares.
    @return The shares.
    """
    m: IVaultRules.Mark = self._settle()
    shares: uint256 = self._shares_for(assets, m.entry, m.supply)
    self._enter(assets, shares, receiver, m)
    return shares


@external
def mint(shares: uint256, receiver: address) -> uint256:
    """
    @notice Get shares, give what they cost. The amount must have been approved.
    @param shares What is wanted.
    @param receiver Who gets them.
    @return What they cost.
    """
    m: IVaultRules.Mark = self._settle()
    assets: uint256 = self._cost_of(shares, m)
    self._enter(assets, shares, receiver, m)
    return assets


@external
def withdraw(assets: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Take assets from what is idle and from what ERC-4626 slots pay out at once.
    @param assets What is wanted.
    @param receiver Who gets it.
    @param owner Whose shares are taken: the caller's, or of one who allowed the caller.
    @return The shares taken.
    """
    m: IVaultRules.Mark = self._settle()
    shares: uint256 = self._shares_taken(assets, m)
    self._leave(assets, shares, receiver, owner, m)
    return shares


@external
def redeem(shares: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Give shares, take assets from what is idle and from what ERC-4626 slots pay out at once.
    @param shares What is given.
    @param receiver Who gets the assets.
    @param owner Whose shares are taken: the caller's, or of one who allowed the caller.
    @return The assets.
    """
    m: IVaultRules.Mark = self._settle()
    assets: uint256 = self._after_spread(self._assets_for(shares, m))
    self._leave(assets, shares, receiver, owner, m)
    return assets


@external
def redeem_in_kind(
    shares: uint256,
    receiver: address,
    owner: address,
    skipped: uint256,
    least: uint256[9],
) -> uint256[9]:
    """
    @notice Give shares, take their part of everything that is held, less gains that are still locked: at the prices that
            hold, or where there are none as the last books say. Whoever has all shares takes locked gains, too.
    @param shares What is given.
    @param receiver Who gets everything.
    @param owner Whose shares are taken: the caller's, or of one who allowed the caller.
    @param skipped Slots to leave behind, a bit each: for a token that cannot be moved, or one that says it is worth what
           it is not. Their part stays with those who stay, and what is locked counts as theirs first.
    @param least The least to be handed out: of the asset, then of each slot.
    @return What was handed out: of the asset, then of each slot.
    """
    m: IVaultRules.Mark = self._settle()
    assert shares > 0, "shares missing"
    idle: uint256 = self._idle()
    # What skipped slots are worth, which need no price of their own: all that is held, less what the others are worth.
    behind: uint256 = 0
    if skipped != 0:
        behind = m.gross - min(m.gross, idle)
    amounts: uint256[9] = empty(uint256[9])
    amounts[0] = idle
    for slot: uint256 in range(strategies.SLOTS):
        if skipped & (1 << slot) == 0:
            known: bool = False
            amount: uint256 = 0
            known, amount = strategies._amount(slot)
            assert known, "token does not answer: skip it"
            if behind > 0:
                full: bool = False
                worth: uint256 = 0
                known, full, worth = strategies._worth(slot, amount)
                behind = behind - min(behind, worth) if known else 0
            amounts[slot + 1] = amount
    part: uint256 = self._after_spread(staticcall IVaultRules(strategies.RULES).part_of(shares, m, behind))
    self._take_shares(shares, owner)
    self._recorded = m.gross - (m.gross - behind) * part // RAY
    token: address = self.charter.asset
    for number: uint256 in range(9):
        amount: uint256 = amounts[number] * part // RAY
        assert amount >= least[number], "less than the least"
        if number > 0:
            token = strategies._slots[number - 1].token
            strategies._held[number - 1] -= amount
        amounts[number] = amount
        erc20_transfers._pay(token, receiver, amount)
    log WithdrawnInKind(sender=msg.sender, receiver=receiver, owner=owner, shares=shares, amounts=amounts)
    return amounts


@external
@reentrant
def pull(slot: uint256, assets: uint256):
    """
    @notice Take assets from a slot's ERC-4626, in a call of its own that may fail without stopping a withdrawal.
    @param slot Which.
    @param assets How much.
    """
    assert msg.sender == self, "only itself"
    strategies._pull(slot, assets, self.charter.asset, self.limits.slippage_bps)


@external
def settle() -> bool:
    """
    @notice Count gains and losses, issue the fee, and see whether a share has lost too much. Anyone may.
    @return Whether everything that is held has a valid price; nothing happens otherwise.
    """
    return self._settle().valid


# --- the allocator ---------------------------------------------------------------------------------------------------


@external
def rebalance(targets_bps: uint256[8], least: uint256[8], deadline: uint256):
    """
    @notice Move what is held to targets: sales first, then purchases with what is idle. Where a share has just lost more
            than the drawdown allowed, nothing is moved and allocation stops.
    @param targets_bps For each slot its part of what is held; 2**256 - 1 to leave it as it is.
    @param least For each slot the least that its trade must bring, of what comes in.
    @param deadline The last second when this may happen.
    """
    assert msg.sender == self.charter.allocator, "only the allocator"
    assert block.timestamp <= deadline, "too late"
    assert not self.stopped and not self.tripped, "allocation stopped"
    m: IVaultRules.Mark = self._settle()
    assert m.valid, "no valid price"
    if self.tripped:
        return  # to refuse would undo the stop
    plan: IVaultRules.Plan = empty(IVaultRules.Plan)
    plan.gross = m.gross
    plan.idle_bps = self.limits.idle_bps
    for slot: uint256 in range(strategies.SLOTS):
        known: bool = False
        full: bool = False
        known, full, plan.values[slot] = self._priced(slot)
        assert known, "no valid price"
        plan.targets_bps[slot] = targets_bps[slot]
        if targets_bps[slot] != KEEP:
            plan.min_bps[slot] = strategies._slots[slot].min_bps
            plan.max_bps[slot] = strategies._slots[slot].max_bps
    targets: uint256[8] = empty(uint256[8])
    turnover: uint256 = 0
    targets, turnover = staticcall IVaultRules(strategies.RULES).targets(plan)
    epoch: uint256 = block.timestamp // self.charter.epoch_s
    self.traded[epoch] += turnover
    limits: IVaultRules.Limits = self.limits
    assert self.traded[epoch] <= limits.turnover_bps * (WAD // strategies.WHOLE_BPS), "too much turnover"
    for slot: uint256 in range(strategies.SLOTS):
        if targets[slot] < plan.values[slot]:
            self._reduce(slot, plan.values[slot], targets[slot], least[slot], limits.slippage_bps)
    for slot: uint256 in range(strategies.SLOTS):
        if targets[slot] > plan.values[slot]:
            self._increase(slot, targets[slot] - plan.values[slot], least[slot], limits.slippage_bps)
    after: IVaultRules.Mark = self._settle()
    assert after.valid, "no valid price"
    log Rebalanced(allocator=msg.sender, before=m.gross, after=after.gross, turnover=turnover)


# --- the manager and the guardian ------------------------------------------------------------------------------------


@external
def set_strategy(slot: uint256, listed: IVaultRules.Strategy):
    """
    @notice List a strategy, or give a slot's token another feed or pair: announced, and again after 48 hours. An empty
            kind frees a slot that holds nothing, at once.
    @param slot Which, from 0.
    @param listed The strategy with its bounds.
    """
    self._check_manager()
    if listed.kind != 0 and not timelock._ripe(slice(msg.data, 0, 260)):
        return
    strategies._list(slot, listed, self.charter.asset)
    self._check_floors()


@external
def set_bounds(slot: uint256, min_bps: uint256, max_bps: uint256):
    """
    @notice Set a slot's bounds: narrower at once; wider announced, and again after 48 hours.
    @param slot Which, from 0.
    @param min_bps The least of the vault that a rebalance may leave there.
    @param max_bps The most.
    """
    self._check_manager()
    assert slot < strategies.SLOTS and strategies._slots[slot].kind != 0, "empty slot"
    assert min_bps <= max_bps and max_bps <= strategies.WHOLE_BPS, "wrong bounds"
    if min_bps < strategies._slots[slot].min_bps or max_bps > strategies._slots[slot].max_bps:
        if not timelock._ripe(slice(msg.data, 0, 100)):
            return
    strategies._slots[slot].min_bps = min_bps
    strategies._slots[slot].max_bps = max_bps
    self._check_floors()
    log BoundsSet(slot=slot, min_bps=min_bps, max_bps=max_bps)


@external
def set_limits(limits: IVaultRules.Limits):
    """
    @notice Set the limits: tighter at once; where any is looser, announced, and again after 48 hours.
    @param limits All four.
    """
    self._check_manager()
    if staticcall IVaultRules(strategies.RULES).loosen(limits, self.limits):
        if not timelock._ripe(slice(msg.data, 0, 132)):
            return
    self.limits = limits
    self._check_floors()
    log LimitsSet(limits=limits)


@external
def set_allocator(account: address):
    """
    @notice Dismiss the allocator at once, or appoint one: announced, and again after 48 hours.
    @param account The allocator; zero for none.
    """
    self._check_manager()
    if account != empty(address) and not timelock._ripe(slice(msg.data, 0, 36)):
        return
    self.charter.allocator = account
    self._log_role(ALLOCATOR, account)


@external
def resume():
    """
    @notice Let allocation go on after a stop or a drawdown, counted from the price that holds then: announced, and again
            after 48 hours.
    """
    self._check_manager()
    assert self.stopped or self.tripped, "nothing is stopped"
    if not timelock._ripe(method_id("resume()")):
        return
    m: IVaultRules.Mark = self._settle()
    assert m.valid, "no valid price"
    self.stopped = False
    self.tripped = False
    self.peak = m.price
    log Resumed(price=self.peak)


@external
def stop():
    """
    @notice Stop allocation, and nothing else; a resumption must be announced again. The guardian or the manager may.
    """
    assert msg.sender == self.charter.guardian or msg.sender == self.charter.manager, "only guardian or manager"
    self.stopped = True
    self._withdraw_resumption()
    log Stopped(by=msg.sender)


@external
def veto(change_id: bytes32):
    """
    @notice Take an announced change away. Only the guardian may.
    @param change_id keccak256 of the call, as announced.
    """
    self._check_guardian()
    timelock._veto(change_id)


@external
def mark_down(slot: uint256, bps: uint256):
    """
    @notice Let shares that say they are worth what they are not count for less, until the manager lists them again in
            public. Only the guardian may. While they say more, nobody comes in.
    @param slot Which, from 0.
    @param bps What they count for, of what they do now; a tenth more each week after this one.
    """
    self._check_guardian()
    assert bps <= strategies.WHOLE_BPS, "up"
    self._settle()
    strategies._begin_week()
    # With what they may gain this week, they count for this part.
    assert strategies._anchor(slot, bps), "no shares to mark"
    log MarkedDown(slot=slot, bps=bps)
    self._settle()


@external
def hand_over(role: uint256, account: address):
    """
    @notice Give one's own role to another account.
    @param role 1 the manager's, 3 the guardian's.
    @param account The next holder.
    """
    assert account != empty(address), "account missing"
    if role == MANAGER:
        self._check_manager()
        self.charter.manager = account
    else:
        assert role == GUARDIAN and msg.sender == self.charter.guardian, "not yours"
        self.charter.guardian = account
    self._log_role(role, account)


# --- looking ---------------------------------------------------------------------------------------------------------


@external
@view
def strategy(slot: uint256) -> IVaultRules.Strategy:
    """
    @notice What a slot is for.
    @param slot Which, from 0.
    @return Its strategy; an empty one where there is none.
    """
    return strategies._slots[slot]


@external
@view
def held(slot: uint256) -> uint256:
    """
    @notice What stands in a slot.
    @param slot Which, from 0.
    @return Of its token, as it came in.
    """
    return strategies._held[slot]


@external
@view
def values() -> (bool, uint256, uint256[8], uint256):
    """
    @notice What is held at the prices that hold.
    @return Whether everything has a valid price; what is idle; each slot's worth, 0 where it has no price; what of the
            whole is locked.
    """
    found: uint256[8] = empty(uint256[8])
    valid: bool = True
    for slot: uint256 in range(strategies.SLOTS):
        known: bool = False
        full: bool = False
        known, full, found[slot] = self._priced(slot)
        valid = valid and known
    return valid, self._idle(), found, self._mark().locked


@external
@view
def ready_at(change_id: bytes32) -> uint256:
    """
    @notice When an announced change may be made.
    @param change_id keccak256 of the call.
    @return In unix seconds; 0 where it is not announced.
    """
    return timelock._ready_at[change_id]


# --- sums ------------------------------------------------------------------------------------------------------------


@internal
@view
def _idle() -> uint256:
    return staticcall IERC20(self.charter.asset).balanceOf(self)


@internal
@view
def _priced(slot: uint256) -> (bool, bool, uint256):
    """
    @dev What a slot counts for: whether that is known, and whether it is all that it says.
    """
    known: bool = False
    amount: uint256 = 0
    known, amount = strategies._amount(slot)
    if not known:
        return False, True, 0
    return strategies._worth(slot, amount)


@internal
@view
def _liquid() -> uint256:
    """
    @dev What can be paid out at once.
    """
    total: uint256 = self._idle()
    for slot: uint256 in range(strategies.SLOTS):
        total += strategies._liquid(slot)
    return total


@internal
@view
def _mark() -> IVaultRules.Mark:
    """
    @dev Where the vault stands this second, with the fee that is due.
    """
    valid: bool = True
    all_full: bool = True
    gross: uint256 = self._idle()
    for slot: uint256 in range(strategies.SLOTS):
        if valid and strategies._held[slot] > 0:
            full: bool = False
            value: uint256 = 0
            valid, full, value = self._priced(slot)
            all_full = all_full and full
            gross += value
    return staticcall IVaultRules(strategies.RULES).mark(
        IVaultRules.Books(
            valid=valid,
            full=all_full,
            gross=gross,
            recorded=self._recorded,
            locked=self._locked,
            locked_at=self._locked_at,
            locked_until=self._locked_until,
            unlock_s=self.charter.unlock_s,
            fee_bps=self.charter.fee_bps,
            high_water=self.high_water,
            supply=erc20.totalSupply,
        )
    )


@internal
def _settle() -> IVaultRules.Mark:
    """
    @dev Write down where the vault stands, unless something has no price.
    """
    m: IVaultRules.Mark = self._mark()
    if not m.valid:
        return m
    strategies._begin_week()
    self._recorded = m.gross
    self._locked = m.locked
    self._locked_at = block.timestamp
    self._locked_until = m.locked_until
    self.high_water = m.high_water
    if m.supply == 0:
        self.peak = m.price
        return m
    if m.fee_shares > 0:
        erc20._mint(self.charter.fee_to, m.fee_shares)
    if m.price > self.peak:
        self.peak = m.price
    elif not self.tripped:
        lowest: uint256 = self.peak * (strategies.WHOLE_BPS - self.limits.drawdown_bps) // strategies.WHOLE_BPS
        if m.price < lowest:
            self.tripped = True
            self._withdraw_resumption()
            log Tripped(price=m.price, peak=self.peak)
    log Settled(gross=m.gross, locked=m.locked, fee_shares=m.fee_shares, price=m.price)
    return m


@internal
@pure
def _shares_for(assets: uint256, worth: uint256, supply: uint256) -> uint256:
    return assets * (supply + VIRTUAL_SHARES) // (worth + VIRTUAL_ASSETS)


@internal
@pure
def _assets_for(shares: uint256, m: IVaultRules.Mark) -> uint256:
    return shares * (m.net + VIRTUAL_ASSETS) // (m.supply + VIRTUAL_SHARES)


@internal
@pure
def _cost_of(shares: uint256, m: IVaultRules.Mark) -> uint256:
    all_shares: uint256 = m.supply + VIRTUAL_SHARES
    return (shares * (m.entry + VIRTUAL_ASSETS) + all_shares - 1) // all_shares


@internal
@view
def _after_spread(assets: uint256) -> uint256:
    return assets * (strategies.WHOLE_BPS - self.charter.spread_bps) // strategies.WHOLE_BPS


@internal
@view
def _shares_taken(assets: uint256, m: IVaultRules.Mark) -> uint256:
    kept_bps: uint256 = strategies.WHOLE_BPS - self.charter.spread_bps
    before: uint256 = (assets * strategies.WHOLE_BPS + kept_bps - 1) // kept_bps
    return (before * (m.supply + VIRTUAL_SHARES) + m.net) // (m.net + VIRTUAL_ASSETS)


@internal
@pure
def _room(m: IVaultRules.Mark) -> uint256:
    if not m.valid or not m.full or m.gross >= strategies.LIMIT - 1:
        return 0
    return strategies.LIMIT - 1 - m.gross


# --- moves -----------------------------------------------------------------------------------------------------------


@internal
def _enter(assets: uint256, shares: uint256, receiver: address, m: IVaultRules.Mark):
    assert m.valid, "no valid price"
    assert m.full, "not all that it says is believed"
    assert shares > 0, "too little"
    assert assets <= self._room(m), "too much"
    erc20_transfers._collect(self.charter.asset, msg.sender, self, assets)
    self._recorded = m.gross + assets
    paid: uint256 = assets * RAY // shares
    if paid > m.high_water:
        # Who comes at a higher price was not there for the gain up to it: no fee is due from these shares until then.
        before: uint256 = m.supply + VIRTUAL_SHARES
        self.high_water = (m.high_water * before + assets * RAY) // (before + shares)
    erc20._mint(receiver, shares)
    log Deposit(sender=msg.sender, owner=receiver, assets=assets, shares=shares)


@internal
def _leave(assets: uint256, shares: uint256, receiver: address, owner: address, m: IVaultRules.Mark):
    assert m.valid, "no valid price: redeem in kind"
    assert shares > 0, "shares missing"
    self._take_shares(shares, owner)
    idle: uint256 = self._idle()
    for slot: uint256 in range(strategies.SLOTS):
        if idle < assets:
            pulled: uint256 = min(assets - idle, strategies._liquid(slot))
            if pulled > 0 and raw_call(
                self,
                abi_encode(slot, pulled, method_id=method_id("pull(uint256,uint256)")),
                gas=PULLING_GAS,
                revert_on_failure=False,
            ):
                idle += pulled
    assert idle >= assets, "not liquid: redeem in kind"
    self._recorded = m.gross - assets
    log Withdraw(sender=msg.sender, receiver=receiver, owner=owner, assets=assets, shares=shares)
    erc20_transfers._pay(self.charter.asset, receiver, assets)


@internal
def _take_shares(shares: uint256, owner: address):
    if msg.sender != owner:
        erc20._spend_allowance(owner, msg.sender, shares)
    erc20._burn(owner, shares)


@internal
def _reduce(slot: uint256, worth: uint256, target: uint256, least: uint256, slippage_bps: uint256):
    """
    @dev Sell what is above the target.
    """
    known: bool = False
    amount: uint256 = 0
    known, amount = strategies._amount(slot)
    if target > 0:
        amount = amount * (worth - target) // worth
    expected: uint256 = worth - target
    received: uint256 = strategies._sell(slot, amount, self.charter.asset)
    assert received >= least, "less than the least"
    self._check_slippage(received, expected, slippage_bps, target == 0)


@internal
def _increase(slot: uint256, wanted: uint256, least: uint256, slippage_bps: uint256):
    """
    @dev Buy what is below the target, as far as what is idle goes.
    """
    spent: uint256 = min(wanted, self._idle())
    received: uint256 = strategies._buy(slot, spent, self.charter.asset)
    assert received >= least, "less than the least"
    known: bool = False
    full: bool = False
    worth: uint256 = 0
    known, full, worth = strategies._worth(slot, received)
    assert known, "no valid price"
    self._check_slippage(worth, spent, slippage_bps, False)


@internal
@pure
def _check_slippage(received: uint256, expected: uint256, slippage_bps: uint256, last: bool):
    least: uint256 = (expected * (strategies.WHOLE_BPS - slippage_bps) + strategies.WHOLE_BPS - 1) // strategies.WHOLE_BPS
    # One unit for rounding, where that is next to nothing of the trade, or the last of a slot.
    allowed: uint256 = 1 if last or expected >= strategies.WHOLE_BPS else 0
    assert received + allowed >= least, "slippage"


# --- checks ----------------------------------------------------------------------------------------------------------


@internal
def _log_role(role: uint256, account: address):
    log RoleSet(role=role, account=account)


@internal
def _withdraw_resumption():
    """
    @dev Whatever stops allocation takes away what was announced before it.
    """
    change_id: bytes32 = keccak256(method_id("resume()"))
    if timelock._ready_at[change_id] != 0:
        timelock._veto(change_id)


@internal
@view
def _check_guardian():
    assert msg.sender == self.charter.guardian, "only the guardian"


@internal
@view
def _check_manager():
    assert msg.sender == self.charter.manager, "only the manager"


@internal
@view
def _check_floors():
    """
    @dev All that must be kept somewhere fits into the whole.
    """
    total: uint256 = self.limits.idle_bps
    for slot: uint256 in range(strategies.SLOTS):
        total += strategies._slots[slot].min_bps
    assert total <= strategies.WHOLE_BPS, "floors above the whole"
