# SPDX-License-Identifier: Apache-2.0
"""Those who trade: feeders' poster, arbitrageurs, traders with an opinion and without, providers."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from koinon.markets.simulation.accounts import Person
from koinon.markets.simulation.agents.acting import DAY_S, HOUR_S, Agent, endow
from koinon.markets.simulation.venue import Market, Token, transfer
from koinon.markets.simulation.world import World

LEAST_PROFIT: Final = 1.0
"""Whole dollars an arbitrageur wants from a trade: less is not worth the trouble."""

MOST_IMPACT: Final = 0.01
"""Traders without hurry never pay more than this share above the price they see."""


class Poster(Agent):
    """Posts feeders' prices when one moved or grew old."""

    def __init__(self, world: World, person: Person) -> None:
        super().__init__(world, person, 0.0)

    def act(self, world: World) -> None:
        for symbol, feed in world.feeds.items():
            price = world.outside_price(world.tokens[symbol])
            if feed.due(price, world.now):
                world.must(self.person, feed.address, feed.post(price, world.now))


class Arbitrageur(Agent):
    """Trades a pair back to the outside price whenever that pays, and evens out its stock at the exchange,
    which costs ``exchange_fee``."""

    exchange_fee: Final = 0.0005

    def __init__(self, world: World, person: Person, worth: float) -> None:
        super().__init__(world, person, 0.0)
        self.worth = worth
        endow(world, person, worth, sETH=worth, sBTC=worth)

    def act(self, world: World) -> None:
        if self.chance.random() < 0.2:
            return  # looks elsewhere: so that it is not always the same one
        for market in world.markets:
            self._align(world, market)
        for token in world.tokens.values():
            self._even_out(world, token)

    def _align(self, world: World, market: Market) -> None:
        outside = self._outside(world, market)
        found = market.gap(world.bench, outside)
        if found is None:
            return
        paid, amount = found
        amount = min(amount, self.holds(world, paid))
        out = market.out(world.bench, paid, amount)
        wanted = market.other(paid)
        gain = wanted.whole(out) * self._worth(world, wanted) - paid.whole(amount) * self._worth(world, paid)
        if gain > LEAST_PROFIT:
            world.swap(self.person, market, paid, amount)

    def _even_out(self, world: World, token: Token) -> None:
        price = world.outside_price(token)
        stock = token.whole(self.holds(world, token)) * price
        if 0.4 * self.worth <= stock <= 1.8 * self.worth:
            return
        difference = stock - self.worth
        units, money = token.units(abs(difference) / price), abs(difference)
        if difference > 0:
            world.pay(self.person, world.exchange, units, token)
            world.pay(world.exchange, self.person, world.money.units(money * (1 - self.exchange_fee)))
        else:
            spent = min(world.money.units(money * (1 + self.exchange_fee)), self.holds(world, world.money))
            world.pay(self.person, world.exchange, spent)
            world.pay(world.exchange, self.person, units, token)

    @staticmethod
    def _worth(world: World, token: Token) -> float:
        return 1.0 if token is world.money else world.outside_price(token)

    def _outside(self, world: World, market: Market) -> float:
        return self._worth(world, market.base) / self._worth(world, market.quote)


class Trader(Agent):
    """Buys or sells for reasons of its own. With ``momentum`` it follows what the pair did over the last day
    of its looks; without, a coin decides."""

    def __init__(self, world: World, person: Person, *, momentum: bool) -> None:
        super().__init__(world, person, (6 if momentum else 9) * HOUR_S)
        self.momentum = momentum
        self.market = world.markets[int(self.chance.integers(0, 2))]
        self.size = self.lognormal(1_500.0, 0.8)
        self._seen: deque[tuple[int, float]] = deque(maxlen=6)
        endow(world, person, 12 * self.size, **{self.market.base.symbol: 12 * self.size})

    def act(self, world: World) -> None:
        price = self.market.price(world.bench)
        before = self._seen[0][1] if self._seen else price
        self._seen.append((world.now, price))
        if self.momentum:
            trend = price / before - 1
            if abs(trend) < 0.01:
                return
            buys = trend > 0
        else:
            buys = bool(self.chance.random() < 0.5)
        worth = self.lognormal(self.size, 0.6)
        paid = world.money if buys else self.market.base
        amount = min(paid.units(worth if buys else worth / price), self.holds(world, paid))
        base, quote = self.market.reserves(world.bench)
        amount = min(amount, int((quote if buys else base) * MOST_IMPACT))
        if amount > 0:
            world.swap(self.person, self.market, paid, amount)


class Provider(Agent):
    """Puts both tokens into a pair, now and then more or less of them."""

    def __init__(self, world: World, person: Person, market: Market, worth: float) -> None:
        super().__init__(world, person, 6 * DAY_S)
        self.market, self.worth = market, worth
        for token in (market.base, market.quote):
            if token is world.money:
                endow(world, person, 1.5 * worth)
            else:
                endow(world, person, 0.0, **{token.symbol: 1.5 * worth})
        self._add(world, worth)

    def act(self, world: World) -> None:
        if self.chance.random() < 0.55:
            self._add(world, self.worth * float(self.chance.uniform(0.05, 0.3)))
        else:
            self._remove(world, float(self.chance.uniform(0.1, 0.4)))

    def _add(self, world: World, worth: float) -> None:
        market = self.market
        base, quote = market.reserves(world.bench)
        of_base = self._units(world, market.base, worth)
        of_quote = self._units(world, market.quote, worth)
        if base and quote:
            of_quote = of_base * quote // base
        if of_base > self.holds(world, market.base) or of_quote > self.holds(world, market.quote):
            return
        if of_base <= 0 or of_quote <= 0:
            return
        world.must(self.person, market.base.address, transfer(market.address, of_base))
        world.must(self.person, market.quote.address, transfer(market.address, of_quote))
        world.must(self.person, market.address, market.placed.encode("mint", self.person.address))

    def _remove(self, world: World, share: float) -> None:
        pair = Token("LP", self.market.placed, 18)
        units = math.floor(pair.balance(world.bench, self.person.address) * share)
        if units > 0:
            world.must(self.person, pair.address, transfer(self.market.address, units))
            world.must(
                self.person, self.market.address, self.market.placed.encode("burn", self.person.address)
            )

    @staticmethod
    def _units(world: World, token: Token, worth: float) -> int:
        return token.units(worth if token is world.money else worth / world.outside_price(token))
