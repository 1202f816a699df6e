# SPDX-License-Identifier: Apache-2.0
"""The whole way of a result: a program, the sandbox, the gate, what the buyer gets."""

from __future__ import annotations

import json

import numpy as np
import pytest

from koinon.data.gate import Policy, Reason, Refused, Told, gate, read_schema, told

MEAN = """
[mean_age]
kind = "scalar"
bounds = [0, 120]
sensitivity = 1
epsilon = 0.5
"""


def test_a_mean_over_blocks_leaves_with_noise_and_says_what_it_spent(desk):
    code = "leave(mean_age=float(features[:, 1].mean()))"
    blocks = np.array_split(np.arange(len(desk.table)), 40)
    finished = [desk.run(code, table=desk.table.take(rows)) for rows in blocks[:3]]
    assert [told(each.outcome, refused=False) for each in finished] == [Told.RELEASED] * 3
    answers = [
        {"result.json": json.dumps({"mean_age": float(desk.table.features[rows, 1].mean())}).encode()}
        for rows in blocks
    ]
    assert answers[0] == {"result.json": json.dumps(json.loads(finished[0].outputs["result.json"])).encode()}
    released = gate(read_schema(MEAN), Policy(), answers, desk.table, rng=np.random.default_rng(3))
    assert released.epsilon_spent == 0.5
    assert released.delta_spent == 0
    answer = json.loads(released.files["result.json"])["mean_age"]
    real = float(desk.table.features[:, 1].mean())
    assert answer != pytest.approx(real, abs=1e-6)
    assert answer == pytest.approx(real, abs=10 * 120 / 40 / 0.5)
    assert set(released.files) == {"result.json"}


def test_more_epsilon_than_a_job_may_spend_is_refused(desk):
    schema = read_schema(MEAN.replace("0.5", "1.5"))
    with pytest.raises(Refused) as refused:
        gate(schema, Policy(), {"result.json": b'{"mean_age":50}'}, desk.table)
    assert refused.value.reason is Reason.BUDGET
