# SPDX-License-Identifier: Apache-2.0
"""A node with Koinon's contracts, accounts with money, and gateways as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from koinon.chain import artifacts
from koinon.chain.anvil import find_anvil
from koinon.chain.contract import Call
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.errors import NodeUnavailable
from koinon.services.gateway.registry import Registry, Service
from koinon.works.vouchers import CANONICAL_CHANNELS, CANONICAL_COLLECTOR

CHAIN_ID = 84_021
PASSWORD = "only for tests"
ETHER = 10**18
COIN = 10**6


@dataclass
class Hall:
    """One network, with helpers for what every test needs."""

    chain: Chain
    folder: Path
    publisher: Key = field(default_factory=Key.generate)

    @property
    def network_file(self) -> Path:
        return self.folder / "network.json"

    def account(self, *, coins: int = 0, ether: int = 0) -> Key:
        """A new key with that much money."""
        key = Key.generate()
        self.fund(key.address, coins=coins, ether=ether)
        return key

    def fund(self, address: str, *, coins: int = 0, ether: int = 0) -> None:
        if ether:
            self.chain.rpc.call("anvil_setBalance", address, hex(ether * ETHER))
        if coins:
            coin = self.chain.coin
            limit = int(coin.call("mintLimit"))
            parts = [limit] * (coins // limit) + ([coins % limit] if coins % limit else [])
            sender = self.chain.sender(self.publisher)
            sender.send_all([coin.transaction("mint", address, part) for part in parts])

    def work(self) -> tuple[int, str]:
        """A new Work of the publisher: its id and its till."""
        works = self.chain.contract("Works")
        receipt = self.chain.sender(self.publisher).send(works.transaction("register()"))
        work_id = int(works.logs(receipt, "Registered")[0]["agentId"])
        return work_id, works.call("till_of", work_id)

    def service(self, registry: Registry, target: str, *, price: int = 1000, **fields: Any) -> Service:
        """A Work that a gateway sells."""
        work_id, till = self.work()
        service = Service(
            work_id=work_id,
            name=fields.pop("name", "score"),
            description=fields.pop("description", "A test service."),
            till=till,
            price=price,
            kind=fields.pop("kind", "function"),
            target=target,
            **fields,
        )
        registry.add(service)
        return service

    def coins(self, address: str) -> int:
        return int(self.chain.coin.call("balanceOf", address))

    @contextmanager
    def gateway(self, data_dir: Path, key: Key, **options: Any) -> Iterator[GatewayProcess]:
        """A gateway process; stopped, and settled, at the end."""
        process = GatewayProcess(self, data_dir, key, options)
        try:
            yield process.start()
        finally:
            process.stop()


class HasNetworkFile(Protocol):
    """What a gateway's process needs of whoever starts it."""

    @property
    def network_file(self) -> Path: ...


@dataclass
class GatewayProcess:
    """``python -m koinon.services.gateway.app`` and what it said."""

    hall: HasNetworkFile
    data_dir: Path
    key: Key
    options: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None
    url: str = ""

    def start(self) -> GatewayProcess:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        key_file, password_file = self.data_dir / "gateway.key", self.data_dir / "password"
        if not key_file.exists():
            self.key.save(key_file, PASSWORD, derivation="pbkdf2")
            password_file.write_text(PASSWORD)
        config = {
            "network": str(self.hall.network_file),
            "key": str(key_file),
            "password_file": str(password_file),
            "data_dir": str(self.data_dir),
            "settle_every_s": 0,
            **self.options,
        }
        config_file = self.data_dir / "config.json"
        config_file.write_text(json.dumps(config))
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "koinon.services.gateway.app", str(config_file)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        ready = self.read()
        assert ready["event"] == "ready", ready
        self.url = ready["url"]
        self.options["port"] = int(self.url.rsplit(":", 1)[1])  # the same address after a restart
        return self

    def read(self) -> dict[str, Any]:
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        event: dict[str, Any] = json.loads(line) if line else {"event": "ended"}
        self.events.append(event)
        return event

    def address(self, service: Service) -> str:
        return f"{self.url}/services/{service.work_id}"

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None

    def stop(self) -> list[dict[str, Any]]:
        """SIGTERM; what it said at the end."""
        if self.process is None:
            return []
        self.process.terminate()
        rest = []
        while (event := self.read())["event"] != "ended":
            rest.append(event)
        status = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        assert status == 0, f"the gateway ended with {status}: {rest}"
        return rest


@contextmanager
def open_hall(folder: Path) -> Iterator[Hall]:
    """A fresh node with every contract the services need."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    node = subprocess.Popen(
        [find_anvil(), "--port", str(port), "--chain-id", str(CHAIN_ID), "--silent", "--balance", "1000"],
        stdout=subprocess.DEVNULL,
    )
    try:
        with Rpc(f"http://127.0.0.1:{port}") as rpc:
            await_node(rpc)
            yield from _deploy(rpc, folder)
    finally:
        node.terminate()
        node.wait(10)


def await_node(rpc: Rpc) -> None:
    for _ in range(200):
        try:
            rpc.call("eth_chainId")
        except NodeUnavailable:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the node did not start")


def _deploy(rpc: Rpc, folder: Path) -> Iterator[Hall]:
    publisher = Key.generate()
    rpc.call("anvil_setBalance", publisher.address, hex(1000 * ETHER))
    for name, address in (("Channels", CANONICAL_CHANNELS), ("ERC3009Collector", CANONICAL_COLLECTOR)):
        rpc.call("anvil_setCode", address, "0x" + artifacts.load(name).runtime.hex())
    sender = Sender(rpc, publisher, chain_id=CHAIN_ID)

    def create(name: str, *arguments: Any) -> str:
        address = sender.send(Call(None, artifacts.load(name).creation(*arguments))).contract_address
        assert address is not None
        return address

    contracts = {
        "Channels": CANONICAL_CHANNELS,
        "ERC3009Collector": CANONICAL_COLLECTOR,
        "Coin": create("Coin", "Koinon test dollar", "tUSD", 6),
        "Till": create("Till"),
    }
    contracts["Works"] = create("Works", contracts["Till"])
    contracts["Mandates"] = create("Mandates")
    contracts["Delegate"] = create("Delegate")
    codes = rpc.batch([("eth_getCode", [address, "latest"]) for address in contracts.values()])
    hashes = {
        name: "0x" + keccak256(bytes.fromhex(code[2:])).hex()
        for name, code in zip(contracts, codes, strict=True)
    }
    network = Network("services test", CHAIN_ID, rpc.url, True, contracts, hashes, 0)
    network.save(folder / "network.json")
    with Chain(network, rpc) as chain:
        yield Hall(chain, folder, publisher)
