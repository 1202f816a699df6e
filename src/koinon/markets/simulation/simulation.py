# SPDX-License-Identifier: Apache-2.0
"""One simulation from its first block to its last: who takes part, and the order in which they act."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from koinon.chain.canonical import DEVNET_CHAIN_ID
from koinon.markets.simulation.agents.acting import Agent
from koinon.markets.simulation.agents.lending import BUILD_UP_S, Borrower, Caretaker, Depositor, Liquidator
from koinon.markets.simulation.agents.paying import Payer, Scheme
from koinon.markets.simulation.agents.schemes import BENIGN, LAUNDERING
from koinon.markets.simulation.agents.trading import Arbitrageur, Poster, Provider, Trader
from koinon.markets.simulation.credit import Opener, nothing_lent
from koinon.markets.simulation.scenario import Scenario
from koinon.markets.simulation.world import World

EXCHANGE_MONEY: Final = 200_000_000.0
PAIR_WORTH: Final = (1_600_000.0, 1_600_000.0, 500_000.0)
"""What providers put into each pair in all, whole dollars on each side."""

Progress = Callable[[int], None]


@dataclass
class Simulation:
    """A world and everybody in it. ``agents`` act in an order that chance changes at every step, after the
    poster of prices and the arbitrageurs."""

    world: World
    first: list[Agent] = field(default_factory=list)
    agents: list[Agent] = field(default_factory=list)
    borrowers: list[Borrower] = field(default_factory=list)

    def run(self, progress: Progress = lambda _steps: None) -> Simulation:
        """All steps; ``progress`` is told of each."""
        world = self.world
        order = world.generator("order")
        for step in range(world.outside.timestamps.size):
            world.step = step
            world.next_block(int(world.outside.timestamps[step]))
            for agent in self.first:
                agent.turn(world)
            due = [agent for agent in self.agents if agent.next_at <= world.now]
            for place in order.permutation(len(due)):
                due[place].turn(world)
            self._welcome()
            progress(1)
        return self

    def _welcome(self) -> None:
        """Fraudulent borrowers that took the money and left come back under other names."""
        for old in [each for each in self.borrowers if each.successor is not None]:
            fresh, old.successor = old.successor, None
            if fresh is not None:
                again = Borrower(self.world, fresh, "fraudulent", worth=old.worth, build_up_s=BUILD_UP_S)
                self.borrowers.append(again)
                self.agents.append(again)

    def state_digest(self) -> str:
        """SHA-256 over what everybody holds of every token, every pair's reserves, and the tape's digest."""
        world = self.world
        total = hashlib.sha256(world.tape.digest.encode())
        for token in world.all_tokens:
            total.update(repr(sorted(world.holdings(token).items())).encode())
        for market in world.markets:
            total.update(repr(market.reserves(world.bench)).encode())
        return total.hexdigest()

    def counts(self) -> dict[str, Any]:
        """What there is of it: accounts, transactions, refused ones, cases, events by kind."""
        world = self.world
        return {
            "accounts": len(world.accounts),
            "steps": len(world.outside),
            "blocks": len(world.tape.blocks),
            "transactions": len(world.tape),
            "refused": sum(1 for each in world.tape if not each.worked),
            "logs": len(world.bench.logs),
            "cases": dict(Counter(case.typology for case in world.truth.cases)),
            "events": dict(Counter(event["what"] for event in world.truth.events)),
        }


def prepare(
    scenario: Scenario,
    seed: int,
    *,
    start: int = 1_700_000_000,
    lenders: Opener = nothing_lent,
    chain_id: int = DEVNET_CHAIN_ID,
) -> Simulation:
    """A world with everybody in it, before the first step."""
    world = World(scenario, seed, start=start, lenders=lenders, chain_id=chain_id)
    people, accounts = scenario.people, world.accounts
    world.give(world.exchange, world.money, world.money.units(EXCHANGE_MONEY))
    for symbol, token in world.tokens.items():
        world.give(
            world.exchange, token, token.units(EXCHANGE_MONEY / world.outside_price(world.tokens[symbol]))
        )
    simulation = Simulation(world)
    chance = world.generator("first liquidity")
    for market, worth in zip(world.markets, PAIR_WORTH, strict=True):
        count = max(1, people.liquidity_providers // len(world.markets))
        for share in chance.dirichlet([4.0] * count):
            simulation.agents.append(
                Provider(world, accounts.new("liquidity provider"), market, float(share) * worth)
            )
    world.next_block(world.now + world.setting_s // 2)
    world.open_feeds()
    world.open_lenders()
    simulation.first.append(Poster(world, accounts.new("poster")))
    simulation.first += [
        Arbitrageur(world, accounts.new("arbitrageur"), 60_000.0) for _ in range(people.arbitrageurs)
    ]
    _open_trade(simulation)
    if world.lenders:
        _open_credit(simulation)
    _open_payments(simulation)
    return simulation


def simulate(
    scenario: Scenario,
    seed: int,
    *,
    start: int = 1_700_000_000,
    lenders: Opener = nothing_lent,
    chain_id: int = DEVNET_CHAIN_ID,
    progress: Progress = lambda _steps: None,
) -> Simulation:
    """`prepare`, then every step."""
    return prepare(scenario, seed, start=start, lenders=lenders, chain_id=chain_id).run(progress)


def _open_trade(simulation: Simulation) -> None:
    world, people = simulation.world, simulation.world.scenario.people
    for momentum, count in ((False, people.noise_traders), (True, people.momentum_traders)):
        for _ in range(count):
            person = world.accounts.new("trader", "momentum" if momentum else "noise")
            simulation.agents.append(Trader(world, person, momentum=momentum))


def _open_credit(simulation: Simulation) -> None:
    world, people = simulation.world, simulation.world.scenario.people
    kinds = {
        "careful": people.careful,
        "ordinary": people.ordinary,
        "risky": people.risky,
        "fraudulent": people.fraudulent,
    }
    simulation.agents += [Depositor(world, world.accounts.new("depositor")) for _ in range(people.depositors)]
    for kind, count in kinds.items():
        for _ in range(count):
            simulation.borrowers.append(Borrower(world, world.accounts.new("borrower", kind), kind))
    simulation.agents += simulation.borrowers
    simulation.agents.append(Caretaker(world, world.accounts.new("caretaker")))
    simulation.agents += [
        Liquidator(world, world.accounts.new("liquidator"), simulation.borrowers, 150_000.0)
        for _ in range(people.liquidators)
    ]


def _open_payments(simulation: Simulation) -> None:
    world, people = simulation.world, simulation.world.scenario.people
    payers = [Payer(world, world.accounts.new("payer")) for _ in range(people.payers)]
    schemes = [
        Scheme(world, kind, maker, illicit=illicit)
        for makers, count, illicit in ((LAUNDERING, people.rings, True), (BENIGN, people.decoys, False))
        for kind, maker in makers.items()
        for _ in range(count)
    ]
    known = [payer.person for payer in payers]
    known += [member for scheme in schemes for member in scheme.members[:2]]
    for payer in payers:
        payer.meet(known)
    simulation.agents += [*payers, *schemes]
