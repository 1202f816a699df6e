# SPDX-License-Identifier: Apache-2.0
"""What a buyer is told of the noise holds for the noise that the gate makes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from koinon.data.gate import Policy, gate, read_schema
from koinon.data.noise_bounds import noise_bounds
from koinon.tables import Table

SCHEMA = """
[one]
kind = "scalar"
bounds = [0, 10]
sensitivity = 0.5
epsilon = 0.5

[three]
kind = "vector"
length = 3
bounds = [-1, 1]
mechanism = "gaussian"
sensitivity = 0.1
epsilon = 0.5
delta = 1e-7

[groups]
kind = "table"
groups = ["no", "yes"]
by = "label"
values = [0, 1]
bounds = [0, 1000]
sensitivity = 1
epsilon = 0.5
"""
TABLE = Table(np.zeros((200, 1), np.float32), np.arange(200) % 2, ("x",))


@pytest.mark.parametrize("trust", [True, False])
def test_noise_stays_within_what_is_told_19_times_in_20(trust):
    schema = read_schema(SCHEMA)
    policy = Policy(epsilon_per_job=2.0, trust_sensitivity=trust)
    told = noise_bounds(schema, policy, 1)
    left = {
        "result.json": json.dumps({"one": 5, "three": [0, 0, 0], "groups": {"no": 100, "yes": 100}}).encode()
    }
    released = [
        gate(schema, policy, left, TABLE, rng=np.random.default_rng(seed)).results for seed in range(100)
    ]
    moved = {
        "one": [result["one"] - 5 for result in released],
        "three": [result["three"][0] for result in released],
        "groups": [(result["groups"]["no"] or 0) - 100 for result in released],
    }
    for name, values in moved.items():
        within = np.mean(np.abs(values) <= told[name] + 1)
        assert within >= 0.88, (name, within)
        assert np.mean(np.abs(values) <= told[name] * 0.5) < 0.95, name


def test_blocks_divide_the_noise():
    schema = read_schema(SCHEMA.partition("[groups]")[0])
    one, many = noise_bounds(schema, Policy(), 1), noise_bounds(schema, Policy(), 16)
    assert many["one"] == pytest.approx(one["one"] / 16, rel=0.01)
