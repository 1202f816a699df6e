# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title The factory of credit pools
@license Apache-2.0
@author Koinon
@notice Anyone creates a pool on terms of their own, once checked: rates rise with use, no tier is better than the one before
        it, every spread pays for the loss its tier expects, and collateral at the threshold pays debt and bonus. The
        scores' schema must be registered, and a feed that says which tokens it prices must be of these two.
        Tokens with less than 6 or more than 18 decimals, and amounts from 2**96 on, are refused.
@dev The constructor keeps a pool's code as a blueprint (ERC-5202). Nobody owns this contract.
@custom:source ERC-5202, EIP-1014
"""

from ethereum.ercs import IERC20Detailed
from koinon.lending.contracts.interfaces import ICreditPool
from koinon.markets.contracts.interfaces import IPriceFeed
from koinon.works.contracts.interfaces import IAttestations
from koinon.works.contracts.interfaces import IWorks

event PoolCreated:
    pool: indexed(address)
    creator: indexed(address)
    schema: indexed(bytes32)
    loan_token: address
    collateral_token: address
    feed: address
    work_id: uint256


BPS: constant(uint256) = 10_000
HIGHEST_RATE_BPS: constant(uint256) = 100_000
LONGEST_S: constant(uint256) = 31_536_000
LEAST_MIN_DEBT: constant(uint256) = 1_000
LARGEST: constant(uint256) = 2**96
LEAST_DECIMALS: constant(uint8) = 6  # then what is below one unit is nobody's gain
MOST_DECIMALS: constant(uint8) = 18  # then no product of amount, price and scale overflows

blueprint: public(immutable(address))
ATTESTATIONS: immutable(address)
BUNDLES: immutable(address)
WORKS: immutable(address)

is_pool: public(HashMap[address, bool])
pools: public(DynArray[address, 1_000_000_000])


@deploy
def __init__(attestations: address, bundles: address, works: address, pool_code: Bytes[24_570]):
    """
    @notice A factory without pools.
    @param attestations Where its pools' scores are posted.
    @param bundles Which wallets belong together.
    @param works The register of the models that score.
    @param pool_code The code that creates a pool, without arguments.
    """
    assert attestations.is_contract and bundles.is_contract and works.is_contract, "no code"
    assert len(pool_code) > 0, "no code"
    ATTESTATIONS = attestations
    BUNDLES = bundles
    WORKS = works
    size: uint256 = len(pool_code) + 3
    # PUSH2 size, RETURNDATASIZE, DUP2, PUSH1 10, RETURNDATASIZE, CODECOPY, RETURN, then ERC-5202's preamble.
    blueprint = raw_create(
        concat(
            b"\x61",
            convert(convert(size, uint16), bytes2),
            b"\x3d\x81\x60\x0a\x3d\x39\xf3",
            b"\xfe\x71\x00",
            pool_code,
        )
    )


@external
def create(market: ICreditPool.Market, tiers: DynArray[ICreditPool.Tier, 8], salt: bytes32) -> address:
    """
    @notice Create a pool. Anyone may.
    @param market Tokens, price feed, who scores, rates and limits. The contracts of attestations, bundles and Works must
           be this factory's own.
    @param tiers Terms from the best score to none at all.
    @param salt Anything; the pool's address follows from the caller, this and all the terms.
    @return The pool.
    """
    assert market.attestations == ATTESTATIONS and market.bundles == BUNDLES and market.works == WORKS, "other contracts"
    assert staticcall IAttestations(ATTESTATIONS).is_registered(market.schema), "no such schema"
    self._check_market(market)
    self._check_feed(market.feed, method_id("base_token()"), market.collateral_token)
    self._check_feed(market.feed, method_id("quote_token()"), market.loan_token)
    self._check_tiers(tiers, market.max_bonus_bps)
    pool: address = create_from_blueprint(
        blueprint, market, tiers, salt=keccak256(abi_encode(msg.sender, salt))
    )
    self.is_pool[pool] = True
    self.pools.append(pool)
    log PoolCreated(
        pool=pool,
        creator=msg.sender,
        schema=market.schema,
        loan_token=market.loan_token,
        collateral_token=market.collateral_token,
        feed=market.feed,
        work_id=market.work_id,
    )
    return pool


@external
@view
def pool_count() -> uint256:
    """
    @return How many pools there are.
    """
    return len(self.pools)


@external
@view
def attestations() -> address:
    """
    @return Where its pools' scores are posted.
    """
    return ATTESTATIONS


@external
@view
def bundles() -> address:
    """
    @return Which wallets belong together.
    """
    return BUNDLES


@external
@view
def works() -> address:
    """
    @return The register of the models that score.
    """
    return WORKS


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@view
def _check_market(market: ICreditPool.Market):
    assert market.loan_token.is_contract and market.collateral_token.is_contract and market.feed.is_contract, "no code"
    assert market.loan_token != market.collateral_token, "tokens must differ"
    for token: address in [market.loan_token, market.collateral_token]:
        decimals: uint8 = staticcall IERC20Detailed(token).decimals()
        assert decimals >= LEAST_DECIMALS, "too few decimals"
        assert decimals <= MOST_DECIMALS, "too many decimals"
    assert staticcall IPriceFeed(market.feed).decimals() <= MOST_DECIMALS, "too many decimals"
    assert market.base_rate_bps <= market.kink_rate_bps, "rates must rise"
    assert market.kink_rate_bps <= market.full_rate_bps, "rates must rise"
    assert market.full_rate_bps <= HIGHEST_RATE_BPS, "rate too high"
    assert market.kink_bps > 0 and market.kink_bps < BPS, "kink out of range"
    assert market.fee_bps < BPS, "fee out of range"
    if market.work_id == 0:
        assert market.fee_bps == 0, "a fee needs a model"
    else:
        # Reverts where there is no such Work.
        owner: address = staticcall IWorks(WORKS).ownerOf(market.work_id)
    assert market.borrower_cap_bps > 0 and market.borrower_cap_bps <= BPS, "borrower cap out of range"
    assert market.coverage_bps > 0 and market.coverage_bps <= BPS, "coverage out of range"
    assert market.close_factor_bps > 0 and market.close_factor_bps <= BPS, "close factor out of range"
    assert market.min_bonus_bps <= market.max_bonus_bps, "bonus must grow"
    assert market.max_bonus_bps <= BPS, "bonus out of range"
    assert market.auction_s > 0 and market.auction_s <= LONGEST_S, "time out of range"
    assert market.grace_s <= LONGEST_S and market.junior_notice_s <= LONGEST_S, "time out of range"
    assert market.min_debt >= LEAST_MIN_DEBT and market.min_debt < LARGEST, "least debt out of range"


@internal
@view
def _check_feed(feed: address, question: Bytes[4], token: address):
    """
    @dev A feed that says which tokens it prices must be of these. One that does not, an adapter to another, is for whoever
         lends to look at.
    """
    told: bool = False
    answer: Bytes[32] = b""
    told, answer = raw_call(feed, question, max_outsize=32, is_static_call=True, revert_on_failure=False)
    if told and len(answer) == 32:
        assert extract32(answer, 0) == convert(convert(token, uint256), bytes32), "feed of other tokens"


@internal
@pure
def _check_tiers(tiers: DynArray[ICreditPool.Tier, 8], max_bonus_bps: uint256):
    assert len(tiers) > 0, "no tiers"
    last: ICreditPool.Tier = tiers[0]
    for tier: ICreditPool.Tier in tiers:
        assert (
            tier.lltv_bps <= last.lltv_bps
            and tier.spread_bps >= last.spread_bps
            and tier.cap <= last.cap
            and tier.pd_bps >= last.pd_bps
        ), "a worse tier has better terms"
        assert tier.lltv_bps > 0 and tier.lltv_bps <= BPS, "LLTV out of range"
        assert tier.lltv_bps * (BPS + max_bonus_bps) <= BPS * BPS, "LLTV out of range"
        assert tier.spread_bps <= HIGHEST_RATE_BPS, "rate too high"
        assert tier.cap < LARGEST, "cap out of range"
        assert tier.pd_bps <= BPS and tier.lgd_bps <= BPS and tier.capital_bps <= BPS, "share out of range"
        assert (
            tier.spread_bps * BPS >= tier.pd_bps * tier.lgd_bps + tier.capital_bps * BPS
        ), "spread below the expected loss"
        last = tier
