# SPDX-License-Identifier: Apache-2.0
"""Forms from JSON Schemas, a stranger's too, and what people write into them."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Base64Bytes, BaseModel, Field, TypeAdapter

from koinon.errors import BadInput
from koinon.services.buying.answers import read_form
from koinon.services.buying.form import MOST_FIELDS, form_of, has_file


class Street(BaseModel):
    name: Annotated[str, Field(min_length=2, max_length=20)]
    number: int | None = None


class Order(BaseModel):
    amount: Annotated[float, Field(gt=0, le=1_000, description="In coins.")]
    count: Annotated[int, Field(ge=1)] = 1
    kind: Literal["plain", "fancy"] = "plain"
    fast: bool | None = None
    tags: list[str] = []
    sizes: list[int] = []
    street: Street | None = None
    photo: Base64Bytes | None = None
    matrix: list[list[float]] = []
    extra: dict[str, int] = {}


SCHEMA = TypeAdapter(Order).json_schema()


def fields():
    form = form_of(SCHEMA, {"amount": 2.5, "tags": ["a", "b"]})
    assert form is not None
    return form


def read(**given):
    return read_form(fields(), {f"input_{name}": text for name, text in given.items()})


def test_each_input_becomes_what_holds_it():
    kinds = {field.label: field.kind for field in fields()}
    assert kinds == {
        "amount": "number", "count": "integer", "kind": "choice", "fast": "boolean", "tags": "list",
        "sizes": "list", "street": "object", "photo": "file", "matrix": "json", "extra": "json",
    }  # fmt: skip
    by_name = {field.label: field for field in fields()}
    assert (by_name["amount"].least, by_name["amount"].above, by_name["amount"].most) == (0.0, True, 1_000.0)
    assert by_name["amount"].hint == "In coins."
    assert by_name["amount"].example == "2.5"
    assert by_name["tags"].example == "a\nb"
    assert by_name["sizes"].of == "integer"
    assert [field.name for field in by_name["street"].fields] == ["input_street.name", "input_street.number"]
    assert has_file(fields())


def test_what_is_written_is_what_the_service_takes():
    body = read(
        amount="2.5", count="3", kind="fancy", fast="yes", tags=" x \n\ny\n", sizes="1\n2", photo="YWJj",
        matrix="[[1, 2]]", extra='{"a": 1}', **{"street.name": "Zhongshan", "street.number": "12"},
    )  # fmt: skip
    assert body == {
        "amount": 2.5, "count": 3, "kind": "fancy", "fast": True, "tags": ["x", "y"], "sizes": [1, 2],
        "street": {"name": "Zhongshan", "number": 12}, "photo": "YWJj", "matrix": [[1, 2]], "extra": {"a": 1},
    }  # fmt: skip
    assert Order.model_validate(body).photo == b"abc"
    assert read(amount="1") == {"amount": 1.0}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "amount is missing."),
        ({"amount": "0"}, "amount must be more than 0."),
        ({"amount": "1001"}, "amount must be at most 1000."),
        ({"amount": "1", "count": "0"}, "count must be at least 1."),
        ({"amount": "1", "count": "9" * 5_000}, "count is not a whole number."),
        ({"amount": "1", "kind": "odd"}, "kind is not one of the choices."),
        ({"amount": "1", "fast": "maybe"}, "fast is yes or no."),
        ({"amount": "1", "sizes": "1\ntwo"}, "sizes is not a whole number."),
        ({"amount": "1", "street.name": "x"}, "name needs at least 2 characters."),
        ({"amount": "1", "street.name": "x" * 21}, "name has at most 20 characters."),
        ({"amount": "1", "street.number": "3"}, "name is missing."),
        ({"amount": "1", "matrix": "[["}, "matrix is not JSON."),
        ({"amount": "1", "tags": "x\n" * 10_001}, "tags has more than 10,000 lines."),
    ],
)
def test_what_is_wrong_is_said_of_its_input(given, said):
    with pytest.raises(BadInput) as refused:
        read(**given)
    assert refused.value.message == said
    assert refused.value.code == "service.arguments"


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"properties": []},
        {"properties": {"a": {}}, "additionalProperties": True},
        {"properties": {str(n): {"type": "number"} for n in range(MOST_FIELDS + 1)}},
        {"properties": {"x" * 101: {"type": "number"}}},
    ],
)
def test_a_schema_that_makes_no_form_is_typed_as_json(schema):
    assert form_of(schema, {}) is None


def test_objects_within_objects_without_an_end_have_one_here():
    endless: dict[str, Any] = {
        "$defs": {
            "N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}, "m": {"$ref": "#/$defs/N"}}}
        },
        "properties": {"n": {"$ref": "#/$defs/N"}},
    }
    form = form_of(endless, {})
    assert form is None or len(str(form)) < 100_000
    circle = {
        "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}},
        "properties": {"a": {"$ref": "#/$defs/A"}},
    }
    form = form_of(circle, {})
    assert form is not None
    assert form[0].kind == "json"


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "items",
                    "enum",
                    "const",
                    "anyOf",
                    "$ref",
                    "required",
                    "minimum",
                    "format",
                    "a",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(
    st.dictionaries(st.sampled_from(["a", "b"]), json_values, min_size=1), json_values, st.text(max_size=9)
)
def test_any_strangers_schema_makes_a_form_or_none_and_never_an_error(properties, example, text):
    form = form_of({"properties": properties, "required": ["a"]}, {"a": example})
    if form is not None:
        with suppress(BadInput):
            read_form(form, {field.name: text for field in form})
