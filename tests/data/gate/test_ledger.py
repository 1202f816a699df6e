# SPDX-License-Identifier: Apache-2.0
"""Many jobs on one data set: each spends of a budget on chain, and when it is empty nothing leaves."""

from __future__ import annotations

import pytest

from koinon.data.budget import PrivacyBudget, micro
from koinon.data.gate import Policy, decide, read_schema
from koinon.errors import PaymentError

pytestmark = pytest.mark.e2e
MEAN = """
[mean]
kind = "scalar"
bounds = [0, 120]
sensitivity = 1
epsilon = 0.4
[again]
kind = "scalar"
bounds = [0, 120]
sensitivity = 1
epsilon = 0.2
"""
CODE = "leave(mean=float(features[:, 1].mean()), again=float(features[:, 1].mean()))"


@pytest.fixture
def owned(chain, new_account):
    owner = new_account()
    works = chain.contract("Works")
    receipt = chain.sender(owner).send(works.transaction("register(string)", "ipfs://rows"))
    return owner, int(works.logs(receipt, "Registered")[0]["agentId"])


def test_jobs_add_up_on_chain_and_the_one_that_is_too_much_gets_nothing(desk, chain, owned):
    owner, work_id = owned
    budget = PrivacyBudget(chain)
    budget.set_total(owner, work_id, 1.5)
    schema = read_schema(MEAN)
    finished = desk.run(CODE)
    handed_over = []

    def serve(job):
        budget.spend(owner, work_id, job, schema.epsilon)
        decision = decide(schema, Policy(), finished, desk.table)
        assert decision.release is not None
        assert decision.release.epsilon_spent == schema.epsilon
        handed_over.append(decision.files)

    serve(b"\x01" * 32)
    serve(b"\x02" * 32)
    assert budget.of(work_id).spent == 2 * micro(schema.epsilon) == 1_200_000
    with pytest.raises(PaymentError) as refused:
        serve(b"\x03" * 32)
    assert refused.value.code == "data.budget_exhausted"
    assert len(handed_over) == 2
    assert budget.of(work_id).left == 300_000


def test_a_job_that_is_done_again_after_a_crash_spends_once(chain, owned):
    owner, work_id = owned
    budget = PrivacyBudget(chain)
    budget.set_total(owner, work_id, 1.0)
    for _ in range(2):
        budget.spend(owner, work_id, b"\x01" * 32, read_schema(MEAN).epsilon)
    assert budget.of(work_id).spent == 600_000
