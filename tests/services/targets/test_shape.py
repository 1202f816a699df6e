# SPDX-License-Identifier: Apache-2.0
"""What is told of a value's shape without a validator."""

from __future__ import annotations

from typing import Any

import pytest

from koinon.services.targets.shape import problems

SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "who": {"type": ["string", "null"]},
        "list": {"type": "array", "items": {"type": "object", "required": ["a"]}},
        "pick": {"enum": [1, 2]},
    },
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "places"),
    [
        ({"n": 1}, []),
        ({"n": 1.0, "who": None, "list": [{"a": 1}], "pick": 2}, []),
        ([], [""]),
        ({}, ["n"]),
        ({"n": True}, ["n"]),
        ({"n": 1.5}, ["n"]),
        ({"n": 1, "who": 1}, ["who"]),
        ({"n": 1, "list": [{"a": 1}, {}]}, ["list.1.a"]),
        ({"n": 1, "pick": 3}, ["pick"]),
        ({"n": 1, "x": 3}, ["x"]),
        ({"n": 1, "list": [7] * 1000}, [f"list.{number}" for number in range(10)]),
    ],
)
def test_places_of_what_does_not_fit(value: Any, places: list[str]) -> None:
    assert [problem["at"] for problem in problems(SCHEMA, value)] == places


@pytest.mark.parametrize("schema", [None, True, [], {"type": 7}, {"type": "nothing"}, {"properties": []}])
def test_a_schema_that_says_nothing_lets_everything_through(schema: Any) -> None:
    assert problems(schema, {"a": [1]}) == []


def test_a_schema_without_end_is_left_in_time() -> None:
    schema: dict[str, Any] = {"type": "array"}
    schema["items"] = schema
    value: list[Any] = []
    for _ in range(200):
        value = [value]
    assert problems(schema, value) == []
