# SPDX-License-Identifier: Apache-2.0
"""Aave v3 as its own package brings it, put together in pyrevm: provider, pool, configurator, reserves."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from tests.markets.history.real_protocols import Deployed, World, packaged, role

ROOT = ("@aave", "core-v3", "artifacts", "contracts")
RAY = 10**27
USD = 10**8
OWNER = role("aave owner")
NOBODY = "0x" + "00" * 20


class Aave:
    """The protocol on a world of its own; a test is left out where the package is not installed."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.libraries: dict[str, str] = {}
        self.provider = self._deploy(("protocol", "configuration"), "PoolAddressesProvider", "tests", OWNER)
        self.oracle = self._deploy(("mocks", "oracle"), "PriceOracle")
        self._authorise()
        self.pool = self._behind_proxy(("protocol", "pool"), "Pool", self.provider.address)
        self.configurator = self._behind_proxy(("protocol", "pool"), "PoolConfigurator")

    def reserve(self, token: Deployed, price: int) -> None:
        """List a token: 80 % may be borrowed against it, above 85 % it is liquidated for 5 % more."""
        self.oracle.send(OWNER, "setAssetPrice", token.address, price)
        made = (*self._tokens, 18, self._rates, token.address, OWNER, NOBODY)
        words = ("a", "a", "v", "v", "s", "s")
        self.configurator.send(OWNER, "initReserves", [(*made, *words, b"")])
        self.configurator.send(OWNER, "configureReserveAsCollateral", token.address, 8_000, 8_500, 10_500)
        self.configurator.send(OWNER, "setReserveBorrowing", token.address, True)

    @cached_property
    def _tokens(self) -> tuple[str, str, str]:
        kinds = ("AToken", "StableDebtToken", "VariableDebtToken")
        there = ("protocol", "tokenization")
        return tuple(self._deploy(there, kind, self.pool.address).address for kind in kinds)  # type: ignore[return-value]

    @cached_property
    def _rates(self) -> str:
        curve = (RAY * 8 // 10, 0, RAY * 4 // 100, RAY * 75 // 100, 0, 0, 0, 0, RAY // 5)
        name = "DefaultReserveInterestRateStrategy"
        return self._deploy(("protocol", "pool"), name, self.provider.address, *curve).address

    def _authorise(self) -> None:
        self.provider.send(OWNER, "setACLAdmin", OWNER)
        acl = self._deploy(("protocol", "configuration"), "ACLManager", self.provider.address)
        self.provider.send(OWNER, "setACLManager", acl.address)
        self.provider.send(OWNER, "setPriceOracle", self.oracle.address)
        acl.send(OWNER, "addPoolAdmin", OWNER)

    def _behind_proxy(self, folder: tuple[str, ...], name: str, *arguments: Any) -> Deployed:
        made = self._deploy(folder, name, *arguments)
        self.provider.send(OWNER, f"set{name}Impl", made.address)
        return self.world.at(_artifact(folder, name), self.provider.call(f"get{name}"))

    def _deploy(self, folder: tuple[str, ...], name: str, *arguments: Any) -> Deployed:
        artifact = dict(_artifact(folder, name))
        for file in artifact["linkReferences"].values():
            for library, places in file.items():
                artifact["bytecode"] = _linked(artifact["bytecode"], self._library(library), places)
        return self.world.deploy(artifact, *arguments)

    def _library(self, name: str) -> str:
        if name not in self.libraries:
            self.libraries[name] = self._deploy(("protocol", "libraries", "logic"), name).address
        return self.libraries[name]


def _artifact(folder: tuple[str, ...], name: str) -> dict[str, Any]:
    return packaged(*ROOT, *folder, f"{name}.sol", f"{name}.json")


def _linked(bytecode: str, address: str, places: list[dict[str, int]]) -> str:
    """Hex with a library's address in its places, which count bytes."""
    for place in places:
        start = 2 + 2 * place["start"]
        bytecode = bytecode[:start] + address[2:].lower() + bytecode[start + 2 * place["length"] :]
    return bytecode
