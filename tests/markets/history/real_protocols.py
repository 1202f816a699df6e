# SPDX-License-Identifier: Apache-2.0
"""Other protocols' own bytecode, from their npm packages, run in pyrevm. For tests only: none of it ships."""

from __future__ import annotations

import hashlib
import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pyrevm
import pytest

from koinon.chain import codec
from koinon.chain.abi import Event, Function, constructor
from koinon.chain.address import checksum

ROOT = Path(__file__).parents[3]
MODULES = ROOT / "node_modules"
MORPHO = MODULES / "@morpho-org" / "morpho-blue" / "src"
MORPHO_FILES = ("Morpho.sol", "mocks/ERC20Mock.sol", "mocks/OracleMock.sol", "mocks/IrmMock.sol")
FIRST_TIME = 1_700_000_000
BLOCK_S = 12


def packaged(*path: str) -> dict[str, Any]:
    """An artifact of a package: ``abi`` and ``bytecode``; the test is left out where it is not installed."""
    file = MODULES.joinpath(*path)
    if not file.is_file():
        pytest.skip(f"npm package {path[0]} is not installed")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


@cache
def morpho() -> dict[str, Any]:
    """Morpho Blue and its mocks, compiled from their sources; kept in build/ for the next time."""
    if not MORPHO.is_dir() or not (MODULES / "solc").is_dir():
        pytest.skip("npm packages @morpho-org/morpho-blue and solc are not installed")
    digest = hashlib.sha256()
    for file in sorted(MORPHO.rglob("*.sol")):
        digest.update(file.read_bytes())
    kept = ROOT / "build" / "solidity" / f"morpho-{digest.hexdigest()[:16]}.json"
    if not kept.is_file():
        script = str(Path(__file__).with_name("compile_solidity.cjs"))
        made = subprocess.run(
            ["node", script, str(MODULES), str(MORPHO), *MORPHO_FILES],
            check=True,
            capture_output=True,
            text=True,
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial")
        partial.write_text(made.stdout)
        partial.replace(kept)
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def role(name: str) -> str:
    """An address for a role."""
    return checksum(hashlib.sha256(name.encode()).digest()[:20])


class Deployed:
    """One contract: calls by name, ``call`` for what only reads."""

    def __init__(self, world: World, abi: list[dict[str, Any]], address: str) -> None:
        self.world, self.address = world, checksum(address)
        self.functions = {entry["name"]: Function(entry) for entry in abi if entry["type"] == "function"}

    def send(self, sender: str, name: str, *arguments: Any) -> Any:
        function = self.functions[name]
        return function.decode(self.world.send(sender, self.address, function.encode(*arguments)))

    def call(self, name: str, *arguments: Any) -> Any:
        function = self.functions[name]
        return function.decode(
            self.world.evm.message_call(
                role("reader"), self.address, calldata=function.encode(*arguments), is_static=True
            )
        )


class World:
    """A chain in pyrevm that keeps its logs as a node would give them, one transaction a block."""

    def __init__(self) -> None:
        self.evm = pyrevm.EVM(gas_limit=2**63)
        self.number = 0
        self.logs: list[dict[str, Any]] = []
        self._tick()

    def deploy(self, artifact: dict[str, Any], *arguments: Any) -> Deployed:
        bytecode = bytes.fromhex(artifact["bytecode"].removeprefix("0x"))
        code = bytecode + constructor(artifact["abi"]).encode(arguments)
        address = self.evm.deploy(role("deployer"), code)
        self._keep()
        return Deployed(self, artifact["abi"], address)

    def at(self, artifact: dict[str, Any], address: str) -> Deployed:
        return Deployed(self, artifact["abi"], address)

    def send(self, sender: str, to: str, data: bytes) -> bytes:
        answer = self.evm.message_call(sender, to, calldata=data)
        self._keep()
        return bytes(answer)

    def timestamps(self) -> dict[int, int]:
        return {number: FIRST_TIME + BLOCK_S * number for number in range(self.number + 1)}

    def _keep(self) -> None:
        result = self.evm.result
        assert result is not None
        for index, log in enumerate(result.logs):
            topics, data = log.data
            self.logs.append(
                {
                    "address": log.address.lower(),
                    "topics": ["0x" + bytes(topic).hex() for topic in topics],
                    "data": "0x" + bytes(data).hex(),
                    "blockNumber": hex(self.number),
                    "blockHash": "0x" + hashlib.sha256(b"block %d" % self.number).hexdigest(),
                    "transactionHash": "0x" + hashlib.sha256(b"transaction %d" % self.number).hexdigest(),
                    "logIndex": hex(index),
                }
            )
        self._tick()

    def _tick(self) -> None:
        self.number += 1
        self.evm.set_block_env(
            pyrevm.BlockEnv(number=self.number, timestamp=FIRST_TIME + BLOCK_S * self.number)
        )


def log_of(
    entry: dict[str, Any], contract: str, block: int = 1, index: int = 0, **values: Any
) -> dict[str, Any]:
    """A log as a contract with this event would leave it, encoded by our ABI codec."""
    topics = [Event(entry).topic]
    kinds: list[codec.AbiType] = []
    plain: list[Any] = []
    for field in entry["inputs"]:
        kind = codec.from_parameter(field)
        if field.get("indexed"):
            topics.append(kind.encode(values[field["name"]]))
        else:
            kinds.append(kind)
            plain.append(values[field["name"]])
    return {
        "address": contract,
        "topics": ["0x" + topic.hex() for topic in topics],
        "data": "0x" + codec.Tuple(kinds, [""] * len(kinds)).encode(plain).hex(),
        "blockNumber": hex(block),
        "blockHash": "0x" + f"{block:064x}",
        "transactionHash": "0x" + f"{block:060x}{index:04x}",
        "logIndex": hex(index),
    }
