# SPDX-License-Identifier: Apache-2.0
"""Contracts that stand at the same address on every network."""

from __future__ import annotations

from typing import Final

DEVNET_CHAIN_ID: Final = 20_268_004
"""EIP-155 chain id of every Koinon devnet."""

CANONICAL: Final = {
    "Channels": "0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003",
    "ERC3009Collector": "0x4020806089470a89826cB9fB1f4059150b550004",
}
"""x402's batch-settlement contract and its ERC-3009 deposit collector. Networks that have x402's own use
those; a devnet has ours there from its genesis block on, so that x402's clients work with it."""

FOREIGN: Final = {
    "Multicall3": "0xcA11bde05977b3631167028862bE2a173976CA11",
    "Permit2": "0x000000000022D473030F116dDEE9F6B43aC78BA3",
}
"""Other people's contracts (github.com/mds1/multicall3, github.com/Uniswap/permit2) that clients and
facilitators read and pay through. Nothing of ours needs them; `koinon.chain.foreign` has their code."""

ERC8004: Final = (
    {
        "IdentityRegistry": "0x8004A169FB4a3325136EB29fA0ceB6D2e539a432",
        "ReputationRegistry": "0x8004BAa17C55a88189AE136b182e5fdA19dE9b63",
    },
    {
        "IdentityRegistry": "0x8004A818BFB912233c491871b3d84c89A494BD9e",
        "ReputationRegistry": "0x8004B663056A597Dffe9eCcC1965A193B7388713",
    },
)
"""ERC-8004's registries (github.com/erc-8004/erc-8004-contracts): on main networks, on test networks."""

TEST_CHAINS: Final = frozenset({1337, 31337, 84532, 421614, 11155111, 11155420, DEVNET_CHAIN_ID})
"""Chain ids whose money is worth nothing (EIP-155 registry: local chains, Sepolia and its layer 2s)."""

FACTORY: Final = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
"""The deterministic deployment proxy (github.com/Arachnid/deterministic-deployment-proxy): call data is a
32-byte salt followed by init code, which it creates with CREATE2."""

FACTORY_CODE: Final = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f580"
    "15156039578182fd5b8082525050506014600cf3"
)

FACTORY_DEPLOYER: Final = "0x3fAB184622Dc19b6109349B94811493BF2a45362"
"""The account, without a known key, whose only transaction creates the factory."""

FACTORY_COST: Final = 100_000 * 100 * 10**9
"""What that account must hold, in wei: 100,000 gas at 100 gwei."""

FACTORY_TRANSACTION: Final = bytes.fromhex(
    "f8a58085174876e800830186a08080b853604580600e600039806000f350fe7fffffffffffffffffffffffffffffffffff"
    "ffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600c"
    "f31ba02222222222222222222222222222222222222222222222222222222222222222a022222222222222222222222222"
    "22222222222222222222222222222222222222"
)
"""Its raw bytes, signed without a chain id, the same on every network."""
