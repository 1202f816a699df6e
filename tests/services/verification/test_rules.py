# SPDX-License-Identifier: Apache-2.0
"""The rules by which answers are compared, and the stake that makes lying a loss, as properties."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.services.selling.comparison import Comparison
from koinon.services.verification.stake import answers_covered, deterrent, least_stake

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False) | st.integers(-(10**6), 10**6)
ANSWERS = st.recursive(
    NUMBERS | st.booleans() | st.none() | st.text(max_size=4),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=3), parts, max_size=3),
    max_leaves=8,
)
RULES = [
    Comparison.parse(text) for text in ("exact", "quantised:0.01", "quantised:0.01:0.002", "tolerance:1e-3")
]


@given(ANSWERS, st.sampled_from(RULES))
def test_every_answer_is_the_same_as_itself(answer: Any, rule: Comparison) -> None:
    assert rule.same(answer, answer)


@given(ANSWERS, ANSWERS, st.sampled_from(RULES))
def test_it_does_not_matter_which_answer_comes_first(one: Any, other: Any, rule: Comparison) -> None:
    assert rule.same(one, other) == rule.same(other, one)


@given(ANSWERS, ANSWERS)
def test_what_is_exactly_the_same_is_the_same_by_every_rule(one: Any, other: Any) -> None:
    if RULES[0].same(one, other):
        assert all(rule.same(one, other) for rule in RULES)


@given(NUMBERS, st.floats(-0.02, 0.02))
def test_a_guard_band_only_ever_lets_more_pass(number: float, noise: float) -> None:
    plain, guarded = RULES[1], RULES[2]
    if plain.same(float(number), number + noise):
        assert guarded.same(float(number), number + noise)


@given(st.integers(-(10**4), 10**4), st.integers(-9, 9), st.integers(-9, 9))
def test_noise_within_the_guard_never_fails_and_beyond_a_cell_never_passes(
    line: int, one: int, other: int
) -> None:
    """On both sides of a grid line, in ten-thousandths: within the guard the same, however the line falls."""
    rule = Comparison.parse("quantised:0.01:0.002")
    boundary = Decimal(line) / 100 + Decimal("0.005")
    first, second = (float(boundary + Decimal(step) / 10_000) for step in (one, other))
    if abs(one - other) <= 20:
        assert rule.same(first, second)
    assert not rule.same(first, first + 0.0125)


@given(NUMBERS, st.floats(0, 1, allow_nan=False))
def test_tolerance_is_its_epsilon_to_the_digit(number: float, step: float) -> None:
    other = number + step
    wanted = abs(Decimal(repr(number)) - Decimal(repr(other))) <= Decimal("1e-3")
    assert RULES[3].same(number, other) == wanted


@pytest.mark.parametrize(
    "text", ["quantised:0.01:", "quantised:0.01:0.005", "quantised:0.01:0", "tolerance:1:1"]
)
def test_guards_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        Comparison.parse(text)


def test_a_guard_is_written_as_it_is_read() -> None:
    assert str(Comparison.parse("quantised:0.01:0.002")) == "quantised:0.01:0.002"


# --- the stake -------------------------------------------------------------------------------------------


@given(
    fee=st.integers(1, 10**9),
    audit_ppm=st.integers(1, 10**6),
    bounty_bps=st.integers(0, 9_999),
    answers=st.integers(1, 60),
)
def test_with_the_least_stake_no_number_of_lies_pays(
    fee: int, audit_ppm: int, bounty_bps: int, answers: int
) -> None:
    stake = least_stake(fee, audit_ppm, bounty_bps=bounty_bps, fees=answers * fee)
    lost = Fraction(stake * (10_000 - bounty_bps), 10_000)
    missed = Fraction(10**6 - audit_ppm, 10**6)
    for lies in range(1, answers + 1):
        assert lies * fee < lost * (1 - missed**lies)


@given(fee=st.integers(1, 10**9), audit_ppm=st.integers(1, 10**6))
def test_the_least_stake_is_above_the_formula_for_one_answer(fee: int, audit_ppm: int) -> None:
    rate = Fraction(audit_ppm, 10**6)
    assert least_stake(fee, audit_ppm) > fee * (1 - rate) / rate


@given(
    stake=st.integers(1, 10**12),
    fee=st.integers(1, 10**6),
    audit_ppm=st.integers(1, 10**6),
    bounty_bps=st.integers(0, 9_999),
)
def test_a_stake_covers_so_many_answers_and_not_one_more(
    stake: int, fee: int, audit_ppm: int, bounty_bps: int
) -> None:
    count = answers_covered(stake, fee, audit_ppm, bounty_bps=bounty_bps)
    assert least_stake(fee, audit_ppm, bounty_bps=bounty_bps, fees=(count + 1) * fee) > stake
    if count:
        assert least_stake(fee, audit_ppm, bounty_bps=bounty_bps, fees=count * fee) <= stake


@pytest.mark.parametrize("rate", [0, -1, 1_000_001])
def test_audit_rates_that_are_none_are_refused(rate: int) -> None:
    with pytest.raises(BadInput):
        deterrent(1, rate)


def test_fees_and_bounties_that_are_none_are_refused() -> None:
    with pytest.raises(BadInput):
        deterrent(-1, 1)
    with pytest.raises(BadInput):
        least_stake(1, 1, bounty_bps=10_000)
