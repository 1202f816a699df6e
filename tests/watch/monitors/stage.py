# SPDX-License-Identifier: Apache-2.0
"""A chain in memory with tokens and pairs, whose logs are read as rows: where incidents happen again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from koinon.chain import artifacts
from koinon.chain.address import checksum
from koinon.chain.artifacts import Artifact, parse
from koinon.chain.compile import Source, compile_source
from koinon.chain.hashing import keccak256
from koinon.markets.history.decoding import Decoder
from koinon.markets.history.facts import Facts, MarketFacts
from koinon.markets.history.rows import EventRow
from koinon.markets.simulation.bench import Bench, Placed
from koinon.watch.monitors.monitoring import Monitoring, all_monitors
from koinon.watch.monitors.sightings import Sighting

WHOLE = 10**18
DAY_S = 86_400


def role(name: str) -> str:
    """An address by what its holder does."""
    return checksum("0x" + keccak256(name.encode())[12:].hex())


@cache
def mock(name: str) -> Artifact:
    folder = Path(__file__).parent / "mocks"
    return parse(compile_source(Source(name, folder / f"{name}.vy", folder)))


class Stage:
    """``rows`` are read from what the contracts logged."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.contracts: dict[str, str] = {}
        self.facts = Facts()
        self.factory = self.bench.deploy("PairFactory", artifacts.load("Pair").init_code)

    def wait(self, seconds: int) -> None:
        self.bench.next_block(self.bench.timestamp + seconds)

    def token(self, symbol: str) -> Placed:
        placed = self.bench.deploy("Coin", symbol, symbol, 18)
        self.contracts[placed.address] = "erc20"
        self.facts.decimals[placed.address] = 18
        return placed

    def place(self, name: str, *arguments: Any, protocol: str = "") -> Placed:
        placed = self.bench.deploy(mock(name), *arguments)
        if protocol:
            self.contracts[placed.address] = protocol
        return placed

    def give(self, token: Placed, to: str, whole: int) -> None:
        for at in range(0, whole, 1_000_000):
            self.bench.act(role("minter"), token, "mint", to, min(whole - at, 1_000_000) * WHOLE)

    def pair(self, one: Placed, whole_one: int, other: Placed, whole_other: int) -> Placed:
        """A pair with liquidity."""
        provider = role("liquidity provider")
        found = self.bench.act(provider, self.factory, "createPair", one.address, other.address)
        pair = self.bench.at(found, "Pair")
        first = one if int(one.address, 16) < int(other.address, 16) else other
        second = other if first is one else one
        self.facts.markets[pair.address] = MarketFacts(first.address, second.address)
        self.contracts[pair.address] = "koinon-pair"
        for token, whole in ((one, whole_one), (other, whole_other)):
            self.give(token, provider, whole)
            self.pay(provider, token, pair.address, whole * WHOLE)
        self.bench.act(provider, pair, "mint", provider)
        return pair

    def pay(self, sender: str, token: Placed, to: str, units: int) -> None:
        self.bench.act(sender, token, "transfer", to, units)

    def out(self, pair: Placed, paid: Placed, amount: int) -> tuple[int, int, int]:
        """What a swap of ``amount`` gives, and that as the pair's two amounts."""
        reserves = self.bench.ask(pair, "getReserves")
        first = self.facts.markets[pair.address].asset == paid.address
        held, other = (reserves[0], reserves[1]) if first else (reserves[1], reserves[0])
        got = amount * 997 * other // (held * 1_000 + amount * 997)
        return (got, 0, got) if first else (got, got, 0)

    def amounts(self, pair: Placed, token: Placed, units: int) -> tuple[int, int]:
        return (units, 0) if self.facts.markets[pair.address].asset == token.address else (0, units)

    def rows(self, since: int = 0) -> list[EventRow]:
        """Rows of the logs from one on."""
        return read(self.bench, self.contracts, self.facts)[since:]

    def alerts(self, **options: Any) -> list[Sighting]:
        """What the monitors tell of everything that happened."""
        return Monitoring(all_monitors(self.facts, **options)).feed(self.rows())


def call(contract: Placed, name: str, *arguments: Any) -> tuple[str, bytes]:
    """One call of `Hands.vy`'s lists."""
    return contract.address, contract.encode(name, *arguments)


def read(bench: Bench, contracts: dict[str, str], facts: Facts) -> list[EventRow]:
    times = {log.block_number: log.timestamp for log in bench.logs}
    decoded = Decoder(contracts, facts).decode([log.rpc() for log in bench.logs], times)
    assert not decoded.refused
    return decoded.rows


def named(alerts: Sequence[Sighting]) -> dict[str, int]:
    """Monitor → its highest level."""
    found: dict[str, int] = {}
    for each in alerts:
        found[each.monitor] = max(each.level, found.get(each.monitor, 0))
    return found
