# SPDX-License-Identifier: Apache-2.0
"""ERC-8004's reference contracts do what was recorded of them; `make interop` fetches and compiles them."""

from __future__ import annotations

import json

import pytest

from tests.conformance.erc8004.record import expected, the_reference
from tests.conformance.erc8004.stage import ours
from tests.conformance.erc8004.table import TABLE
from tests.conformance.erc8004.wild import Wild

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_800)]


def test_the_reference_and_ours_do_the_same_on_one_chain(own_chain):
    theirs = json.loads(json.dumps(the_reference(own_chain).run(TABLE)))
    assert theirs == expected()
    mine = json.loads(json.dumps(ours(own_chain).run(TABLE)))
    differing = [step for step, a, b in zip(TABLE, theirs, mine, strict=True) if a != b]
    assert differing == [step for step in TABLE if step.differs]


@pytest.mark.parametrize("seed", range(3))
def test_the_reference_and_ours_do_the_same_in_orders_nobody_thought_of(own_chain, seed):
    steps = Wild(seed).steps(400)
    theirs = the_reference(own_chain).run(steps)
    assert {next(iter(each)) for each in theirs} == {"returns", "events", "reverts"}
    mine = ours(own_chain).run(steps)
    differing = [each for each in zip(steps, theirs, mine, strict=True) if each[1] != each[2]]
    assert differing == []
