# SPDX-License-Identifier: Apache-2.0
"""What a buyer may declare, and that files must be what was declared."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.data.gate import Policy, Reason, Refused, read_schema
from koinon.data.gate.outputs import read_outputs, write_results
from koinon.errors import BadInput

ALL = """
[mean_age]
kind = "scalar"
bounds = [0, 120]
sensitivity = 0.012
epsilon = 0.5

[slope]
kind = "vector"
length = 3
bounds = [-10, 10]
mechanism = "gaussian"
sensitivity = 0.1
epsilon = 0.3
delta = 1e-7

[by_region]
kind = "table"
groups = ["north", "south"]
by = "region"
values = [0, 1]
bounds = [0, 100000]
sensitivity = 1
epsilon = 0.1
value = {bounds = [0, 50], sensitivity = 2, epsilon = 0.05}

[model]
kind = "model"
size = 3
form = "logistic"
bounds = [-20, 20]

[verdict]
kind = "choice"
options = ["yes", "no"]
"""
RESULT = {
    "mean_age": 41,
    "slope": [1, -20, 3.5],
    "by_region": {"north": {"count": 7, "value": 1.5}, "south": {"count": 9, "value": 60}},
    "verdict": "no",
}
VECTOR = np.array([1, -30, 2], "<f4").tobytes()


def files(**changes):
    return {"result.json": json.dumps({**RESULT, **changes}).encode(), "model.f32": VECTOR}


def refused(files, policy=None, text=ALL):
    with pytest.raises(Refused) as found:
        read_outputs(read_schema(text), policy or Policy(), files)
    return found.value


def test_a_declaration_is_read_whole_in_toml_or_json():
    schema = read_schema(ALL)
    assert [output.name for output in schema.outputs] == [
        "by_region",
        "mean_age",
        "model",
        "slope",
        "verdict",
    ]
    assert schema.epsilon == pytest.approx(0.5 + 0.3 + 0.1 + 0.05)
    assert schema.delta == 1e-7
    assert schema.files == {"result.json", "model.f32"}
    assert schema.digest == hashlib.sha256(ALL.encode()).digest()
    again = read_schema('{"mean": {"kind": "scalar", "bounds": [0, 1], "sensitivity": 1, "epsilon": 0.5}}')
    assert again.epsilon == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "declares nothing"),
        ("[a", "cannot be read"),
        ("{" * 5000, "cannot be read"),
        ("a = 1", "names no output"),
        ('["../x"]\nkind = "scalar"', "names no output"),
        ('[a]\nkind = "text"', "the kind"),
        ('[a]\nkind = "scalar"\nbounds = [0, 1]\nsize = 3', "the field"),
        ('[a]\nkind = "scalar"', "no bounds"),
        ('[a]\nkind = "scalar"\nbounds = [1, 0]', "bounds from"),
        ('[a]\nkind = "scalar"\nbounds = [0, nan]', "bounds"),
        ('[a]\nkind = "scalar"\nbounds = [0, 1e200]', "bounds"),
        ('[a]\nkind = "scalar"\nbounds = [0, true]', "bounds"),
        ('[a]\nkind = "scalar"\nbounds = [0, 1]\nepsilon = 1', "no sensitivity"),
        ('[a]\nkind = "scalar"\nbounds = [0, 1]\nsensitivity = 1', "epsilon"),
        ('[a]\nkind = "scalar"\nbounds = [0, 1]\nsensitivity = 1\nepsilon = -1', "cannot be made"),
        ('[a]\nkind = "scalar"\nbounds = [0, 1]\nsensitivity = 1\nepsilon = 1e-9', "cannot be made"),
        ('[a]\nkind = "scalar"\nbounds = [0, 1]\nsensitivity = 0\nepsilon = 1', "cannot be made"),
        ('[a]\nkind = "scalar"\nbounds = [0, 1]\nsensitivity = 1\nepsilon = 1\ndelta = 0.1', "delta"),
        (
            '[a]\nkind = "scalar"\nbounds = [0, 1]\nsensitivity = 1\nepsilon = 2\n'
            'delta = 1e-6\nmechanism = "gaussian"',
            "an epsilon of 2",
        ),
        ('[a]\nkind = "vector"\nbounds = [0, 1]\nlength = 0', "the length"),
        ('[a]\nkind = "model"\nbounds = [0, 1]\nsize = 99999999', "the size"),
        ('[a]\nkind = "choice"\noptions = ["a", "a"]', "different words"),
        ('[a]\nkind = "table"\nbounds = [0, 9]\ngroups = []', "different words"),
        ('[a]\nkind = "table"\nbounds = [0, 9]', "no groups"),
        ('[a]\nkind = "table"\nbounds = [0, 1e20]\ngroups = ["b"]', "counts beyond any"),
        ('[a]\nkind = "table"\nbounds = [0, 9]\ngroups = ["b"]\nby = "x"', "how a is grouped"),
        ('[a]\nkind = "table"\nbounds = [0, 9]\ngroups = ["b", "c"]\nby = "x"\nvalues = [1, 1]', "one value"),
        (
            '[a]\nkind = "table"\nbounds = [0, 9]\ngroups = ["b", "c"]\nby = "x"\nedges = [1, 0, 2]',
            "one value",
        ),
    ],
)
def test_a_declaration_that_cannot_be_kept_is_refused_with_the_reason(text, said):
    with pytest.raises(BadInput) as found:
        read_schema(text)
    assert said in found.value.message
    assert found.value.code == "gate.declaration"


def test_what_was_declared_is_read_and_clipped_to_its_bounds():
    values, choices = read_outputs(read_schema(ALL), Policy(), files())
    assert choices == {"verdict": "no"}
    assert {name: list(numbers) for name, numbers in values.items()} == {
        "mean_age": [41],
        "slope": [1, -10, 3.5],
        "by_region": [7, 9],
        "by_region.value": [1.5, 50],
        "model": [1, -20, 2],
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": 1},
        {"mean_age": "41"},
        {"mean_age": [41]},
        {"mean_age": True},
        {"mean_age": None},
        {"mean_age": 10**400},
        {"slope": [1, 2]},
        {"slope": [1, 2, "3"]},
        {"by_region": {"north": {"count": 1, "value": 1}}},
        {"by_region": {"north": {"count": 1}, "south": {"count": 1}}},
        {"by_region": {"north": {"count": 1.5, "value": 1}, "south": {"count": 1, "value": 1}}},
        {"by_region": {"north": {"count": -1, "value": 1}, "south": {"count": 1, "value": 1}}},
        {"verdict": "perhaps"},
        {"verdict": 1},
    ],
)
def test_a_result_of_another_shape_does_not_leave(changes):
    assert refused(files(**changes)).reason is Reason.SCHEMA


@pytest.mark.parametrize(
    "result",
    [
        b"",
        b"[1]",
        b"\xff\xfe",
        b'{"mean": NaN}',
        b'{"mean": Infinity}',
        b'{"mean": 1e999}',
        b'{"mean": 1, "mean": 2}',
        b"[" * 60_000,
    ],
)
def test_json_that_is_none_does_not_leave(result):
    text = '[mean]\nkind = "scalar"\nbounds = [0, 1]'
    assert refused({"result.json": result}, text=text).reason is Reason.SCHEMA


def test_files_that_were_not_declared_or_are_missing():
    assert refused({**files(), "rows.csv": b"1,2"}).reason is Reason.SCHEMA
    assert refused({"result.json": files()["result.json"]}).reason is Reason.SCHEMA
    assert refused({**files(), "model.f32": VECTOR + b"0"}).reason is Reason.SCHEMA
    assert refused({**files(), "model.f32": np.full(3, np.nan, "<f4").tobytes()}).reason is Reason.SCHEMA


def test_more_bytes_than_the_owner_allows():
    assert refused(files(), Policy(output_bytes=50)).reason is Reason.BYTES
    assert refused(files(), Policy(model_bytes=11)).reason is Reason.BYTES
    padded = {**files(), "result.json": files()["result.json"] + b" " * 70_000}
    assert refused(padded).reason is Reason.BYTES


def test_what_leaves_is_written_anew_so_that_spaces_order_and_digits_carry_nothing():
    schema = read_schema('[a]\nkind = "scalar"\nbounds = [0, 9]\n[b]\nkind = "scalar"\nbounds = [0, 9]')
    ways = [b'{"a":1,"b":2}', b'{ "b": 2.000,\n"a":   1e0 }', b'{"b":0.2e1,"\\u0061":1.0}']
    written = set()
    for way in ways:
        values, _choices = read_outputs(schema, Policy(), {"result.json": way})
        written.add(write_results({name: numbers[0] for name, numbers in values.items()}))
    assert written == {b'{"a":1.0,"b":2.0}'}


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@settings(max_examples=100)
def test_whatever_bytes_a_program_leaves_the_answer_is_values_or_a_refusal(content):
    schema = read_schema('[a]\nkind = "scalar"\nbounds = [0, 9]')
    try:
        values, _choices = read_outputs(schema, Policy(), {"result.json": content})
    except Refused:
        return
    assert 0 <= values["a"][0] <= 9


@given(st.text(max_size=80))
@settings(max_examples=100)
def test_whatever_text_is_declared_the_answer_is_a_declaration_or_a_refusal(text):
    try:
        schema = read_schema(text)
    except BadInput:
        return
    assert schema.outputs
