# SPDX-License-Identifier: Apache-2.0
"""Those who lend, borrow and liquidate. What kind of borrower one is decides how much of what is offered it
takes, how often it looks, and what it does when its loan comes near its limit; nobody sees the kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from koinon.markets.simulation.accounts import Person
from koinon.markets.simulation.agents.acting import DAY_S, HOUR_S, Agent, endow
from koinon.markets.simulation.credit import Lender
from koinon.markets.simulation.world import World


@dataclass(frozen=True)
class Habit:
    """``takes`` share of the most debt it borrows, ``looks_s`` mean seconds between two looks, ``heeds``
    health factor below which it acts, ``adds`` chance that it then does, ``reserve`` share of its collateral
    it keeps beside it, ``term_s`` mean length of a loan."""

    takes: float
    looks_s: float
    heeds: float
    adds: float
    reserve: float
    term_s: float


HABITS: Final = {
    "careful": Habit(0.45, 4 * HOUR_S, 1.5, 0.95, 0.8, 20 * DAY_S),
    "ordinary": Habit(0.70, 14 * HOUR_S, 1.2, 0.75, 0.4, 28 * DAY_S),
    "risky": Habit(0.94, 40 * HOUR_S, 1.05, 0.35, 0.1, 40 * DAY_S),
    "fraudulent": Habit(0.99, 30 * HOUR_S, 0.0, 0.0, 0.0, 1_000 * DAY_S),
}
"""By kind."""

BUILD_UP_S: Final = 12 * DAY_S
"""How long a fraudulent borrower's new account behaves, to be trusted."""


class Depositor(Agent):
    """Lends part of what it has, now and then more or less of it."""

    def __init__(self, world: World, person: Person) -> None:
        super().__init__(world, person, 8 * DAY_S, first_s=DAY_S)
        self.lender = world.lenders[int(self.chance.integers(len(world.lenders)))]
        self.worth = self.lognormal(60_000.0, 0.7)
        endow(world, person, self.worth)
        world.allow(person, self.lender.loan, self.lender.address)

    def act(self, world: World) -> None:
        held = self.holds(world, self.lender.loan)
        if self.chance.random() < 0.65:
            amount = int(held * float(self.chance.uniform(0.3, 0.9)))
            if amount > 0:
                world.carry_out(self.person, self.lender.deposit(self.person, amount))
            return
        deposited = self.lender.deposited(world, self.person)
        amount = min(int(deposited * float(self.chance.uniform(0.1, 0.5))), self.lender.idle(world))
        if amount > 0:
            world.carry_out(self.person, self.lender.withdraw(self.person, amount))


class Borrower(Agent):
    """Pledges, borrows, watches its loan as its kind does, repays, and begins again."""

    def __init__(
        self, world: World, person: Person, kind: str, *, worth: float = 0.0, build_up_s: float = 0.0
    ) -> None:
        self.habit = HABITS[kind]
        super().__init__(world, person, self.habit.looks_s, first_s=3 * DAY_S)
        self.kind = kind
        self.lender: Lender = world.lenders[int(self.chance.integers(len(world.lenders)))]
        self.worth = worth or self.lognormal(20_000.0, 0.8)
        self.honest_until = world.now + build_up_s
        self.due_at = float("inf")
        self.gone = False
        self.successor: Person | None = None
        self.owes = False
        self.moves = 0  # changes of its loan, which everybody sees as events
        reserve = self.habit.reserve
        endow(world, person, 0.05 * self.worth, **{self.lender.collateral.symbol: self.worth * (1 + reserve)})
        for token in (self.lender.collateral, self.lender.loan):
            world.allow(person, token, self.lender.address)

    def act(self, world: World) -> None:
        if self.gone:
            return
        debt = self.lender.debt(world, self.person)
        self.owes = debt > 0
        self.moves += 1
        if debt == 0:
            self._begin(world)
        elif world.now >= self.due_at or (self._builds_up(world) and self.chance.random() < 0.2):
            self._repay(world, debt)
        else:
            self._watch(world, debt)

    def _builds_up(self, world: World) -> bool:
        return self.kind == "fraudulent" and world.now < self.honest_until

    def _begin(self, world: World) -> None:
        if self.chance.random() < 0.4:
            return  # not today
        lender = self.lender
        held = self.holds(world, lender.collateral)
        if lender.pledged(world, self.person) == 0:
            amount = int(held / (1 + self.habit.reserve)) if self.habit.reserve else held
            if amount == 0 or not world.carry_out(self.person, lender.pledge(self.person, amount)):
                return
        takes = 0.25 if self._builds_up(world) else self.habit.takes * float(self.chance.uniform(0.9, 1.0))
        self._borrow(world, takes)

    def _borrow(self, world: World, takes: float) -> None:
        lender = self.lender
        pledged = lender.pledged(world, self.person)
        most = lender.most_debt(world, self.person, pledged)
        if not most:
            return
        amount = min(int(most * takes), int(lender.idle(world) * 0.9))
        if amount <= 0 or not world.carry_out(self.person, lender.borrow(self.person, amount)):
            return
        self.owes = True
        self.due_at = world.now + float(self.chance.exponential(self.habit.term_s))
        self._spend(world, amount)

    def _spend(self, world: World, amount: int) -> None:
        if self.kind == "risky":
            held = self.holds(world, self.lender.collateral)
            market = world.market(self.lender.collateral)
            _, quote = market.reserves(world.bench)
            if world.swap(self.person, market, world.money, min(amount, quote // 100)):
                more = self.holds(world, self.lender.collateral) - held
                if more > 0:
                    world.carry_out(self.person, self.lender.pledge(self.person, more))
        elif self.kind == "fraudulent" and not self._builds_up(world):
            self._vanish(world, amount)
        elif self.chance.random() < 0.6:
            world.pay(self.person, world.exchange, amount * 9 // 10)

    def _vanish(self, world: World, amount: int) -> None:
        """Take the money away over a fresh account, and go on under another name."""
        self.gone = True
        owner = self.person.owner
        way = world.accounts.new("passage", "fraudulent", owner=owner)
        fresh = world.accounts.new("borrower", "fraudulent", owner=owner)
        first = world.pay(self.person, way, min(amount, self.holds(world, world.money)))
        held = world.money.balance(world.bench, way.address)
        second = world.pay(way, fresh, held * 95 // 100)
        case = world.truth.open_case("whitewash", illicit=True, members=(self.person, way, fresh), planned=2)
        case.sent += [first.number, second.number]
        world.truth.happened("whitewash", world.now, old=self.person.address, new=fresh.address, owner=owner)
        self.successor = fresh

    def _repay(self, world: World, debt: int) -> None:
        lender = self.lender
        short = debt * 101 // 100 - self.holds(world, lender.loan)
        if short > 0:  # from what it earned elsewhere meanwhile
            world.pay(world.exchange, self.person, short)
        if not world.carry_out(self.person, lender.repay(self.person, None)):
            return
        self.due_at = float("inf")
        pledged = lender.pledged(world, self.person)
        if pledged and self.chance.random() < 0.5:
            world.carry_out(self.person, lender.unpledge(self.person, pledged))

    def _watch(self, world: World, debt: int) -> None:
        lender = self.lender
        safety = lender.safety(world, self.person)
        if safety is None or safety >= self.habit.heeds or self.chance.random() >= self.habit.adds:
            return
        spare = self.holds(world, lender.collateral)
        if spare > 0:
            world.carry_out(self.person, lender.pledge(self.person, spare))
            return
        money = min(self.holds(world, lender.loan), debt // 2)
        if money > 0:
            world.carry_out(self.person, lender.repay(self.person, money))


class Liquidator(Agent):
    """Knows every loan from the chain's events, looks again at those that a fallen price brought near their
    limit, and closes what is unsafe, if that pays; sells what it gets."""

    near: Final = 1.03
    again_s: Final = 6 * HOUR_S

    def __init__(self, world: World, person: Person, borrowers: list[Borrower], worth: float) -> None:
        super().__init__(world, person, 0.0)
        self.borrowers = borrowers
        self._seen: dict[str, tuple[int, int, float, float]] = {}
        endow(world, person, worth)
        for lender in world.lenders:
            for token in (lender.loan, lender.collateral):
                world.allow(person, token, lender.address)

    def act(self, world: World) -> None:
        if self.chance.random() < 0.25:
            return  # another is faster
        for borrower in self.borrowers:
            if self._could_be_unsafe(world, borrower):
                safety = self._look(world, borrower)
                if safety is not None and safety < 1:
                    self._close(world, borrower)

    def _could_be_unsafe(self, world: World, borrower: Borrower) -> bool:
        """By what was seen last and how far the price has moved since."""
        if not borrower.owes:
            return False
        seen = self._seen.get(borrower.person.address)
        if seen is None or seen[0] != borrower.moves or world.now - seen[1] >= self.again_s:
            return True
        _, _, safety, price = seen
        return safety * world.outside_price(borrower.lender.collateral) / price < self.near

    def _look(self, world: World, borrower: Borrower) -> float | None:
        safety = borrower.lender.safety(world, borrower.person)
        if safety is not None:
            price = world.outside_price(borrower.lender.collateral)
            self._seen[borrower.person.address] = (borrower.moves, world.now, safety, price)
        return safety

    def _close(self, world: World, borrower: Borrower) -> None:
        lender, person = borrower.lender, borrower.person
        steps = lender.liquidate(world, self.person, person)
        before = lender.debt(world, person)
        if not steps or not world.carry_out(self.person, steps):
            return
        borrower.moves += 1
        after = lender.debt(world, person)
        if after < before:
            world.truth.happened(
                "liquidation",
                world.now,
                lender=lender.name,
                borrower=person.address,
                kind=borrower.kind,
                liquidator=self.person.address,
                closed=before - after,
            )
            self._sell(world, lender)

    def _sell(self, world: World, lender: Lender) -> None:
        held = self.holds(world, lender.collateral)
        market = world.market(lender.collateral)
        base, _ = market.reserves(world.bench)
        sold = min(held, base // 50)
        if sold > 0:
            world.swap(self.person, market, lender.collateral, sold)
        rest = self.holds(world, lender.collateral)
        if rest > 0:  # the rest goes elsewhere, at the price there
            worth = lender.collateral.whole(rest) * world.outside_price(lender.collateral)
            world.pay(self.person, world.exchange, rest, lender.collateral)
            world.pay(world.exchange, self.person, world.money.units(worth * 0.998))


class Caretaker(Agent):
    """Has every lender do what it does once a day."""

    def __init__(self, world: World, person: Person) -> None:
        super().__init__(world, person, 0.0)

    def act(self, world: World) -> None:
        self.next_at = float(world.now + DAY_S)
        for lender in world.lenders:
            lender.tend(world)
