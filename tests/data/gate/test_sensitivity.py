# SPDX-License-Identifier: Apache-2.0
"""What a declared sensitivity is worth when it is a lie."""

from __future__ import annotations

import json

import numpy as np
import pytest

from koinon.data.gate import Policy, Told, decide, gate, read_schema
from tests.data.gate.support import make_table

BOUNDS = 20_000.0
LIE = f"""
[mean]
kind = "scalar"
bounds = [0, {BOUNDS}]
sensitivity = 1e-9
epsilon = 1
"""
STEAL = """
leave(mean=float(features[0, 0]))
"""
"""Says that it averages, and tells the income of one customer."""


def answers(policy, outputs, table, text=LIE, runs=200):
    schema = read_schema(text)
    return np.array(
        [
            gate(schema, policy, outputs, table, rng=np.random.default_rng(seed)).results["mean"]
            for seed in range(runs)
        ]
    )


def test_a_false_sensitivity_buys_no_less_noise_from_an_owner_who_trusts_nobody(desk):
    finished = desk.run(STEAL)
    income = float(desk.table.features[0, 0])
    assert json.loads(finished.outputs["result.json"])["mean"] == pytest.approx(income)
    told = answers(Policy(), finished.outputs, desk.table)
    assert np.abs(told - income).mean() == pytest.approx(BOUNDS, rel=0.3)


def test_over_blocks_one_row_moves_the_answer_by_its_share_and_the_noise_covers_that(desk):
    blocks = [desk.table.take(rows) for rows in np.array_split(np.arange(400), 40)]
    steals = """
    there = features[0, 0] == INCOME
    leave(mean=20_000.0 if there else 0.0)
    """.replace("INCOME", repr(float(desk.table.features[0, 0])))
    there, not_there = (desk.run(steals, table=blocks[number]) for number in (0, 1))
    assert json.loads(there.outputs["result.json"]) != json.loads(not_there.outputs["result.json"])
    told = answers(Policy(), [there.outputs, *[not_there.outputs] * 39], desk.table)
    without = answers(Policy(), [not_there.outputs] * 40, desk.table)
    width = BOUNDS / 40
    assert np.median(told) - np.median(without) == pytest.approx(width, abs=1e-6 * width)
    assert np.abs(without).mean() == pytest.approx(width, rel=0.3)


def test_two_neighbouring_tables_are_told_apart_by_no_more_than_epsilon():
    """Over the answers of a lying program: the chances of any interval differ by at most e^ε."""
    table = make_table(100)
    text = LIE.replace("epsilon = 1", "epsilon = 0.7").replace(str(BOUNDS), "8")
    one, other = (
        answers(Policy(), [{"result.json": b'{"mean":%d}' % first}] + [{"result.json": b'{"mean":0}'}] * 7,
                table, text, runs=1500)
        for first in (0, 8)
    )  # fmt: skip
    for edge in np.arange(-2, 3.1, 0.5):
        chances = sorted([float((one > edge).mean()), float((other > edge).mean())])
        assert chances[1] <= chances[0] * np.exp(0.7) * 1.2 + 0.03


def test_an_owner_who_trusts_a_liar_gets_a_lie():
    """The reason why `trust_sensitivity` is off: it is for programs that the owner has read."""
    table = make_table(100)
    income = float(table.features[0, 0])
    outputs = {"result.json": json.dumps({"mean": income}).encode()}
    told = answers(Policy(trust_sensitivity=True), outputs, table, runs=3)
    assert told == pytest.approx(income, abs=1e-3)


def test_a_true_sensitivity_of_a_trusted_program_gives_useful_numbers(desk):
    text = LIE.replace("1e-9", str(BOUNDS / 400))
    finished = desk.run("leave(mean=float(features[:, 0].clip(0, 20_000).mean()))")
    told = answers(Policy(trust_sensitivity=True), finished.outputs, desk.table, text, runs=60)
    real = desk.table.features[:, 0].clip(0, BOUNDS).mean()
    assert np.abs(told - real).mean() == pytest.approx(BOUNDS / 400, rel=0.5)


def test_a_sensitivity_above_the_bounds_is_not_needed():
    table = make_table(50)
    text = LIE.replace("1e-9", "1e90")
    told = answers(Policy(trust_sensitivity=True), {"result.json": b'{"mean":0}'}, table, text, runs=60)
    assert np.abs(told).mean() == pytest.approx(BOUNDS, rel=0.5)


def test_a_job_whose_every_run_failed_is_noise_around_the_middle():
    told = answers(Policy(), [None] * 40, make_table(50))
    assert np.median(told) == pytest.approx(BOUNDS / 2, abs=2 * BOUNDS / 40)
    decision = decide(read_schema(LIE), Policy(), [], make_table(50))
    assert decision.told is Told.REFUSED


def test_a_vector_pays_for_each_of_its_numbers():
    text = '[mean]\nkind = "vector"\nlength = 10\nbounds = [0, 1]\nsensitivity = 1\nepsilon = 1'
    outputs = {"result.json": json.dumps({"mean": [0.5] * 10}).encode()}
    told = answers(Policy(), outputs, make_table(50), text)
    assert np.abs(told - 0.5).mean() == pytest.approx(10, rel=0.15)
    gaussian = text + '\nmechanism = "gaussian"\ndelta = 1e-6'
    told = answers(Policy(), outputs, make_table(50), gaussian)
    assert told.std() == pytest.approx(np.sqrt(10) * np.sqrt(2 * np.log(1.25e6)), rel=0.1)
