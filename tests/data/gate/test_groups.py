# SPDX-License-Identifier: Apache-2.0
"""Groups: counted by the gate again, and not shown where they are small."""

from __future__ import annotations

import json

import numpy as np
import pytest

from koinon.data.gate import Policy, Reason, Refused, decide, gate, read_schema
from koinon.errors import BadInput
from koinon.tables import Table
from tests.data.gate.support import OPEN, make_table

GROUPS = """
[by_age]
kind = "table"
groups = ["young", "middle", "old"]
by = "age"
edges = [0, 30, 60, 200]
bounds = [0, 1000]
"""
NOISED = "sensitivity = 1\nepsilon = 1\n"


def aged(young=5, middle=60, old=35):
    table = make_table(young + middle + old)
    ages = np.concatenate([np.full(young, 20), np.full(middle, 45), np.full(old, 70)])
    features = table.features.copy()
    features[:, 1] = ages
    return Table(features, table.labels, table.columns)


COUNT = """
counts = numpy.histogram(features[:, 1], [0, 30, 60, 200])[0]
leave(by_age=dict(zip(["young", "middle", "old"], counts.tolist())))
"""
NAMES = ("young", "middle", "old")


def test_a_group_that_is_too_small_is_not_shown(desk):
    table = aged()
    finished = desk.run(COUNT, table=table)
    decision = decide(read_schema(GROUPS), OPEN, finished, table)
    assert decision.files == {"result.json": b'{"by_age":{"middle":60,"old":35,"young":null}}'}


def test_a_number_of_a_group_that_is_too_small_is_not_shown_either():
    table = aged()
    text = GROUPS + "value = {bounds = [0, 50000]}"
    told = {
        name: {"count": count, "value": 3.5}
        for name, count in zip(("young", "middle", "old"), (5, 60, 35), strict=True)
    }
    released = gate(read_schema(text), OPEN, {"result.json": json.dumps({"by_age": told}).encode()}, table)
    assert released.results["by_age"]["young"] == {"count": None, "value": None}
    assert released.results["by_age"]["old"] == {"count": 35, "value": 3.5}


@pytest.mark.parametrize("counts", [(50, 60, 35), (5, 60, 36), (4, 60, 35)])
def test_a_program_that_counts_otherwise_than_the_data_is_refused(counts):
    told = dict(zip(NAMES, counts, strict=True))
    outputs = {"result.json": json.dumps({"by_age": told}).encode()}
    with pytest.raises(Refused) as refused:
        gate(read_schema(GROUPS), OPEN, outputs, aged())
    assert refused.value.reason is Reason.GROUP


@pytest.mark.parametrize("outputs", [{"result.json": b'{"by_age":{"young":50,"middle":0,"old":999}}'}, None])
def test_with_noise_the_gate_counts_by_itself_whatever_the_program_says(outputs):
    table, schema, open_to_all = aged(), read_schema(GROUPS + NOISED), Policy(min_group=0)
    counts = []
    for seed in range(300):
        released = gate(schema, open_to_all, outputs, table, rng=np.random.default_rng(seed))
        counts.append([count or 0 for count in released.results["by_age"].values()])
    assert np.abs(np.median(counts, axis=0) - [5, 60, 35]).max() <= 1
    assert np.abs(np.array(counts) - [5, 60, 35]).mean() < 1.5


def test_with_noise_a_group_is_small_by_what_is_shown_of_it():
    table, schema = aged(young=10), read_schema(GROUPS + NOISED)
    shown = {
        gate(schema, Policy(), None, table, rng=np.random.default_rng(seed)).results["by_age"]["young"]
        for seed in range(100)
    }
    assert None in shown
    assert min(count for count in shown if count is not None) == 10


def test_a_trusted_program_may_count_fewer_rows_than_there_are_and_never_more():
    table, trusting = aged(), Policy(trust_sensitivity=True)
    fewer = {"result.json": b'{"by_age":{"young":0,"middle":30,"old":35}}'}
    released = gate(read_schema(GROUPS + NOISED), trusting, fewer, table, rng=np.random.default_rng(1))
    assert released.results["by_age"]["middle"] == pytest.approx(30, abs=12)
    with pytest.raises(Refused):
        gate(
            read_schema(GROUPS + NOISED),
            trusting,
            {"result.json": b'{"by_age":{"young":6,"middle":0,"old":0}}'},
            table,
        )


def test_groups_by_value_and_by_label():
    table = make_table(200)
    text = '[a]\nkind = "table"\ngroups = ["no", "yes"]\nby = "{}"\nvalues = [0, 1]\nbounds = [0, 999]'
    for by, column in (("member", table.features[:, 2]), ("label", table.labels)):
        counts = [int((column == value).sum()) for value in (0, 1)]
        outputs = {"result.json": json.dumps({"a": dict(zip(("no", "yes"), counts, strict=True))}).encode()}
        assert gate(read_schema(text.format(by)), OPEN, outputs, table).results["a"] == {
            "no": counts[0],
            "yes": counts[1],
        }


def test_data_of_a_few_rows_tell_nothing_at_all():
    with pytest.raises(Refused) as refused:
        gate(read_schema(GROUPS + NOISED), Policy(), {}, make_table(9))
    assert refused.value.reason is Reason.GROUP


def test_tables_and_choices_of_several_runs_are_not_averaged():
    for text in (GROUPS, '[a]\nkind = "choice"\noptions = ["x", "y"]'):
        with pytest.raises(Refused) as refused:
            gate(read_schema(text), OPEN, [{}, {}], aged())
        assert refused.value.reason is Reason.SCHEMA
    with pytest.raises(Refused):
        gate(read_schema(GROUPS + NOISED), Policy(), [], aged())


def test_counts_beyond_any_cannot_be_declared():
    with pytest.raises(BadInput):
        read_schema(GROUPS.replace("1000", "1e80") + NOISED)
