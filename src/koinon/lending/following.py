# SPDX-License-Identifier: Apache-2.0
"""What a network's credit pools, feeds and tokens did, by the event index: what scores are made of.

Read only, up to the confirmation depth, and with the hashes of blocks, so that a reorganisation is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from koinon.chain.address import checksum
from koinon.chain.handle import Chain
from koinon.errors import IntegrityError, TransactionFailed
from koinon.lending.pool_terms import PoolTerms
from koinon.lending.pools import CreditPool
from koinon.markets.history.facts import MarketFacts
from koinon.markets.history.history import History
from koinon.markets.history.shadow import DEPTH, Shadow


@dataclass(frozen=True)
class Followed:
    """A history, and the last block that it may be asked as of."""

    history: History
    block: int


def follow(chain: Chain, pools: Sequence[CreditPool], folder: Path, *, depth: int | None = None) -> Followed:
    """Catch up with everything that these pools' scores are made of.

    Parameters
    ----------
    folder : Path
        Where the index is kept; it goes on where it stopped.
    depth : int, optional
        How many blocks must stand on one. By default `DEPTH`, and 0 where money is test money.
    """
    if depth is None:
        depth = 0 if chain.network.test_money else DEPTH
    with Shadow(chain.rpc, folder, first_block=chain.network.start_block, depth=depth) as shadow:
        contracts: dict[str, str] = {}
        for pool in pools:
            terms = pool.terms()
            _describe(shadow, pool, terms)
            contracts[pool.address] = "koinon-pool"
            contracts[terms.feed] = "koinon-feed"
            contracts[terms.loan_token] = contracts[terms.collateral_token] = "erc20"
            pair = _pair(chain, terms.feed)
            if pair:
                contracts[pair] = "koinon-pair"
        shadow.watch({checksum(each): protocol for each, protocol in contracts.items()})
        shadow.sync()
        return Followed(shadow.history(), shadow.confirmed())


def check_block(chain: Chain, anchor: tuple[int, str]) -> None:
    """`IntegrityError` where the chain has another block now than a judgement was made as of."""
    number, block_hash = anchor
    if not block_hash:
        return
    found = chain.rpc.call("eth_getBlockByNumber", hex(number), False)
    if found is None or str(found["hash"]).lower() != block_hash.lower():
        raise IntegrityError(
            f"Block {number} is not the block that the wallet was judged as of.",
            hint="A reorganisation replaced it. Judge the wallet again.",
            code="lending.judged_block",
        )


def _describe(shadow: Shadow, pool: CreditPool, terms: PoolTerms) -> None:
    """The lent token counts as the unit of account; each loan is unsound by its own tier's LLTV."""
    lltvs = (tier.lltv_bps for tier in terms.tiers)
    shadow.facts.markets[pool.address] = MarketFacts.of_tiers(terms.loan_token, terms.collateral_token, lltvs)
    shadow.facts.units.add(checksum(terms.loan_token))


def _pair(chain: Chain, feed: str) -> str:
    """The pair that a feed watches; '' where it watches none."""
    try:
        return str(chain.contract("PriceFeed", feed).call("pair"))
    except TransactionFailed:
        return ""
