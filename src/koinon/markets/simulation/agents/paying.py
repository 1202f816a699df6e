# SPDX-License-Identifier: Apache-2.0
"""Those who pay each other: everyday payments, and plans (see `schemes`) carried out to the day."""

from __future__ import annotations

from koinon.markets.simulation.accounts import Person
from koinon.markets.simulation.agents.acting import DAY_S, Agent, endow
from koinon.markets.simulation.agents.schemes import Maker, length_s, named, needs
from koinon.markets.simulation.truth import Case, keep
from koinon.markets.simulation.world import World


class Payer(Agent):
    """Pays somebody it knows, mostly small sums; goes to the exchange for more when it runs low."""

    def __init__(self, world: World, person: Person) -> None:
        super().__init__(world, person, 1.2 * DAY_S)
        self.usual = self.lognormal(180.0, 0.9)
        self.friends: list[Person] = []
        endow(world, person, 25 * self.usual)

    def meet(self, everybody: list[Person]) -> None:
        """Choose whom it pays."""
        count = min(len(everybody), int(self.chance.integers(3, 9)))
        chosen = self.chance.choice(len(everybody), count, replace=False)
        self.friends = [everybody[place] for place in chosen if everybody[place] is not self.person]

    def act(self, world: World) -> None:
        units = world.money.units(self.lognormal(self.usual, 0.8))
        if self.holds(world, world.money) < units:
            endow(world, self.person, 20 * self.usual)
            return
        if self.friends:
            world.pay(self.person, self.friends[int(self.chance.integers(len(self.friends)))], units)


class Scheme(Agent):
    """Carries out one plan. Its members are new accounts that the exchange paid, like everybody's; most pay
    somebody else a little before, and what the plan leaves them goes back to the exchange."""

    def __init__(self, world: World, kind: str, maker: Maker, *, illicit: bool) -> None:
        conductor = world.accounts.new("ring" if illicit else "firm", kind)
        super().__init__(world, conductor, 0.0)
        count, _, self.transfers = maker(self.chance)
        self.members = [conductor] + [
            world.accounts.new(
                "ring member" if illicit else "firm member", kind, owner=conductor.name if illicit else ""
            )
            for _ in range(count - 1)
        ]
        self.kind, self.illicit = kind, illicit
        latest = max(0.0, world.scenario.seconds - length_s(self.transfers) - DAY_S)
        self.begins_at = world.now + float(self.chance.uniform(0.02, 1.0)) * latest
        self.case: Case | None = None
        self._next = 0
        self._camouflaged = False
        self._lead_s = float(self.chance.uniform(0.2, 3.0)) * DAY_S
        self.next_at = max(float(world.now), self.begins_at - self._lead_s)

    def act(self, world: World) -> None:
        if not self._camouflaged:
            self._fund(world)
            self._camouflaged = True
        while self._next < len(self.transfers):
            transfer = self.transfers[self._next]
            if world.now < self.begins_at + transfer.after_s:
                self.next_at = self.begins_at + transfer.after_s
                return
            if self.case is None:
                self.case = world.truth.open_case(
                    self.kind, illicit=self.illicit, members=self.members, planned=len(self.transfers)
                )
            sender, receiver = named(self.members, transfer)
            keep(self.case, world.pay(sender, receiver, world.money.units(transfer.money)))
            self._next += 1
        if self._next == len(self.transfers):
            self._cash_out(world)
            self.next_at = float("inf")

    def _fund(self, world: World) -> None:
        for member, money in zip(self.members, needs(self.transfers, len(self.members)), strict=True):
            spare = self.lognormal(120.0, 0.7)
            endow(world, member, money + spare + 1.0)
            if self.chance.random() < 0.6:
                world.pay(member, world.exchange, world.money.units(spare * 0.5))

    def _cash_out(self, world: World) -> None:
        for member in self.members:
            held = world.money.balance(world.bench, member.address)
            if held > 0 and self.chance.random() < 0.7:
                world.pay(member, world.exchange, int(held * float(self.chance.uniform(0.6, 1.0))))
