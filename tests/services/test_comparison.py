# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from koinon.errors import BadInput
from koinon.services.selling.comparison import Comparison


@pytest.mark.parametrize("text", ["exact", "quantised:0.01", "tolerance:1e-6"])
def test_a_rule_is_written_as_it_is_read(text: str) -> None:
    assert str(Comparison.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "exact:1", "about", "quantised", "quantised:0", "quantised:-1", "tolerance:nan", "tolerance:1e-99"],
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        Comparison.parse(text)
    assert refused.value.code == "service.comparison"


@pytest.mark.parametrize(
    ("rule", "one", "other", "same"),
    [
        ("exact", {"a": [1, 0.5, None]}, {"a": [1, 0.5, None]}, True),
        ("exact", 0.1, 0.1 + 1e-16, False),
        ("exact", 0.1, 0.1000001, False),
        ("exact", 1, 1.0, False),
        ("exact", True, 1, False),
        ("quantised:0.01", {"p": 0.12}, {"p": 0.1213}, True),
        ("quantised:0.01", {"p": 0.12}, {"p": 0.13}, False),
        ("quantised:0.01", "0.12", "0.1213", False),
        ("tolerance:1e-3", [0.5, 1], [0.5009, 1.0], True),
        ("tolerance:1e-3", [0.5], [0.502], False),
        ("tolerance:1e-3", [0.5], [0.5, 0.5], False),
        ("tolerance:1e-3", {"a": 1}, {"b": 1}, False),
        ("tolerance:1e-3", float("inf"), float("inf"), True),
        ("tolerance:1e-3", float("nan"), 1.0, False),
    ],
)
def test_answers_are_compared_by_the_rule(rule: str, one: object, other: object, *, same: bool) -> None:
    assert Comparison.parse(rule).same(one, other) is same


def test_a_bottomless_answer_is_the_same_as_nothing() -> None:
    deep: object = 1
    for _ in range(100):
        deep = [deep]
    assert not Comparison().same(deep, deep)
