# SPDX-License-Identifier: Apache-2.0
"""A vault from its creation to an exit in kind, and senior shares of a credit pool; beside what Aave
publishes of its own ERC-4626."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from benchmarks.gas import lending as pools
from benchmarks.gas.markets import WINDOW_S
from benchmarks.gas.stage import CHAIN_ID, LARGEST, Stage, digest, key
from koinon.chain.contract import Contract
from koinon.chain.hashing import keccak256
from koinon.works.attestations import SchemaTerms

ETHER = 10**18
NOBODY = pools.NOBODY
DELAY_S = 48 * 3_600
DAY_S = 86_400
KEPT = [2**256 - 1] * 6
STATA: Final = {"deposit": 280_955, "redeem": 205_837}
"""Aave v3's own snapshot of its ERC-4626 over a lent token, without a transaction's 21,000 and its call data
as far as its test framework leaves them out. Source: github.com/aave-dao/aave-v3-origin,
snapshots/StataTokenV2.json at commit 04419e25d3e87327487517bf0846ffa65aac35a2."""


def vaults(stage: Stage) -> None:
    """A token in a pair and senior shares of a credit pool, held by one vault."""
    asset, token, feed = pools._market(stage)
    shares = pool_shares(stage, asset, token, feed)
    owner, factory = key("publisher").address, stage.contracts["VaultFactory"]
    pair = stage.contracts["PairFactory"].call("getPair", asset.address, token.address)
    charter = (asset.address, owner, owner, owner, key("gateway").address, 1_000, 20, 7 * DAY_S, DAY_S)
    listed = [
        (1, token.address, feed.address, pair, 10 * DAY_S, 0, 6_000),
        (2, shares.address, NOBODY, NOBODY, 0, 0, 6_000),
    ]
    limits = (20_000, 300, 2_000, 0)
    stage.measure(factory, "create", "Balanced", "BAL", charter, limits, listed, note="two strategies")
    vault = stage.at("Vault", factory.call("vault", factory.call("vault_count")))
    for role in ("buyer", "lender"):
        stage.send(asset, "approve", vault.address, LARGEST, sender=role)
    buyer, lender = key("buyer").address, key("lender").address
    stage.measure(vault, "deposit", 1_000 * ETHER, buyer, sender="buyer", note="the first")
    stage.measure(vault, "deposit", 1_000 * ETHER, buyer, sender="buyer", note="again, all idle")
    moves: tuple[tuple[list[int], str], ...] = (
        ([4_000, 4_000, *KEPT], "two purchases"),
        ([3_000, 5_000, *KEPT], "a sale and a purchase"),
    )
    for targets, note in moves:
        stage.measure(vault, "rebalance", targets, [0] * 8, LARGEST, note=note)
    stage.measure(vault, "deposit", 100 * ETHER, lender, sender="lender", note="two slots to price")
    stage.measure(vault, "mint", 10**26, lender, sender="lender")
    stage.wait(60)
    stage.measure(vault, "settle")
    stage.measure(vault, "withdraw", 10 * ETHER, lender, lender, sender="lender", note="from what is idle")
    stage.measure(vault, "redeem", 10**25, buyer, buyer, sender="buyer")
    stage.measure(vault, "withdraw", 700 * ETHER, buyer, buyer, sender="buyer", note="from a slot's ERC-4626")
    stage.measure(vault, "redeem_in_kind", 10**25, buyer, buyer, 0, [0] * 9, sender="buyer", note="two slots")
    _rules(stage, vault, listed, feed)
    _moves(stage, vault, "buyer")


def _rules(stage: Stage, vault: Contract, listed: list[Any], feed: Contract) -> None:
    """Everything that the roles do."""
    stage.measure(vault, "set_bounds", 0, 0, 5_000, note="tighter")
    stage.measure(vault, "set_bounds", 0, 0, 5_500, note="announced")
    stage.measure(vault, "veto", _change(vault, "set_bounds", 0, 0, 5_500))
    stage.measure(vault, "set_limits", (10_000, 200, 1_000, 100))
    stage.measure(vault, "set_allocator", key("lender").address, note="announced")
    stage.measure(vault, "set_strategy", 0, (*listed[0][:4], 86_400, *listed[0][5:]), note="announced")
    stage.measure(vault, "mark_down", 1, 9_900)
    stage.measure(vault, "stop")
    stage.measure(vault, "resume", note="announced")
    stage.wait(DELAY_S)
    for _ in range(9):
        stage.wait(WINDOW_S // 4)
        stage.send(feed, "observe")
    pools._post(stage, feed, 2, 10**8)
    stage.measure(vault, "resume", note="after its time")
    stage.measure(vault, "set_allocator", key("lender").address, note="after its time")
    stage.measure(vault, "set_strategy", 0, (*listed[0][:4], 86_400, *listed[0][5:]), note="after its time")
    stage.measure(vault, "hand_over", 3, key("lender").address)


def pool_shares(stage: Stage, asset: Contract, collateral: Contract, feed: Contract) -> Contract:
    """ERC-4626 shares over the senior tranche of a pool that lends."""
    pool = _credit_pool(stage, asset, collateral, feed)
    shares = stage.create("PoolShares", pool.address, noted=True)
    stage.send(pool, "deposit", 1, 2_000 * ETHER, key("lender").address, sender="lender")
    stage.send(asset, "approve", shares.address, LARGEST, sender="lender")
    lender = key("lender").address
    for note in ("the first", "again"):
        stage.measure(shares, "deposit", 1_000 * ETHER, lender, sender="lender", note=note)
    stage.measure(shares, "mint", 10**25, lender, sender="lender")
    stage.measure(shares, "withdraw", ETHER, lender, lender, sender="lender")
    stage.measure(shares, "redeem", 10**24, lender, lender, sender="lender")
    _moves(stage, shares, "lender")
    return shares


def _credit_pool(stage: Stage, loan: Contract, collateral: Contract, feed: Contract) -> Contract:
    attestations, factory = stage.contracts["Attestations"], stage.contracts["CreditPoolFactory"]
    terms = SchemaTerms("credit score", NOBODY, tuple(key(role).address for role in pools.ISSUERS), 2)
    stage.send(attestations, "register", *terms.values())
    schema = terms.id(CHAIN_ID, attestations.address, key("publisher").address)
    stage.send(stage.contracts["Works"], "publish", "ipfs://model", [], 0, [])
    works = stage.contracts["Works"]
    addresses = (loan.address, collateral.address, feed.address, attestations.address)
    rest = (stage.contracts["Bundles"].address, works.address, works.call("total"))
    numbers = (100, 600, 5_000, 8_000, 1_000, 10_000, 1_000, 5_000, 100, 1_000, 3_600, 3_600, 0, 1_000, False)
    stage.send(factory, "create", (*addresses, schema, *rest, *numbers), pools.TIERS, digest("salt"))
    pool = stage.at("CreditPool", factory.call("pools", factory.call("pool_count") - 1))
    stage.send(loan, "approve", pool.address, LARGEST, sender="lender")
    return pool


def _moves(stage: Stage, token: Contract, holder: str) -> None:
    """What every ERC-20 can do."""
    other = key("stranger").address
    stage.measure(token, "transfer", other, 10**20, sender=holder)
    stage.measure(token, "approve", other, 10**20, sender=holder)
    stage.measure(token, "transferFrom", key(holder).address, other, 10**19, sender="stranger")


def _change(vault: Contract, name: str, *arguments: Any) -> bytes:
    return keccak256(vault.function(name).encode(*arguments))


def beside_aave(ours: dict[str, int]) -> Iterator[tuple[str, int, int]]:
    """Name, our gas without a transaction's 21,000, and what Aave publishes (`STATA`)."""
    yield "gas.pool_shares_deposit_aave", ours["PoolShares.deposit · again"] - 21_000, STATA["deposit"]
    yield "gas.pool_shares_redeem_aave", ours["PoolShares.redeem"] - 21_000, STATA["redeem"]


def figures(ours: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Names and gas of what holders and allocators pay most often."""
    for name, entry in (
        ("gas.vault_deposit", "Vault.deposit · two slots to price"),
        ("gas.vault_deposit_idle", "Vault.deposit · again, all idle"),
        ("gas.vault_withdraw", "Vault.withdraw · from what is idle"),
        ("gas.vault_redeem_in_kind", "Vault.redeem_in_kind · two slots"),
        ("gas.vault_rebalance", "Vault.rebalance · a sale and a purchase"),
    ):
        yield name, ours[entry]
