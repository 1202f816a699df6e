# SPDX-License-Identifier: Apache-2.0
"""This network's own pairs, credit pools and vaults, from the event index that the node keeps anyway.

`Shadow` scans somebody else's chain into a file of its own; here nothing is scanned twice. Both give the
same rows, so features, risks and monitors run over either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from koinon.chain.address import checksum
from koinon.chain.handle import Chain
from koinon.chain.index.api import EventIndex
from koinon.chain.index.sources import Source
from koinon.errors import BadInput
from koinon.markets.history.facts import Facts, MarketFacts, read_decimals, read_market
from koinon.markets.history.history import History
from koinon.markets.history.indexed import read_history
from koinon.markets.history.protocols import abi
from koinon.markets.history.shadow import DEPTH, source_name

MADE: Final = {
    "pair": ("koinon-pair", "pair_factory_pair_created"),
    "credit_pool": ("koinon-pool", "credit_pool_factory_pool_created"),
    "vault": ("erc4626", "vault_factory_vault_created"),
}
"""Sources of the index for all contracts of a kind: their protocol, and the table that names them."""


class Own:
    """What the network's markets did. The index and the chain stay the caller's.

    Anyone may create pairs, pools and vaults, of any tokens: their rows are here, but only the network's
    coin counts as the unit of account, and only feeds of ``pools`` are believed.

    Parameters
    ----------
    index : EventIndex
        The node's own; see `Node.index`.
    chain : Chain
    pools : sequence of addresses
        Credit pools whose feeds and tokens are followed too: those that whoever asks would lend by.
    depth : int, optional
        How many blocks must stand on one before its rows are given out. By default `DEPTH`, and 0 where money
        is test money.
    """

    def __init__(
        self, index: EventIndex, chain: Chain, pools: Sequence[str] = (), *, depth: int | None = None
    ) -> None:
        if depth is not None and depth < 0:
            raise BadInput("The confirmation depth is not negative.", code="history.depth")
        self.depth = (0 if chain.network.test_money else DEPTH) if depth is None else depth
        self.pools = tuple(dict.fromkeys(checksum(pool) for pool in pools))
        self.facts = Facts(units={chain.coin.address})
        self._index, self._chain = index, chain

    def sync(self) -> int:
        """Catch up with the chain; the last block that is in.

        Raises
        ------
        BadInput
            One of ``pools`` is no credit pool of this network.
        NodeUnavailable
            The node does not answer.
        """
        self._index.sync()
        self._learn()
        if self._follow_more():
            self._index.sync()
        head = self._index.head()
        return head.number if head is not None else -1

    def confirmed(self) -> int:
        """The last block with enough blocks on it; -1 where there is none."""
        head = self._index.head()
        return max(head.number - self.depth, -1) if head is not None else -1

    def history(self, *, unconfirmed: bool = False, since: int = 0) -> History:
        """Rows from block ``since`` up to the confirmation depth, or (``unconfirmed``) up to the head; `sync`
        first."""
        head = self._index.head()
        last = (head.number if head is not None else -1) if unconfirmed else self.confirmed()
        return read_history(self._index, self._sources(), self.facts, since=since, last=last)

    def _sources(self) -> list[tuple[str, Source]]:
        """Each with its protocol; of two sources of one address the first."""
        named = self._more() | {self._chain.coin.address: "erc20"}
        found: dict[str, tuple[str, Source]] = {}
        for source, _ in self._index.sources():
            if source.address is None and source.name in MADE:
                found[source.name] = (MADE[source.name][0], source)
            elif source.address in named:
                found.setdefault(source.address, (named[source.address], source))
        return list(found.values())

    def _more(self) -> dict[str, str]:
        """Address → protocol of what is followed for the sake of ``pools``."""
        found: dict[str, str] = {}
        for made in _made(self._index, "credit_pool"):
            if checksum(made["pool"]) in self.pools:
                found[checksum(made["feed"])] = "koinon-feed"
                found |= {checksum(made[name]): "erc20" for name in ("loan_token", "collateral_token")}
        return found

    def _follow_more(self) -> bool:
        """Have the index read what it does not read yet; whether there was any."""
        known = {source.address for source, _ in self._index.sources()}
        wanted = {address: name for address, name in self._more().items() if address not in known}
        for address, protocol in wanted.items():
            begin = self._chain.network.start_block
            self._index.add(source_name(protocol, address), address, abi(protocol), begin)
        return bool(wanted)

    def _learn(self) -> None:
        """Which tokens new contracts are about, from their factories' events."""
        markets = self.facts.markets
        for made in _made(self._index, "pair"):
            markets[checksum(made["pair"])] = MarketFacts(checksum(made["token0"]), checksum(made["token1"]))
        vaults = {checksum(made["vault"]): checksum(made["asset"]) for made in _made(self._index, "vault")}
        markets.update({vault: MarketFacts(asset) for vault, asset in vaults.items()})
        pools = {checksum(made["pool"]): made for made in _made(self._index, "credit_pool")}
        for address, made in pools.items():
            if address not in markets:
                tiers = self._chain.contract("CreditPool", address).call("tiers")
                markets[address] = MarketFacts.of_tiers(
                    made["loan_token"], made["collateral_token"], (tier[0] for tier in tiers)
                )
        for pool in self.pools:
            if pool not in pools:
                raise BadInput(
                    f"{pool} is no credit pool of this network.",
                    hint="List them: koinon lending pools",
                    code="history.no_pool",
                )
            feed = checksum(pools[pool]["feed"])
            if feed not in markets:
                markets[feed] = read_market(self._chain.rpc, "koinon-feed", feed)
        tokens = {token for each in markets.values() for token in (each.asset, each.asset_2)}
        for token in sorted((tokens | set(vaults) | self.facts.units) - {""} - set(self.facts.decimals)):
            decimals = read_decimals(self._chain.rpc, token)
            if decimals is not None:
                self.facts.decimals[token] = decimals


def venues(index: EventIndex) -> frozenset[str]:
    """The network's pairs, credit pools and vaults. What they are paid they pay back in another form: a
    transfer to or from one is half of an exchange, and no payment between two accounts."""
    names = {"pair": "pair", "credit_pool": "pool", "vault": "vault"}
    return frozenset(checksum(made[name]) for kind, name in names.items() for made in _made(index, kind))


def _made(index: EventIndex, kind: str) -> list[dict[str, Any]]:
    """Every contract of a kind, as its factory said; none where the network has no such factory."""
    protocol_table = MADE[kind][1]
    tables = {table.name for source, _ in index.sources() for table in source.tables}
    if protocol_table not in tables:
        return []
    return index.rows(f"SELECT * FROM {protocol_table} ORDER BY block_number, log_index")  # noqa: S608
