# SPDX-License-Identifier: Apache-2.0
"""A vault's world on a node: our factory, a pair with a settable feed, and a pool; made from artifacts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from vyper.compiler.output import build_abi_output

from koinon.chain import artifacts, codec
from koinon.chain.contract import Call, Contract
from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.treasury.charter_file import VaultTerms
from koinon.treasury.vault import Charter, Kind, Limits, Strategy
from tests.contracts_support import compiled

MOCKS = Path(__file__).parent / "contracts" / "mocks"
ETHER = 10**18


@cache
def mock(name: str) -> tuple[list[dict[str, Any]], bytes]:
    """ABI and creation code of a mock."""
    data = compiled(MOCKS / f"{name}.vy").compiler_data
    return build_abi_output(data), bytes(data.bytecode)


@dataclass
class World:
    """What stands on a chain; ``chain`` knows the factory of vaults."""

    chain: Chain
    token: Contract
    feed: Contract
    pair: Contract
    pool: Contract

    @classmethod
    def build(cls, chain: Chain, payer: Key) -> World:
        """Put everything there; a token costs 2,000 coins, a million coins deep."""
        chain = known(chain, payer)
        coin = chain.coin
        token, feed = create(chain, payer, "Money", 18), create(chain, payer, "Feed", 8, 2_000 * 10**8)
        pool = create(chain, payer, "Pool", coin.address)
        factory = chain.contract("PairFactory", chain.network.contracts["PairFactory"])
        send(chain, payer, factory.transaction("createPair", coin.address, token.address))
        pair = chain.contract("Pair", factory.call("getPair", coin.address, token.address))
        send(chain, payer, coin.transaction("mint", pair.address, 10**6 * 10**6))
        send(chain, payer, token.transaction("mint", pair.address, 500 * ETHER))
        send(chain, payer, pair.transaction("mint", payer.address))
        return cls(chain, token, feed, pair, pool)

    def terms(self, manager: str, **changes: Any) -> VaultTerms:
        """A vault with the token in slot 0 and the pool in slot 1, its manager in all roles."""
        charter = Charter(self.chain.coin.address, manager, manager, manager, manager, 1_000)
        strategies = (
            Strategy(
                Kind.TOKEN,
                self.token.address,
                self.feed.address,
                self.pair.address,
                10**9,
                0,
                6_000,
            ),
            Strategy(Kind.SHARES, self.pool.address, min_bps=0, max_bps=5_000),
        )
        terms = VaultTerms("Test vault", "TV", charter, Limits(8_000, 100, 2_000, 500), strategies)
        return replace(terms, **changes)


def known(chain: Chain, payer: Key) -> Chain:
    """The chain with a factory of vaults and of pairs, whether or not its network has them."""
    found = dict(chain.network.contracts)
    if "VaultFactory" not in found:
        rules = put(chain, payer, artifacts.load("VaultRules").creation())
        vault = put(chain, payer, artifacts.load("Vault").creation(rules))
        found["VaultFactory"] = put(chain, payer, artifacts.load("VaultFactory").creation(vault))
    if "PairFactory" not in found:
        code = artifacts.load("PairFactory").creation(artifacts.load("Pair").init_code)
        found["PairFactory"] = put(chain, payer, code)
    chain.network = replace(chain.network, contracts=found)
    return chain


def create(chain: Chain, payer: Key, name: str, *arguments: Any) -> Contract:
    """A mock on the chain."""
    abi, code = mock(name)
    constructor = next(entry for entry in abi if entry["type"] == "constructor")
    encoded = codec.encode([field["type"] for field in constructor["inputs"]], arguments)
    return Contract(chain.rpc, put(chain, payer, code + encoded), abi)


def put(chain: Chain, payer: Key, creation: bytes) -> str:
    """New code's address."""
    receipt = chain.sender(payer).send(Call(None, creation))
    assert receipt.contract_address
    return receipt.contract_address


def send(chain: Chain, payer: Key, call: Call) -> None:
    """One transaction."""
    chain.sender(payer).send(call)


def move_on(chain: Chain, seconds: int) -> None:
    """Move the chain's clock on."""
    chain.rpc.call("evm_increaseTime", seconds)
    chain.rpc.call("evm_mine")
