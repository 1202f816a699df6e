# SPDX-License-Identifier: Apache-2.0
"""What every agent has: an account, a source of chance of its own, and the moments at which it looks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from koinon.markets.simulation.accounts import Person
from koinon.markets.simulation.venue import Token
from koinon.markets.simulation.world import World

HOUR_S: Final = 3_600
DAY_S: Final = 86_400


class Agent(ABC):
    """One who looks at the world now and then. ``every_s`` is the mean time between two looks: they come like
    accidents (exponentially), unless it is 0, which is at every step."""

    def __init__(self, world: World, person: Person, every_s: float, *, first_s: float | None = None) -> None:
        self.person = person
        self.every_s = every_s
        self.chance = world.generator(person.name)
        wait = self.every_s if first_s is None else first_s
        self.next_at = world.now + (self.chance.exponential(wait) if wait else 0.0)

    def turn(self, world: World) -> None:
        """Act if the moment has come."""
        if world.now < self.next_at:
            return
        self.next_at = world.now + (self.chance.exponential(self.every_s) if self.every_s else 0.0)
        self.act(world)

    @abstractmethod
    def act(self, world: World) -> None:
        """Look, decide, send."""

    def holds(self, world: World, token: Token) -> int:
        """What the account has of a token."""
        return token.balance(world.bench, self.person.address)

    def lognormal(self, median: float, spread: float) -> float:
        """A size whose logarithm is normal: most are small, a few are large."""
        return float(median * self.chance.lognormal(0.0, spread))


def endow(world: World, who: Person, money: float, **tokens: float) -> None:
    """What somebody begins with, in whole dollars each: withdrawn from the exchange, as people do."""
    if money > 0:
        world.pay(world.exchange, who, world.money.units(money))
    for symbol, worth in tokens.items():
        token = world.tokens[symbol]
        world.pay(world.exchange, who, token.units(worth / world.outside_price(token)), token)
