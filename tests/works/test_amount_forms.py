# SPDX-License-Identifier: Apache-2.0
"""Amounts as people type them: commas between thousands, and none that could be a decimal point."""

from __future__ import annotations

import pytest

from koinon.errors import BadInput
from koinon.web import Unit
from koinon.works.forms import read_amount

COIN = Unit("tUSD", 6)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("1", 1_000_000),
        ("0.25", 250_000),
        (".5", 500_000),
        ("1,500", 1_500_000_000),
        (" 1,234,567.5 ", 1_234_567_500_000),
        ("12,345", 12_345_000_000),
    ],
)
def test_an_amount_is_read_to_the_unit(text, units):
    assert read_amount(text, COIN, text) == units


@pytest.mark.parametrize(
    "text", ["1,5", "1,50", "0,25", "1,5000", ",500", "1,", "1,,000", "12,34,567", "1.0,5", ""]
)
def test_a_comma_elsewhere_is_no_amount(text):
    with pytest.raises(BadInput, match="not an amount"):
        read_amount(text, COIN, text)
