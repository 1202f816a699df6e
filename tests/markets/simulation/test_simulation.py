# SPDX-License-Identifier: Apache-2.0
"""A whole simulation: it repeats, loses no unit of money, and its ground truth is what happened."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from koinon.chain import artifacts
from koinon.markets.simulation.agents.schemes import BENIGN, LAUNDERING, needs
from koinon.markets.simulation.scenario import People, Scenario
from koinon.markets.simulation.simulation import Simulation, simulate

SMALL = Scenario(
    "small",
    months=0.2,
    step_s=7_200,
    people=People(
        noise_traders=6,
        momentum_traders=2,
        liquidity_providers=3,
        arbitrageurs=2,
        payers=8,
        rings=1,
        decoys=1,
    ),
)
TRANSFER = artifacts.load("Coin").events["Transfer"]


@pytest.fixture(scope="module")
def ran() -> Simulation:
    return simulate(SMALL, 7)


def test_the_same_seed_makes_the_same_chain(ran: Simulation) -> None:
    assert simulate(SMALL, 7).state_digest() == ran.state_digest()
    assert simulate(SMALL.lasting(0.02), 8).state_digest() != simulate(SMALL.lasting(0.02), 7).state_digest()


def test_money_is_conserved_to_the_unit(ran: Simulation) -> None:
    world = ran.world
    for token in world.all_tokens:
        assert sum(world.holdings(token).values()) == world.supply(token) > 0
        minted = moved_out_of_nothing(ran, token.address)
        assert minted == world.supply(token)


def moved_out_of_nothing(ran: Simulation, token: str) -> int:
    total = 0
    for log in ran.world.bench.logs:
        if log.address == token and log.topics[0] == TRANSFER.topic and not any(log.topics[1]):
            total += int.from_bytes(log.data, "big")
    return total


def test_pairs_follow_the_price_outside(ran: Simulation) -> None:
    world = ran.world
    for market in world.markets[:2]:
        assert market.price(world.bench) == pytest.approx(world.outside_price(market.base), rel=0.02)
    swaps = artifacts.load("Pair").events["Swap"].topic
    assert sum(log.topics[0] == swaps for log in world.bench.logs) > 50


def test_feeds_answer_and_agree_with_the_market(ran: Simulation) -> None:
    world = ran.world
    for symbol, feed in world.feeds.items():
        _, answer, _, updated, _ = world.bench.ask(feed.placed, "latestFeederData")
        assert answer / 1e8 == pytest.approx(world.outside_price(world.tokens[symbol]), rel=0.01)
        assert world.now - updated <= 4 * 3_600
        assert world.bench.ask(feed.placed, "latestRoundData")[1] == answer


def test_the_ground_truth_is_what_happened(ran: Simulation) -> None:
    """Every labelled transfer is one of money between members of its case."""
    world = ran.world
    sent = list(world.tape)
    assert [each.number for each in sent] == list(range(len(sent)))
    selector = artifacts.load("Coin").functions["transfer"].selector
    for case in world.truth.cases:
        assert case.typology in (LAUNDERING if case.illicit else BENIGN)
        assert len(case.sent) <= case.planned
        for number in case.sent:
            each = sent[number]
            assert each.worked
            assert each.to == world.money.address
            assert each.data[:4] == selector
            assert each.sender.address in case.members
            receiver = world.accounts.at("0x" + each.data[16:36].hex())
            assert receiver is not None
            assert receiver.address in case.members
    laundering = [case for case in world.truth.cases if case.illicit]
    assert {case.typology for case in laundering} == set(LAUNDERING)
    done = [case for case in laundering if len(case.sent) == case.planned]
    assert len(done) >= len(LAUNDERING) - 1
    labelled = Counter(number for case in world.truth.cases for number in case.sent)
    assert set(labelled.values()) == {1}


def test_a_planned_cycle_comes_back_to_where_it_began(ran: Simulation) -> None:
    case = next(case for case in ran.world.truth.cases if case.typology == "cycle")
    sent = list(ran.world.tape)
    way = [(sent[n].sender.address, "0x" + sent[n].data[16:36].hex()) for n in case.sent]
    assert way[0][0].lower() == way[-1][1]
    assert all(first[1] == second[0].lower() for first, second in itertools.pairwise(way))


def test_plans_never_lack_money() -> None:
    assert needs([], 2) == [0.0, 0.0]
    from_nothing = needs(LAUNDERING["cycle"](np.random.default_rng(5))[2], 6)
    assert sum(amount > 0 for amount in from_nothing) == 1


def test_the_truth_names_everybody_and_places_transfers_on_a_chain(ran: Simulation) -> None:
    truth, accounts = ran.world.truth, ran.world.accounts
    number = truth.cases[0].sent[0]
    document = truth.document(accounts, {number: ("0xab", 12)})
    assert len(document["people"]) == len(accounts)
    assert document["cases"][0]["transfers"][0] == {"number": number, "transaction": "0xab", "block": 12}
    owners = {each["name"]: each["owner"] for each in document["people"]}
    assert all(
        owners[each["name"]].startswith("ring ")
        for each in document["people"]
        if each["role"] == "ring member"
    )
