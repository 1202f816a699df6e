# SPDX-License-Identifier: Apache-2.0
"""Borrowers of hidden kinds, depositors and liquidators, at a plain lender that stands in for a real one."""

from __future__ import annotations

from collections import Counter

import pytest

from koinon.chain import artifacts
from koinon.markets.simulation.prices import Crash
from koinon.markets.simulation.scenario import People, Scenario
from koinon.markets.simulation.simulation import Simulation, simulate
from tests.markets.simulation.plain_credit import artifact, plain_lenders

CRASH = Scenario(
    "crash in small",
    months=0.5,
    step_s=7_200,
    crashes=(Crash(at=0.6, share=0.45, hours=24),),
    people=People(
        noise_traders=2,
        momentum_traders=0,
        liquidity_providers=3,
        arbitrageurs=1,
        depositors=4,
        careful=5,
        ordinary=5,
        risky=5,
        fraudulent=2,
        liquidators=1,
        payers=2,
        rings=0,
        decoys=0,
    ),
)


@pytest.fixture(scope="module")
def crashed() -> Simulation:
    return simulate(CRASH, 7, lenders=plain_lenders)


def test_a_crash_liquidates_and_hits_the_risky_most(crashed: Simulation) -> None:
    world = crashed.world
    found = [event for event in world.truth.events if event["what"] == "liquidation"]
    assert found
    during = world.outside.timestamps[world.outside.crashed][0]
    assert sum(event["at"] >= during for event in found) >= len(found) * 0.8
    kinds = Counter(event["kind"] for event in found)
    assert kinds["risky"] + kinds["fraudulent"] > kinds["careful"]


def test_every_liquidation_in_the_truth_is_one_on_the_chain(crashed: Simulation) -> None:
    world = crashed.world
    topic = artifact().events["Liquidate"].topic
    logged = {
        (log.timestamp, "0x" + log.topics[1][12:].hex()) for log in world.bench.logs if log.topics[0] == topic
    }
    told = {
        (event["at"], event["borrower"].lower())
        for event in world.truth.events
        if event["what"] == "liquidation"
    }
    assert logged == told


def test_who_takes_the_money_and_leaves_comes_back_under_another_name(crashed: Simulation) -> None:
    world = crashed.world
    vanished = [event for event in world.truth.events if event["what"] == "whitewash"]
    assert vanished
    for event in vanished:
        old, new = world.accounts.at(event["old"]), world.accounts.at(event["new"])
        assert old is not None
        assert new is not None
        assert old.owner == new.owner == event["owner"]
        assert any(borrower.person is new for borrower in crashed.borrowers)
    cases = [case for case in world.truth.cases if case.typology == "whitewash"]
    sent = list(world.tape)
    transfer = artifacts.load("Coin").functions["transfer"].selector
    assert len(cases) == len(vanished)
    assert all(sent[number].data[:4] == transfer for case in cases for number in case.sent)


def test_money_is_conserved_through_loans_and_liquidations(crashed: Simulation) -> None:
    world = crashed.world
    for token in world.all_tokens:
        assert sum(world.holdings(token).values()) == world.supply(token)


def test_nobody_can_borrow_while_market_and_feeders_disagree(crashed: Simulation) -> None:
    """Within a crash the pair's average lags behind: the feed falls silent for borrowing, not for closing."""
    world = crashed.world
    topic = artifact().events["Borrow"].topic
    borrowed = [log.timestamp for log in world.bench.logs if log.topics[0] == topic]
    falling = world.outside.timestamps[world.outside.crashed]
    assert borrowed
    assert not [at for at in borrowed if falling[3] < at <= falling[-1]]


def test_without_a_lender_nobody_borrows() -> None:
    bare = simulate(Scenario("bare", months=0.01, people=CRASH.people), 7)
    assert bare.borrowers == []
    assert {person.role for person in bare.world.accounts} & {"borrower", "depositor", "liquidator"} == set()
