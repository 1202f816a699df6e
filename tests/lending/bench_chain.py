# SPDX-License-Identifier: Apache-2.0
"""A bank in revm as a `Chain`, so that the lending room's own classes run on it: no node, no waiting."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from koinon.chain import artifacts
from koinon.chain.contract import Call
from koinon.chain.handle import Chain
from koinon.errors import TransactionFailed
from tests.lending.contracts.support import Bank


class BenchContract:
    def __init__(self, bank: Bank, name: str, address: str) -> None:
        self.bench, self.name, self.address = bank.bench, name, address
        self.placed = self.bench.at(address, name)

    def call(self, name: str, *arguments: Any) -> Any:
        return self.bench.ask(self.placed, name, *arguments)

    def call_many(self, calls: Any) -> list[Any]:
        return [self.call(*each) for each in calls]

    def transaction(self, name: str, *arguments: Any) -> Call:
        return Call(self.address, self.placed.encode(name, *arguments))

    def history(self, name: str) -> list[dict[str, Any]]:
        event = artifacts.load(self.name).events[name]
        logs = (each.rpc() for each in self.bench.logs if each.address.lower() == self.address.lower())
        return [event.decode(log) for log in logs if event.matches(log)]


class BenchSender:
    def __init__(self, bank: Bank, address: str) -> None:
        self.bank, self.address = bank, address

    def send(self, call: Call) -> None:
        outcome = self.bank.bench.transact(self.address, str(call.to), call.data)
        if not outcome.worked:
            raise TransactionFailed("Refused.", reason=outcome.reason)


class BenchChain:
    """What the lending room asks of a chain."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.chain_id = bank.bench.chain_id
        self.network = SimpleNamespace(test_money=True, start_block=0)

    def contract(self, name: str, address: str | None = None) -> BenchContract:
        places = {
            "Attestations": self.bank.attestations,
            "Bundles": self.bank.bundles,
            "Works": self.bank.works,
            "CreditPoolFactory": self.bank.factory,
        }
        return BenchContract(self.bank, name, address or places[name].address)

    def sender(self, account: Any) -> BenchSender:
        return BenchSender(self.bank, account.address)

    def timestamp(self) -> int:
        return self.bank.now

    next_timestamp = timestamp


def open_chain(bank: Bank) -> Chain:
    """The bank as the lending room takes it."""
    return cast("Chain", BenchChain(bank))
