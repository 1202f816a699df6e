# SPDX-License-Identifier: Apache-2.0
"""A vault of a development chain's own: over a priced token, and a credit pool's senior shares."""

from __future__ import annotations

from typing import Final

from koinon.chain import artifacts
from koinon.chain.address import checksum, create2_address
from koinon.chain.canonical import FACTORY
from koinon.chain.contract import Call
from koinon.chain.hashing import keccak256
from koinon.treasury.api import Treasury
from koinon.treasury.charter_file import VaultTerms
from koinon.treasury.vault import Charter, Kind, Limits, Strategy
from koinon.works.ground import Ground

NAME: Final = "Savings of this chain"
DEPOSIT_WHOLE: Final = 100_000
"""What the operator puts in, in whole test coins."""
LENT_PART: Final = 0.3
"""The part of it that goes into the credit pool."""
MAX_AGE_S: Final = 86_400
LIMITS: Final = Limits(turnover_bps=4_000, slippage_bps=100, drawdown_bps=2_000, idle_bps=500)


def open_vault(ground: Ground, feed: str, pool: str) -> str:
    """The address of the operator's vault, which lends a part through the pool and may hold the feed's token.

    Made once: run again, it is found, and what a run that was cut off left out is done. Only where coins are
    test money; errors as in `Sender.send`.
    """
    chain, treasury = ground.chain, Treasury.of(ground)
    me, coin = ground.operator.address, chain.coin
    shares = _pool_shares(ground, pool)
    address = _find(treasury, me, shares)
    if address is None:
        price = chain.contract("PriceFeed", feed)
        token, pair = checksum(price.call("base_token")), checksum(price.call("pair"))
        strategies = (
            Strategy(Kind.TOKEN, token, checksum(feed), pair, MAX_AGE_S, 0, 6_000),
            Strategy(Kind.SHARES, shares, min_bps=0, max_bps=5_000),
        )
        charter = Charter(coin.address, me, me, me)
        address = treasury.create(VaultTerms(NAME, "SAVE", charter, LIMITS, strategies)).address
    if treasury.vault(address).net == 0:
        amount = DEPOSIT_WHOLE * 10 ** int(coin.call("decimals"))
        chain.sender(ground.operator).send(coin.transaction("mint", me, amount))
        treasury.deposit(address, amount)
    state = treasury.vault(address)
    if state.slot(shares).held == 0:
        treasury.rebalance(treasury.propose(address, {str(state.slot(shares).number): LENT_PART}))
    return address


def _pool_shares(ground: Ground, pool: str) -> str:
    """The pool's senior deposits as an ERC-4626, at the address that follows from the pool's."""
    creation, salt = artifacts.load("PoolShares").creation(pool), bytes(32)
    address = create2_address(FACTORY, salt, keccak256(creation))
    if ground.chain.rpc.call("eth_getCode", address, "latest") == "0x":
        ground.chain.sender(ground.operator).send(Call(FACTORY, salt + creation))
    return address


def _find(treasury: Treasury, manager: str, shares: str) -> str | None:
    for address in treasury.vaults():
        state = treasury.vault(address)
        if state.charter.manager == manager and any(slot.strategy.token == shares for slot in state.slots):
            return address
    return None
