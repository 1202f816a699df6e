# SPDX-License-Identifier: Apache-2.0
"""The cost of every function is committed: a change of a contract shows what it costs its users."""

import pytest

from benchmarks import gas

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def figures():
    return gas.measure()


def test_every_function_that_changes_state_is_measured(figures):
    assert gas.unmeasured(figures) == []


def test_every_function_costs_what_is_committed(figures):
    committed = gas.snapshot()
    changed = {
        name: (committed.get(name), figures.get(name))
        for name in committed.keys() | figures.keys()
        if committed.get(name) != figures.get(name)
    }
    assert changed == {}, "run: make gas"


def test_the_costs_people_pay_most_often_keep_their_targets(figures):
    assert figures["Till.release · again"] <= 70_000
    assert figures["Channels.claim · a hundred, again"] <= 100 * 18_500
    assert figures["Swarm.submit · the first of a round"] <= 60_000
