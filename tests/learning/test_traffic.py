# SPDX-License-Identifier: Apache-2.0
"""What a run sends is counted, and how much of it was needed."""

from __future__ import annotations

from koinon.learning.run import ClosedRound, Run
from koinon.learning.traffic import Meter, Traffic
from tests.learning.support import DOMAIN, joining, key, recipe, update


def closed_rounds(found, rounds: int = 2) -> list[ClosedRound]:
    run = Run(found, 1, key("opener"), DOMAIN, expected=2)
    owners = [key("owner 0"), key("owner 1")]
    for owner in owners:
        run.join(joining(found, owner))
    run.start()
    closed = []
    for _ in range(rounds):
        for owner in owners:
            run.receive(update(run, owner))
        closed.append(run.close_round())
    return closed


def test_every_vector_counts_and_the_first_score_near_the_last_is_found():
    meter = Meter()
    assert meter.traffic() == Traffic(0, 0)
    first, second = closed_rounds(recipe())
    one = sum(len(payload) for payload in first.updates.values())
    meter.count(first)
    meter.score(1, 0.895)
    meter.count(second)
    meter.score(2, 0.9)
    found = meter.traffic()
    assert (found.up, found.near_round, found.near_up) == (2 * one, 1, one)
    assert found.down == 2 * (len(first.step) + len(second.step))


def test_a_compressed_step_is_counted_as_such():
    plain, thin = Meter(), Meter()
    for closed in closed_rounds(recipe()):
        plain.count(closed)
    for closed in closed_rounds(recipe(down_codec="int8")):
        thin.count(closed)
    assert thin.traffic().down < plain.traffic().down
