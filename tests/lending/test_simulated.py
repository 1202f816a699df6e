# SPDX-License-Identifier: Apache-2.0
"""Real credit pools in a simulated market: a crash liquidates, books add up, scores follow what happened."""

from __future__ import annotations

import pytest

from koinon.chain import artifacts
from koinon.chain.address import checksum
from koinon.lending.simulated import BPS, TIERS, SimulatedPool, open_pools
from koinon.markets.simulation.prices import Crash
from koinon.markets.simulation.scenario import People, Scenario
from koinon.markets.simulation.simulation import Simulation, simulate

CRASH = Scenario(
    "crash in small",
    months=0.7,
    step_s=3_600,
    crashes=(Crash(at=0.7, share=0.5, hours=24),),
    people=People(
        noise_traders=2,
        momentum_traders=0,
        liquidity_providers=3,
        arbitrageurs=1,
        depositors=4,
        careful=4,
        ordinary=4,
        risky=5,
        fraudulent=1,
        liquidators=1,
        payers=1,
        rings=0,
        decoys=0,
    ),
)
EVENTS = artifacts.load("CreditPool").events


@pytest.fixture(scope="module")
def crashed() -> Simulation:
    return simulate(CRASH, 3, lenders=open_pools)


def pools(simulation: Simulation) -> list[SimulatedPool]:
    return [each for each in simulation.world.lenders if isinstance(each, SimulatedPool)]


def test_a_crash_liquidates_and_the_truth_says_whom(crashed: Simulation) -> None:
    world = crashed.world
    told = [event for event in world.truth.events if event["what"] == "liquidation"]
    logged = [log for log in world.bench.logs if log.topics[0] == EVENTS["Liquidated"].topic]
    assert told
    assert [(event["at"], event["borrower"]) for event in told] == [
        (log.timestamp, checksum(log.topics[1][12:])) for log in logged
    ]
    falls = world.outside.timestamps[world.outside.crashed][0]
    assert sum(event["at"] >= falls for event in told) > len(told) / 2


def test_books_add_up_and_money_is_conserved(crashed: Simulation) -> None:
    world = crashed.world
    for pool in pools(crashed):
        senior, junior, fees, debt, debts = world.bench.ask(pool.placed, "books")
        assert senior + junior + fees - debt == pool.idle(world)
        assert pool.idle(world) == pool.loan.balance(world.bench, pool.address)
        assert sum(debts) <= debt + 8
    for token in world.all_tokens:
        assert sum(world.holdings(token).values()) == world.supply(token)


def test_scores_follow_what_the_chain_shows(crashed: Simulation) -> None:
    """Whoever repaid gets a better tier, whoever was auctioned the worst, and the pool knows it."""
    world = crashed.world
    scoring = pools(crashed)[0].scoring
    scoring.look(world, pools(crashed)[0].pools)
    assert scoring.said
    for borrower, tier in scoring.said.items():
        assert world.bench.ask(pools(crashed)[0].placed, "tier_of", borrower) == tier
        assert (tier < len(TIERS) - 1) == (borrower not in scoring.blemished)
    unknown = world.accounts.new("stranger")
    assert world.bench.ask(pools(crashed)[0].placed, "tier_of", unknown.address) == len(TIERS) - 1


def test_what_agents_see_is_what_the_pool_says(crashed: Simulation) -> None:
    world = crashed.world
    seen = 0
    for borrower in crashed.borrowers:
        safety = borrower.lender.safety(world, borrower.person)
        if safety is None or not isinstance(borrower.lender, SimulatedPool):
            continue
        seen += 1
        assert (safety >= 1) == world.bench.ask(borrower.lender.placed, "is_sound", borrower.person.address)
    assert seen


def test_the_pools_terms_are_those_the_adapter_counts_by() -> None:
    quiet = simulate(
        Scenario("quiet", months=0.05, step_s=3_600, volatility=0.05, people=CRASH.people),
        3,
        lenders=open_pools,
    )
    world = quiet.world
    for pool in pools(quiet):
        kept = world.bench.ask(pool.placed, "tiers")
        assert [terms[0] for terms in kept] == [terms[0] for terms in TIERS]
        assert all(terms[0] < BPS for terms in kept)
        # by all means borrow what is offered, and not a few units more
        newcomer = world.accounts.new("newcomer")
        amount = pool.collateral.units(3_000 / world.outside_price(pool.collateral))
        world.pay(world.exchange, newcomer, amount, pool.collateral)
        world.allow(newcomer, pool.collateral, pool.address)
        assert world.carry_out(newcomer, pool.pledge(newcomer, amount))
        most = pool.most_debt(world, newcomer, amount)
        assert most
        assert not world.carry_out(newcomer, pool.borrow(newcomer, most + 2))
        assert world.carry_out(newcomer, pool.borrow(newcomer, most))


def test_the_same_seed_gives_the_same_loans(crashed: Simulation) -> None:
    short = CRASH.lasting(0.1)
    first, again = (simulate(short, 3, lenders=open_pools).state_digest() for _ in range(2))
    assert first == again
