# SPDX-License-Identifier: Apache-2.0
"""What a network's credit pools, feeds and tokens did, by the event index: what scores are made of.

Read only, up to the confirmation depth, and with the hashes of blocks, so that a reorganisation is noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from koinon.chain.address import checksum
from koinon.chain.handle import Chain
from koinon.errors import IntegrityError, TransactionFailed
from koinon.lending.pools import CreditPool
from koinon.markets.history.facts import MarketFacts
from koinon.markets.history.history import History
from koinon.markets.history.shadow import DEPTH, Shadow


@dataclass(frozen=True)
class Followed:
    """A history, and the last block that it may be asked as of."""

    history: History
    block: int


def follow(
    chain: Chain,
    pools: Sequence[CreditPool],
    believed: Collection[str],
    folder: Path,
    *,
    depth: int | None = None,
) -> Followed:
    """Catch up with what these pools did, in amounts by the prices of those that are believed.

    Anyone may open a pool, with a feed and tokens of their own. What wallets did at any pool is told, but
    only ``believed`` pools' feeds make prices, and only their loan tokens and the network's coin are money.

    Parameters
    ----------
    believed : collection of addresses
        The pools for whose sake somebody is judged.
    folder : Path
        Where the index is kept, one for each set of believed pools; it goes on where it stopped.
    depth : int, optional
        How many blocks must stand on one. By default `DEPTH`, and 0 where money is test money.
    """
    if depth is None:
        depth = 0 if chain.network.test_money else DEPTH
    named = sorted({checksum(each) for each in believed})
    place = folder / hashlib.sha256("".join(named).encode()).hexdigest()[:16]
    with Shadow(chain.rpc, place, first_block=chain.network.start_block, depth=depth) as shadow:
        shadow.facts.units.add(chain.coin.address)
        contracts: dict[str, str] = {chain.coin.address: "erc20"}
        for pool in pools:
            terms = pool.terms()
            contracts[pool.address] = "koinon-pool"
            lltvs = (tier.lltv_bps for tier in terms.tiers)  # each loan is unsound by its own tier's
            facts = MarketFacts.of_tiers(terms.loan_token, terms.collateral_token, lltvs)
            shadow.facts.markets[pool.address] = facts
            if pool.address not in named:
                continue
            shadow.facts.units.add(checksum(terms.loan_token))
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


def _pair(chain: Chain, feed: str) -> str:
    """The pair that a feed watches; '' where it watches none."""
    try:
        return str(chain.contract("PriceFeed", feed).call("pair"))
    except TransactionFailed:
        return ""
