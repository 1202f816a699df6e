# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.services.prices import to_text, to_units


@pytest.mark.parametrize(
    ("text", "units"),
    [("0.001", 1000), ("1", 1_000_000), ("0.000001", 1), ("2.50", 2_500_000), ("01.5", 1_500_000)],
)
def test_prices_are_whole_units(text: str, units: int) -> None:
    assert to_units(text, 6) == units


@pytest.mark.parametrize(
    "text", ["", "0", "0.0", "-1", "1e3", ".5", "1.", "0.0000001", "1,5", "abc", "١", "1" * 40]
)
def test_what_is_no_price(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        to_units(text, 6)
    assert refused.value.code == "service.price"


@given(st.integers(1, 10**30 - 1), st.integers(0, 18))
def test_text_and_units_are_one(units: int, decimals: int) -> None:
    assert to_units(to_text(units, decimals), decimals) == units
