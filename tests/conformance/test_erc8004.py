# SPDX-License-Identifier: Apache-2.0
"""Our registries do what ERC-8004's reference contracts were recorded to do, action by action.

`make interop` runs the reference itself and compares it with the record.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.conformance.erc8004.record import expected
from tests.conformance.erc8004.stage import ours
from tests.conformance.erc8004.table import TABLE

CONTRACTS = Path(__file__).parents[2] / "docs" / "explanation" / "contracts.md"


def test_every_action_does_what_the_reference_does_but_where_it_is_declared(chain):
    recorded = expected()
    assert len(recorded) == len(TABLE), "record anew: python -m tests.conformance.erc8004.record"
    found = json.loads(json.dumps(ours(chain).run(TABLE)))
    undeclared = [
        (step, theirs, mine)
        for step, theirs, mine in zip(TABLE, recorded, found, strict=True)
        if (theirs != mine) != bool(step.differs)
    ]
    assert undeclared == []


def test_the_table_has_every_kind_of_outcome_of_every_registry():
    recorded = expected()
    for registry in ("identity", "reputation", "validation"):
        kinds = {
            next(iter(outcome))
            for step, outcome in zip(TABLE, recorded, strict=True)
            if step.contract == registry
        }
        assert kinds == {"returns", "events", "reverts"}


def test_every_declared_difference_is_told_to_readers():
    told = " ".join(CONTRACTS.read_text(encoding="utf-8").split())
    assert [step.differs for step in TABLE if step.differs and step.differs not in told] == []
