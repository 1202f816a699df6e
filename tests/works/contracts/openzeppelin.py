# SPDX-License-Identifier: Apache-2.0
"""OpenZeppelin's compiled presets (npm ``@openzeppelin/contracts`` 4.9.6, MIT) as oracles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boa
import pytest

from koinon.chain import codec
from tests.contracts_support import account

BUILD = Path(__file__).parents[3] / "node_modules/@openzeppelin/contracts/build/contracts"


def deploy_preset(name: str, types: list[str], arguments: list[Any], *, sender: str) -> Any:
    """One of their ready-made contracts; ``sender`` may mint."""
    file = BUILD / f"{name}.json"
    if not file.exists():
        pytest.skip("OpenZeppelin's contracts are not here: run `make setup-dev`")
    artifact = json.loads(file.read_text())
    code = bytes.fromhex(artifact["bytecode"].removeprefix("0x")) + codec.encode(types, arguments)
    with boa.env.prank(sender):
        address, _ = boa.env.deploy_code(bytecode=code)
    return boa.loads_abi(json.dumps(artifact["abi"]), name=name).at(address)


class OpenZeppelinNft:
    """Their ERC-721 under our names: ``register`` mints to the caller, ids count from 1."""

    def __init__(self) -> None:
        self._minter = account("minter")
        self._nft = deploy_preset(
            "ERC721PresetMinterPauserAutoId",
            ["string", "string", "string"],
            ["Same", "S", ""],
            sender=self._minter,
        )
        self._nft.mint(account("holder of number zero"), sender=self._minter)
        self._total = 0

    def register(self, *, sender: str) -> int:
        self._nft.mint(sender, sender=self._minter)
        self._total += 1
        return self._total

    def __getattr__(self, name: str) -> Any:
        return getattr(self._nft, name)
