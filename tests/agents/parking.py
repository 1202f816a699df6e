# SPDX-License-Identifier: Apache-2.0
"""A driver and a car park that bargain for a place, and settle it. What `docs/how-to/let-agents-negotiate.md`
shows."""

from __future__ import annotations

from koinon.agents import Address, Agent, Context
from koinon.agents.mechanisms import Concession
from koinon.agents.protocols import Bargainer, Collector, Payer
from koinon.agents.protocols.bargain import Offer
from koinon.agents.purse import Purse

PLACE = "a place until six"


class CarPark(Agent):
    """Sells places, for 0.05 coins at least."""

    def equip(self, purse: Purse) -> None:
        self.collector = Collector(purse, self.paid)
        self.include(self.collector, Bargainer(self.agreed, self.limits))

    def limits(self, context: Context, offer: Offer) -> Concession | None:
        return (
            Concession(False, 100_000, 50_000, context.now, offer.deadline) if offer.good == PLACE else None
        )

    def agreed(self, context: Context, driver: Address, buys: bool, good: str, price: int) -> None:
        self.collector.expect(context, driver, good, price)

    def paid(self, context: Context, driver: Address, good: str, price: int) -> None:
        context.of(None).memory["sold"] = [*context.of(None).memory.get("sold", []), price]


class Driver(Agent):
    """Looks for a place, for 0.08 coins at most."""

    def __init__(self, car_park: str, seconds: float = 10.0) -> None:
        super().__init__()
        self.car_park, self.seconds = Address.parse(car_park), seconds

    def equip(self, purse: Purse) -> None:
        self.payer = Payer(purse, self.parked, self.turned_away)
        self.bargainer = Bargainer(self.agreed, failed=self.turned_away)
        self.include(self.payer, self.bargainer)

    def startup(self, context: Context) -> None:
        if "looking" not in context.memory:
            context.memory["looking"] = True
            limit = Concession(True, 20_000, 80_000, context.now, context.now + self.seconds)
            self.bargainer.offer(context, self.car_park, PLACE, limit)

    def agreed(self, context: Context, car_park: Address, buys: bool, good: str, price: int) -> None:
        self.payer.pay(context, car_park, good, price)

    def parked(self, context: Context, car_park: Address, good: str, price: int) -> None:
        context.of(None).memory["parked"] = price

    def turned_away(self, context: Context, why: str) -> None:
        context.of(None).memory["turned away"] = why
