# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Interest and shares
@license Apache-2.0
@author Koinon
@notice A rate that follows how much of a pool is lent out, how debt grows by it, and what a share of a tranche is worth.
        A tranche has a million shares and one unit of assets that nobody owns, so that no first depositor can make a
        share so dear that the next one's deposit rounds to nothing.
@custom:source Morpho Blue (virtual shares, third-order compounding)
"""

WAD: constant(uint256) = 10**18
BPS: constant(uint256) = 10_000
YEAR_S: constant(uint256) = 31_536_000
VIRTUAL_SHARES: constant(uint256) = 10**6
VIRTUAL_ASSETS: constant(uint256) = 1


@internal
@pure
def _base_rate(
    debt: uint256, supply: uint256, base_bps: uint256, kink_rate_bps: uint256, full_bps: uint256, kink_bps: uint256
) -> uint256:
    """
    @dev The rate a year, in 1e-18, before any tier's spread: two straight lines that meet where `kink_bps` of the supply
         is lent out.
    """
    if supply == 0:
        return base_bps * WAD // BPS
    lent: uint256 = min(debt * WAD // supply, WAD)
    kink: uint256 = kink_bps * WAD // BPS
    if lent <= kink:
        return (base_bps * WAD + (kink_rate_bps - base_bps) * WAD * lent // kink) // BPS
    return (kink_rate_bps * WAD + (full_bps - kink_rate_bps) * WAD * (lent - kink) // (WAD - kink)) // BPS


@internal
@pure
def _growth(rate: uint256, elapsed_s: uint256) -> uint256:
    """
    @dev e**x - 1 to the third order, x = rate * time, in 1e-18: never more than continuous compounding gives.
    """
    x: uint256 = rate * elapsed_s // YEAR_S
    square: uint256 = x * x // (2 * WAD)
    return x + square + square * x // (3 * WAD)


@internal
@pure
def _ceil_div(numerator: uint256, denominator: uint256) -> uint256:
    return (numerator + denominator - 1) // denominator


@internal
@pure
def _to_shares(assets: uint256, total_assets: uint256, total_shares: uint256, up: bool) -> uint256:
    product: uint256 = assets * (total_shares + VIRTUAL_SHARES)
    if up:
        return self._ceil_div(product, total_assets + VIRTUAL_ASSETS)
    return product // (total_assets + VIRTUAL_ASSETS)


@internal
@pure
def _to_assets(shares: uint256, total_assets: uint256, total_shares: uint256) -> uint256:
    return shares * (total_assets + VIRTUAL_ASSETS) // (total_shares + VIRTUAL_SHARES)
