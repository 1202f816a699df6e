# SPDX-License-Identifier: Apache-2.0
"""Other people's clients as their users set them up, and one gateway for them to call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from x402 import x402Client
from x402.mechanisms.evm.batch_settlement.client import BatchSettlementEvmScheme
from x402.mechanisms.evm.exact import ExactEvmScheme
from x402.mechanisms.evm.signers import EthAccountSignerWithRPC

from koinon.chain.keys import Key
from koinon.services.gateway.registry import Registry, Service
from tests.services.support import CHAIN_ID, COIN, GatewayProcess, Hall

NETWORK = f"eip155:{CHAIN_ID}"
SOURCE = '''
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Name:
    first: str
    length: int


def double(number: int) -> int:
    """Twice the number."""
    if number < 0:
        raise ValueError("private")
    return 2 * number


def count(to: int) -> Iterator[int]:
    """Counts; fails beyond ten."""
    for number in range(1, to + 1):
        if number > 10:
            raise ValueError("private")
        yield number


def describe(text: str) -> Name:
    """What a text begins with, and how long it is."""
    return Name(text[:1], len(text))
'''


@dataclass
class Served:
    """A gateway that sells two functions, and one that streams."""

    hall: Hall
    gateway: GatewayProcess
    double: Service
    describe: Service
    count: Service

    @property
    def url(self) -> str:
        return self.gateway.url

    def address(self, service: Service) -> str:
        return self.gateway.address(service)

    def buyer(self) -> Key:
        return self.hall.account(coins=COIN)

    def spent(self, buyer: Key) -> int:
        return COIN - self.hall.coins(buyer.address)


@contextmanager
def served_in(hall: Hall, folder: Path) -> Iterator[Served]:
    target = folder / "app.py"
    target.write_text(SOURCE)
    registry = Registry(folder)
    double = hall.service(registry, f"{target}:double", name="Doubling", description="Doubles.")
    describe = hall.service(registry, f"{target}:describe", name="Describing", price=2000, free_calls=1)
    count = hall.service(registry, f"{target}:count", price=100, unit="number", most_units=20)
    with hall.gateway(folder, hall.account(ether=10)) as gateway:
        yield Served(hall, gateway, double, describe, count)


def payer(hall: Hall, key: Key, scheme: str = "exact") -> x402Client:
    """x402's client with one scheme, allowed to spend the network's coin."""
    signer = EthAccountSignerWithRPC(Account.from_key(bytes(key._private.secret)), hall.chain.rpc.url)
    client = x402Client()
    kind: Any = ExactEvmScheme(signer) if scheme == "exact" else BatchSettlementEvmScheme(signer)
    client.register(NETWORK, kind)
    client.set_spend_controls({"allowed_assets": [{"network": NETWORK, "asset": hall.chain.coin.address}]})
    return client
