# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title A small ERC-4626 whose earnings, losses and liquidity a test decides
"""

from ethereum.ercs import IERC20

from koinon.works.contracts import erc20

initializes: erc20
exports: erc20.__interface__

asset: public(address)
total: uint256
frozen: public(bool)
haircut_bps: public(uint256)
shy: address
manners: uint256  # how `withdraw` cheats: 1 refuses, 2 takes all shares, 3 pays half, 4 burns all gas


@deploy
def __init__(asset: address):
    """
    @notice A pool over an asset.
    @param asset Which.
    """
    self.asset = asset


@external
def earn(amount: uint256):
    """
    @notice Earn what was sent here before.
    @param amount How much.
    """
    self.total += amount


@external
def lose(amount: uint256):
    """
    @notice Lose.
    @param amount How much.
    """
    self.total -= amount
    assert extcall IERC20(self.asset).transfer(0x000000000000000000000000000000000000dEaD, amount)


@external
def freeze(frozen: bool):
    """
    @notice Pay nothing out.
    @param frozen Whether.
    """
    self.frozen = frozen


@external
def cut(haircut_bps: uint256):
    """
    @notice Give fewer shares for a deposit, and less for shares, than is said.
    @param haircut_bps How much less.
    """
    self.haircut_bps = haircut_bps


@external
def cheat(manners: uint256):
    """
    @notice Cheat who withdraws.
    @param manners How; 0 not at all.
    """
    self.manners = manners


@external
@view
def totalAssets() -> uint256:
    """
    @notice What all shares are worth.
    @return In the asset.
    """
    return self.total


@external
@view
def convertToAssets(shares: uint256) -> uint256:
    """
    @notice What shares are worth.
    @param shares How many.
    @return In the asset.
    """
    assert self.shy == empty(address) or tx.origin != self.shy, "shy"
    return shares * (self.total + 1) // (erc20.totalSupply + 1)


@external
@view
def maxWithdraw(owner: address) -> uint256:
    """
    @notice The most an owner may take.
    @param owner Whose shares.
    @return In the asset.
    """
    if self.frozen:
        return 0
    return erc20.balanceOf[owner] * (self.total + 1) // (erc20.totalSupply + 1)


@external
@view
def previewDeposit(assets: uint256) -> uint256:
    """
    @notice The shares for a deposit.
    @param assets How much.
    @return The shares.
    """
    return assets * (erc20.totalSupply + 1) // (self.total + 1)


@external
@view
def previewRedeem(shares: uint256) -> uint256:
    """
    @notice The assets for shares.
    @param shares How many.
    @return The assets.
    """
    return shares * (self.total + 1) // (erc20.totalSupply + 1)


@external
def deposit(assets: uint256, receiver: address) -> uint256:
    """
    @notice Deposit.
    @param assets How much.
    @param receiver Who gets shares.
    @return The shares.
    """
    shares: uint256 = assets * (erc20.totalSupply + 1) // (self.total + 1)
    assert extcall IERC20(self.asset).transferFrom(msg.sender, self, assets)
    self.total += assets
    erc20._mint(receiver, shares * (10_000 - self.haircut_bps) // 10_000)
    return shares


@external
def withdraw(assets: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Withdraw.
    @param assets How much.
    @param receiver Who gets it.
    @param owner Whose shares.
    @return The shares.
    """
    assert not self.frozen, "frozen"
    assert self.manners != 1, "refused"
    assert self.manners != 4, UNREACHABLE
    shares: uint256 = (assets * (erc20.totalSupply + 1) + self.total) // (self.total + 1)
    if self.manners == 2:
        shares = erc20.balanceOf[owner]
    erc20._burn(owner, shares)
    self.total -= assets
    assert extcall IERC20(self.asset).transfer(receiver, assets // 2 if self.manners == 3 else assets)
    return shares


@external
def redeem(shares: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Redeem.
    @param shares How many.
    @param receiver Who gets the assets.
    @param owner Whose shares.
    @return The assets.
    """
    assert not self.frozen, "frozen"
    assets: uint256 = shares * (self.total + 1) // (erc20.totalSupply + 1) * (10_000 - self.haircut_bps) // 10_000
    erc20._burn(owner, shares)
    self.total -= assets
    assert extcall IERC20(self.asset).transfer(receiver, assets)
    return assets


@external
def be_shy(of: address):
    """
    @notice Answer nothing to one.
    @param of Who.
    """
    self.shy = of
