# SPDX-License-Identifier: Apache-2.0
"""What a scenario is played on: a pool, the pair where its collateral is sold, and the feed it goes by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np

from koinon.chain.address import checksum
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.lending.risk.book import Venue
from koinon.markets.simulation.bench import READER, Placed
from koinon.markets.simulation.venue import Market, Token

STEP_S: Final = 3_600
_PRICE: Final = TypedStruct("Price(address feed,int256 price,uint64 observedAt,uint80 round)")


class Machine(Protocol):
    """A chain that does what it is told: `Bench` in memory, `ForkBench` on a copy of a real one."""

    chain_id: int
    timestamp: int

    def next_block(self, timestamp: int) -> None:
        """Time goes on, to this Unix second."""

    def act(self, sender: str, contract: Placed, name: str, *arguments: Any) -> Any:
        """A transaction; `TransactionFailed` where it is refused."""

    def ask(self, contract: Placed, name: str, *arguments: Any) -> Any:
        """A function's answer, decoded."""

    def view(self, to: str, data: bytes, sender: str = READER) -> bytes:
        """What a call would return now."""

    def peek(self, to: str, data: bytes, sender: str = READER) -> bytes | None:
        """As `view`, None where it is refused."""


def person(name: str) -> str:
    """The address of a role."""
    return checksum(keccak256(b"koinon replay: " + name.encode())[12:])


class Stage:
    """Where everything stands, and what the roles do there.

    Attributes
    ----------
    bench : Machine
    venue : Venue
    money, collateral : Token
    market : Market
    feed, pool : Placed
    feeder : Key
        Signs prices; the feed's only feeder.
    borrowers : sequence of str
        In the scenario's order.
    calls : int
        Made so far.
    """

    bench: Machine
    venue: Venue
    money: Token
    collateral: Token
    market: Market
    feed: Placed
    pool: Placed
    feeder: Key
    price_decimals: int
    borrowers: Sequence[str]
    calls: int = 0

    def act(self, sender: str, contract: Any, name: str, *arguments: Any) -> Any:
        """A call, counted."""
        self.calls += 1
        return self.bench.act(sender, contract, name, *arguments)

    def give(self, who: str, token: Token, units: int) -> None:
        """Test tokens out of nothing, as many calls as their limit asks for."""
        most = int(self.bench.ask(token.placed, "mintLimit"))
        while units > 0:
            self.act(who, token.placed, "mint", who, min(units, most))
            units -= most

    def next_step(self) -> None:
        """A step's time passes."""
        self.bench.next_block(self.bench.timestamp + STEP_S)

    def post(self, price: float) -> None:
        """The feeder's next round."""
        number = int(self.bench.ask(self.feed, "latest_round")) + 1
        now, answer = self.bench.timestamp, round(price * 10**self.price_decimals)
        domain = Domain("Koinon PriceFeed", "1", self.bench.chain_id, self.feed.address)
        signed = self.feeder.sign(digest(domain, _PRICE.hash(self.feed.address, answer, now, number)))
        self.act(self.feeder.address, self.feed, "post", number, [(0, answer, now, signed)])

    def swap(self, who: str, paid: Token, units: int) -> int:
        """Sell into the pair; what came out."""
        out = self.market.out(self.bench, paid, units)
        if out <= 0:
            return 0
        self.act(who, paid.placed, "transfer", self.market.address, units)
        base_out = (paid is self.money) == self.market.base_first
        amounts = (out, 0) if base_out else (0, out)
        self.act(who, self.market.placed, "swap", *amounts, who, b"")
        return out

    def move_pair(self, price: float) -> None:
        """Traders move the pair to a price, paying what that takes."""
        base, quote = (float(each) for each in self.market.reserves(self.bench))
        wanted = price * 10.0**self.money.decimals / 10.0**self.collateral.decimals
        kept = 1 - self.venue.fee
        falls = wanted < quote / base
        held, other = (base, quote) if falls else (quote, base)
        target = wanted if falls else 1 / wanted
        # (held + kept x)(held + x) = held * other / target, for the payment x.
        linear = held * (1 + kept)
        rest = held * held - held * other / target
        units = int((-linear + np.sqrt(linear * linear - 4 * kept * rest)) / (2 * kept))
        if units > 0:
            token = self.collateral if falls else self.money
            self.give(person("trader"), token, units)
            self.swap(person("trader"), token, units)
