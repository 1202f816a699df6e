# SPDX-License-Identifier: Apache-2.0
"""A lender for tests of the simulator, which knows nothing of lending itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from koinon.chain.artifacts import Artifact, parse
from koinon.chain.compile import Source, compile_source
from koinon.markets.simulation import feeds
from koinon.markets.simulation.accounts import Person
from koinon.markets.simulation.bench import Placed
from koinon.markets.simulation.credit import Lender, Step
from koinon.markets.simulation.venue import Token
from koinon.markets.simulation.world import World

LIMIT, CLOSE, BONUS = 0.75, 0.80, 1.05


@cache
def artifact() -> Artifact:
    folder = Path(__file__).parent / "mocks"
    return parse(compile_source(Source("PlainCredit", folder / "PlainCredit.vy", folder)))


@dataclass(frozen=True)
class PlainLender:
    """``PlainCredit.vy`` as agents use it."""

    placed: Placed
    feed: Placed
    loan: Token
    collateral: Token
    scale: int

    @property
    def name(self) -> str:
        return self.collateral.symbol

    @property
    def address(self) -> str:
        return self.placed.address

    def idle(self, world: World) -> int:
        return self.loan.balance(world.bench, self.address)

    def deposited(self, world: World, who: Person) -> int:
        return int(world.bench.ask(self.placed, "deposits", who.address))

    def debt(self, world: World, who: Person) -> int:
        return int(world.bench.ask(self.placed, "debt", who.address))

    def pledged(self, world: World, who: Person) -> int:
        return int(world.bench.ask(self.placed, "pledged", who.address))

    def most_debt(self, world: World, who: Person, collateral: int) -> int | None:
        price = feeds.latest(world.bench, self.feed)
        owed = self.debt(world, who)
        return None if price is None else max(0, int(collateral * price // self.scale * LIMIT) - owed)

    def safety(self, world: World, who: Person) -> float | None:
        price, debt = feeds.latest(world.bench, self.feed, confirmed=False), self.debt(world, who)
        if price is None or not debt:
            return None
        return self.pledged(world, who) * price / self.scale * CLOSE / debt

    def deposit(self, _who: Person, amount: int) -> list[Step]:
        return [self._step("deposit", amount)]

    def withdraw(self, _who: Person, amount: int) -> list[Step]:
        return [self._step("withdraw", amount)]

    def pledge(self, _who: Person, amount: int) -> list[Step]:
        return [self._step("pledge", amount)]

    def unpledge(self, _who: Person, amount: int) -> list[Step]:
        return [self._step("unpledge", amount)]

    def borrow(self, _who: Person, amount: int) -> list[Step]:
        return [self._step("borrow", amount)]

    def repay(self, _who: Person, amount: int | None) -> list[Step]:
        return [self._step("repay", 2**128 if amount is None else amount)]

    def liquidate(self, world: World, who: Person, borrower: Person) -> list[Step]:
        if self.loan.balance(world.bench, who.address) < self.debt(world, borrower):
            return []
        return [self._step("liquidate", borrower.address)]

    def tend(self, world: World) -> None:
        """Nothing."""

    def _step(self, name: str, argument: int | str) -> Step:
        return self.address, self.placed.encode(name, argument)


def plain_lenders(world: World) -> Sequence[Lender]:
    """One for each feed."""
    found = []
    for symbol, feed in world.feeds.items():
        token = world.tokens[symbol]
        scale = 10 ** (8 + token.decimals - world.money.decimals)
        placed = world.place(artifact(), world.money.address, token.address, feed.address, scale)
        found.append(PlainLender(placed, feed.placed, world.money, token, scale))
    return found
