# SPDX-License-Identifier: Apache-2.0
"""Gas of every external function that changes state, from real transactions on a node with fixed keys.

python -m benchmarks.gas          compares with gas.json, prints what differs
python -m benchmarks.gas --write  writes gas.json
python -m benchmarks gas          the figures that have targets
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.gas import (
    audits,
    bonds,
    channels,
    commissions,
    committee,
    computing,
    delegating,
    downloads,
    learning,
    lending,
    markets,
    standing,
    swarm,
    treasury,
    verification,
    works,
)
from benchmarks.gas.stage import opened
from koinon.chain import artifacts

NAMES = (
    "gas.batch_claim_repeat",
    "gas.release",
    "gas.node_round",
    "gas.merkle_round",
    "gas.publish",
    "gas.pair_create",
    "gas.pair_swap",
    "gas.pair_mint",
    "gas.pair_burn",
    "gas.lending_deposit",
    "gas.lending_withdraw",
    "gas.lending_borrow",
    "gas.lending_repay",
    "gas.lending_liquidate",
    "gas.lending_deposit_aave",
    "gas.lending_withdraw_aave",
    "gas.lending_borrow_aave",
    "gas.lending_repay_aave",
    "gas.lending_liquidate_aave",
    "gas.vault_deposit",
    "gas.vault_deposit_idle",
    "gas.vault_withdraw",
    "gas.vault_redeem_in_kind",
    "gas.vault_rebalance",
    "gas.pool_shares_deposit_aave",
    "gas.pool_shares_redeem_aave",
)
SNAPSHOT = Path(__file__).parent.parent.parent / "gas.json"
SCENES = (
    works.publishing,
    works.earning,
    works.paying,
    channels.one_buyer,
    channels.hundred_buyers,
    standing.granting,
    standing.judging,
    bonds.judging,
    bonds.sealing,
    bonds.sharing,
    committee.ruling,
    verification.verifying,
    audits.auditing,
    audits.agreeing,
    learning.teaching,
    swarm.merkle,
    swarm.per_node,
    downloads.exchanging,
    downloads.delivering,
    computing.computing,
    commissions.commissions,
    delegating.revoking,
    delegating.acting,
    markets.trading,
    markets.pooling,
    markets.routing,
    markets.feeding,
    lending.scoring,
    lending.bundling,
    lending.lending,
    treasury.vaults,
)
READ_ONLY = {"view", "pure"}


def measure() -> dict[str, int]:
    """Every figure, by name; the same in every run."""
    with opened() as stage:
        stage.deploy("Coin", "Koinon test dollar", "tUSD", 6)
        stage.deploy("Till")
        stage.deploy("Works", stage.contracts["Till"].address)
        for name in ("Terms", "Reputation", "Validation", "Federation"):
            stage.deploy(name, stage.contracts["Works"].address)
        for name in ("Channels", "ERC3009Collector", "Bonds", "Payouts"):
            stage.deploy(name)
        stage.deploy("PrivacyBudget", stage.contracts["Works"].address)
        stage.deploy("ComputeJobs", *(stage.contracts[name].address for name in ("Terms", "PrivacyBudget")))
        stage.deploy("FairExchange", stage.contracts["Terms"].address)
        stage.deploy(
            "Delivery", *(stage.contracts[name].address for name in ("Terms", "Bonds", "FairExchange"))
        )
        stage.deploy("Swarm", *(stage.contracts[name].address for name in ("Federation", "Bonds")))
        stage.deploy("Jobs", *(stage.contracts[name].address for name in ("Works", "Coin")))
        for name in ("Mandates", "Delegate", "Router"):
            stage.deploy(name)
        stage.deploy("PairFactory", artifacts.load("Pair").init_code)
        for name in ("Attestations", "Bundles"):
            stage.deploy(name)
        stage.deploy(
            "CreditPoolFactory",
            *(stage.contracts[name].address for name in ("Attestations", "Bundles", "Works")),
            artifacts.load("CreditPool").init_code,
        )
        stage.deploy("VaultRules")
        stage.deploy("Vault", stage.contracts["VaultRules"].address)
        stage.deploy("VaultFactory", stage.contracts["Vault"].address)
        for scene in SCENES:
            with stage.scene():
                scene(stage)
        return dict(sorted(stage.figures.items()))


def snapshot() -> dict[str, int]:
    """The committed figures."""
    figures: dict[str, int] = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    return figures


def write(figures: Mapping[str, int]) -> None:
    """Commit to these figures."""
    SNAPSHOT.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def unmeasured(figures: Mapping[str, int]) -> list[str]:
    """External functions that change state and have no figure."""
    measured = {name.partition(" · ")[0] for name in figures}
    wanted = set()
    for contract in artifacts.names():
        functions = artifacts.load(contract).functions
        for entry in artifacts.load(contract).abi:
            if entry["type"] == "function" and entry["stateMutability"] not in READ_ONLY:
                plain = entry["name"]
                signatures = (
                    [plain]
                    if plain in functions
                    else [name for name in functions if name.startswith(f"{plain}(")]
                )
                wanted |= {f"{contract}.{name}" for name in signatures}
    return sorted(wanted - measured - INDIRECT)


INDIRECT = {
    "ERC3009Collector.collect",  # only Channels may call it: its cost is inside Channels.deposit
    "Router.uniswapV2Call",  # only a pair may call it: its cost is inside Router.arbitrage
    "Pair.initialize",  # refuses everyone
    "Vault.pull",  # only itself may call it: its cost is inside Vault.withdraw
    "Vault.initialize",  # only as it is made: its cost is inside VaultFactory.create
}


def run() -> Iterator[dict[str, Any]]:
    """The figures that have targets."""
    figures = measure()
    claims = figures["Channels.claim · a hundred, again"] / 100
    yield _figure("gas.batch_claim_repeat", claims, 18_500, "gas per channel")
    yield _figure("gas.release", figures["Till.release · again"], 70_000, "gas")
    submitting = max(figures["Swarm.submit · the first of a round"], figures["Swarm.submit · another"])
    yield _figure("gas.node_round", submitting, 60_000, "gas a node and round")
    yield _figure("gas.merkle_round", figures["Swarm.propose · five peers"], None, "gas a round")
    yield _figure("gas.publish", figures["Works.publish · no parents"], None, "gas")
    for name, ours, theirs in markets.figures(figures):
        yield _figure(name, ours, None, "gas", theirs)
    for name, ours, theirs in lending.figures(figures):
        yield _figure(name, ours, None, "gas", theirs)
    for name, ours, published in lending.beside_aave(figures):
        yield _figure(name, ours, None, "gas", published)
    for name, gas in treasury.figures(figures):
        yield _figure(name, gas, None, "gas")
    for name, ours, published in treasury.beside_aave(figures):
        yield _figure(name, ours, None, "gas", published)


def _figure(name: str, ours: float, target: int | None, unit: str, peer: int | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "ours": ours,
        "peer": peer,
        "ratio": None if peer is None else round(peer / ours, 3),
        "unit": unit,
        "target": target,
        "ok": target is None or ours <= target,
    }
