# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title PoolShares: senior deposits in a credit pool as shares that can be held and handed on
@license Apache-2.0
@author Koinon
@notice An ERC-4626 over the senior tranche of one credit pool, so that vaults can hold it. Everything deposited is lent to
        the pool at once; what the tranche earns or loses is every share's, as it happens. Withdrawals are paid by the pool,
        as far as it has cash. What a deposit or withdrawal loses to the pool's rounding, a unit, is shared by all.
        Losses that the pool sees coming count for what leaves, not for what comes: as in the pool, a deposit pays for all
        there is, so that it takes nothing from those who hold.
@dev No roles, no fee, no owner. Assets that are sent here without a deposit stay here.
@custom:source ERC-4626
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed

from koinon.works.contracts import erc20
from koinon.works.contracts import erc20_transfers

initializes: erc20

exports: (
    erc20.totalSupply,
    erc20.balanceOf,
    erc20.allowance,
    erc20.transfer,
    erc20.transferFrom,
    erc20.approve,
)


interface CreditPool:
    def deposit(tranche: uint256, assets: uint256, receiver: address) -> uint256: nonpayable
    def withdraw(tranche: uint256, assets: uint256, receiver: address) -> uint256: nonpayable
    def assets_of(tranche: uint256, account: address) -> uint256: view
    def max_withdraw(tranche: uint256, account: address) -> uint256: view
    def shares_of(tranche: uint256, account: address) -> uint256: view
    def total_shares(tranche: uint256) -> uint256: view


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


SENIOR: constant(uint256) = 0
VIRTUAL_SHARES: constant(uint256) = 10**6
VIRTUAL_ASSETS: constant(uint256) = 1
LIMIT: constant(uint256) = 2**112

asset: public(immutable(address))
pool: public(immutable(address))
decimals: public(immutable(uint8))
name: public(constant(String[32])) = "Senior shares of a credit pool"
symbol: public(constant(String[8])) = "SENIOR"


@deploy
def __init__(pool_: address):
    """
    @notice Begin without deposits.
    @param pool_ The credit pool.
    """
    # What a pool says of its market begins with the loan token.
    market: Bytes[32] = raw_call(pool_, method_id("market()"), max_outsize=32, is_static_call=True)
    assert len(market) == 32, "no credit pool"
    pool = pool_
    asset = extract32(market, 0, output_type=address)
    decimals = staticcall IERC20Detailed(asset).decimals() + 6
    assert extcall IERC20(asset).approve(pool_, max_value(uint256), default_return_value=True), "approval refused"


@external
@view
def totalAssets() -> uint256:
    """
    @notice What all shares are worth at this second.
    @return In the asset.
    """
    return self._total()


@external
@view
def convertToShares(assets: uint256) -> uint256:
    """
    @notice Shares of this worth.
    @param assets In the asset's smallest unit.
    @return Rounded down.
    """
    return self._shares_for(assets)


@external
@view
def convertToAssets(shares: uint256) -> uint256:
    """
    @notice What shares are worth.
    @param shares In the smallest unit.
    @return In the asset, rounded down.
    """
    return self._assets_for(shares)


@external
@view
def maxDeposit(receiver: address) -> uint256:
    """
    @notice The most that may be deposited now.
    @param receiver Anyone.
    @return In the asset.
    """
    return LIMIT - min(LIMIT, self._total())


@external
@view
def maxMint(receiver: address) -> uint256:
    """
    @notice The most shares that may be issued now.
    @param receiver Anyone.
    @return In the smallest unit.
    """
    return self._issued_for(LIMIT - min(LIMIT, self._total()))


@external
@view
def maxWithdraw(owner: address) -> uint256:
    """
    @notice The most that an owner can withdraw now: what is theirs, as far as the pool has cash.
    @param owner Whose shares.
    @return In the asset.
    """
    return min(self._assets_for(erc20.balanceOf[owner]), self._cash())


@external
@view
def maxRedeem(owner: address) -> uint256:
    """
    @notice The most shares that an owner can redeem now.
    @param owner Whose shares.
    @return In the smallest unit.
    """
    return min(erc20.balanceOf[owner], self._shares_for(self._cash()))


@external
@view
def previewDeposit(assets: uint256) -> uint256:
    """
    @notice The shares that a deposit would give now.
    @param assets What is deposited.
    @return Rounded down.
    """
    return self._issued_for(assets)


@external
@view
def previewMint(shares: uint256) -> uint256:
    """
    @notice What these shares would cost now.
    @param shares What is wanted.
    @return In the asset, rounded up.
    """
    return self._cost_of(shares)


@external
@view
def previewWithdraw(assets: uint256) -> uint256:
    """
    @notice The shares that a withdrawal would take now.
    @param assets What is wanted.
    @return Rounded up.
    """
    return self._taken_for(assets)


@external
@view
def previewRedeem(shares: uint256) -> uint256:
    """
    @notice What these shares would be paid now.
    @param shares What is given.
    @return In the asset, rounded down.
    """
    return self._assets_for(shares)


@external
def deposit(assets: uint256, receiver: address) -> uint256:
    """
    @notice Give assets, get shares. The amount must have been approved.
    @param assets What is given.
    @param receiver Who gets the shares.
    @return The shares.
    """
    shares: uint256 = self._issued_for(assets)
    self._enter(assets, shares, receiver)
    return shares


@external
def mint(shares: uint256, receiver: address) -> uint256:
    """
    @notice Get shares, give what they cost. The amount must have been approved.
    @param shares What is wanted.
    @param receiver Who gets them.
    @return What they cost.
    """
    assets: uint256 = self._cost_of(shares)
    self._enter(assets, shares, receiver)
    return assets


@external
def withdraw(assets: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Take assets.
    @param assets What is wanted.
    @param receiver Who gets it.
    @param owner Whose shares are taken: the caller's, or of one who allowed the caller.
    @return The shares taken.
    """
    shares: uint256 = self._taken_for(assets)
    self._leave(assets, shares, receiver, owner)
    return shares


@external
def redeem(shares: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Give shares, take assets.
    @param shares What is given.
    @param receiver Who gets the assets.
    @param owner Whose shares are taken: the caller's, or of one who allowed the caller.
    @return The assets.
    """
    assets: uint256 = self._assets_for(shares)
    self._leave(assets, shares, receiver, owner)
    return assets


@internal
@view
def _total() -> uint256:
    return staticcall CreditPool(pool).assets_of(SENIOR, self)


@internal
@view
def _paid_for() -> uint256:
    """
    @dev What a deposit pays for: the pool's shares at the price of new ones, before losses that it sees coming.
    """
    # What a pool says of its books begins with the senior assets.
    senior: uint256 = extract32(
        raw_call(pool, method_id("books()"), max_outsize=32, is_static_call=True), 0, output_type=uint256
    )
    held: uint256 = staticcall CreditPool(pool).shares_of(SENIOR, self)
    return held * (senior + VIRTUAL_ASSETS) // (staticcall CreditPool(pool).total_shares(SENIOR) + VIRTUAL_SHARES)


@internal
@view
def _issued_for(assets: uint256) -> uint256:
    return assets * (erc20.totalSupply + VIRTUAL_SHARES) // (self._paid_for() + VIRTUAL_ASSETS)


@internal
@view
def _cash() -> uint256:
    return staticcall CreditPool(pool).max_withdraw(SENIOR, self)


@internal
@view
def _shares_for(assets: uint256) -> uint256:
    return assets * (erc20.totalSupply + VIRTUAL_SHARES) // (self._total() + VIRTUAL_ASSETS)


@internal
@view
def _assets_for(shares: uint256) -> uint256:
    return shares * (self._total() + VIRTUAL_ASSETS) // (erc20.totalSupply + VIRTUAL_SHARES)


@internal
@view
def _cost_of(shares: uint256) -> uint256:
    all_shares: uint256 = erc20.totalSupply + VIRTUAL_SHARES
    return (shares * (self._paid_for() + VIRTUAL_ASSETS) + all_shares - 1) // all_shares


@internal
@view
def _taken_for(assets: uint256) -> uint256:
    total: uint256 = self._total()
    return (assets * (erc20.totalSupply + VIRTUAL_SHARES) + total) // (total + VIRTUAL_ASSETS)


@internal
def _enter(assets: uint256, shares: uint256, receiver: address):
    assert shares > 0, "too little"
    erc20_transfers._collect(asset, msg.sender, self, assets)
    extcall CreditPool(pool).deposit(SENIOR, assets, self)
    erc20._mint(receiver, shares)
    log Deposit(sender=msg.sender, owner=receiver, assets=assets, shares=shares)


@internal
def _leave(assets: uint256, shares: uint256, receiver: address, owner: address):
    assert shares > 0, "shares missing"
    if msg.sender != owner:
        erc20._spend_allowance(owner, msg.sender, shares)
    erc20._burn(owner, shares)
    log Withdraw(sender=msg.sender, receiver=receiver, owner=owner, assets=assets, shares=shares)
    extcall CreditPool(pool).withdraw(SENIOR, assets, receiver)
