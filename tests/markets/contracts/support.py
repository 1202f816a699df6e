# SPDX-License-Identifier: Apache-2.0
"""What tests of the markets' contracts share: tokens, pairs, Uniswap's own, and what a call ended with."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import boa
import pytest

from koinon.chain import codec
from koinon.chain.artifacts import Artifact
from koinon.markets.simulation.bench import Bench
from tests.bench_support import Handle
from tests.contracts_support import account, compiled, deploy, deployable

MOCKS = Path(__file__).parent / "mocks"
UNISWAP = Path(__file__).parents[3] / "node_modules/@uniswap/v2-core/build"
WHOLE = 10**18
MINIMUM_LIQUIDITY = 1_000


def market_mock(name: str, *arguments: Any) -> Any:
    """Deploy a contract from this folder's ``mocks``."""
    return compiled(MOCKS / f"{name}.vy").deploy(*arguments)


def deploy_tokens(*decimals: int) -> list[Any]:
    """Tokens, ascending by address: as the tokens of a pair stand."""
    found = [market_mock("MarketToken", places) for places in sorted(decimals, reverse=True)]
    return sorted(found, key=lambda token: int(str(token.address), 16))


@cache
def pair_code() -> bytes:
    """What creates a pair."""
    return bytes(deployable("markets", "Pair").compiler_data.bytecode)


def deploy_factory() -> Any:
    """A factory of pairs."""
    return deploy("markets", "PairFactory", pair_code())


def pair_at(address: str) -> Any:
    """A pair's functions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # made from a blueprint: its code holds its immutables
        return deployable("markets", "Pair").at(address)


def create_pair(factory: Any, token0: Any, token1: Any) -> Any:
    """The pair of two tokens."""
    return pair_at(factory.createPair(token0, token1))


def fund_pair(pair: Any, token0: Any, token1: Any, amount0: int, amount1: int, role: str = "provider") -> int:
    """Liquidity in one go."""
    token0.mint(pair, amount0)
    token1.mint(pair, amount1)
    return int(pair.mint(account(role)))


def uniswap(name: str, address: str) -> Any:
    """Uniswap's contract at an address."""
    artifact = _uniswap_artifact(name)
    return boa.loads_abi(json.dumps(artifact["abi"]), name=name).at(address)


def deploy_uniswap_factory() -> Any:
    """Uniswap's own factory (npm ``@uniswap/v2-core`` 1.0.1, GPL: a test oracle only)."""
    code = bytes.fromhex(_uniswap_artifact("UniswapV2Factory")["bytecode"].removeprefix("0x"))
    address, _ = boa.env.deploy_code(bytecode=code + codec.encode(["address"], [account("fee setter")]))
    return uniswap("UniswapV2Factory", str(address))


def uniswap_abi(name: str) -> list[dict[str, Any]]:
    """The ABI of a Uniswap contract."""
    abi: list[dict[str, Any]] = _uniswap_artifact(name)["abi"]
    return abi


def uniswap_in(bench: Bench) -> Handle:
    """As `deploy_uniswap_factory`, in revm."""
    return Handle(bench, bench.deploy(_parsed("UniswapV2Factory"), account("fee setter")))


def uniswap_pair_in(bench: Bench, address: str) -> Handle:
    """Uniswap's pair at an address, in revm."""
    return Handle(bench, bench.at(address, _parsed("UniswapV2Pair")))


@cache
def _parsed(name: str) -> Artifact:
    found = _uniswap_artifact(name)
    code = bytes.fromhex(found["bytecode"].removeprefix("0x"))
    return Artifact(name, found["abi"], code, b"", "", (), "solc", {})


def _uniswap_artifact(name: str) -> dict[str, Any]:
    file = UNISWAP / f"{name}.json"
    if not file.exists():
        pytest.skip("Uniswap's contracts are not here: run `make setup-dev`")
    artifact: dict[str, Any] = json.loads(file.read_text())
    return artifact


def outcome(contract: Any, call: Callable[[], Any]) -> tuple[bool, Any]:
    """Whether a call of ``contract`` succeeded, and its answer or the reason it gave."""
    try:
        return True, call()
    except boa.BoaError:
        data = bytes(contract._computation.output)
        if data[:4] == bytes.fromhex("08c379a0"):
            return False, str(codec.decode(["string"], data[4:])[0])
        return False, ""


def amount_out(amount_in: int, reserve_in: int, reserve_out: int, fee_ppm: int = 3_000) -> int:
    """The most a pair pays."""
    counted = amount_in * (1_000_000 - fee_ppm)
    return counted * reserve_out // (reserve_in * 1_000_000 + counted)
