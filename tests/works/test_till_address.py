# SPDX-License-Identifier: Apache-2.0
"""A till's address and code, computed here and compared with what the contracts make in `contracts/`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.works.shares import WHOLE
from koinon.works.till import Footer, due, read_footer, till_address, till_code

IMPLEMENTATION, REGISTRY = "0x" + "22" * 20, "0x" + "11" * 20


def test_code_and_address_are_the_ones_written_down():
    code = till_code(IMPLEMENTATION, Footer(31_337, REGISTRY, 5))
    assert len(code) == 147
    assert code.hex() == (
        "36600557005b363d3d373d3d3d363d73"
        + "22" * 20
        + "5af43d82803e903d91603157fd5bf3"
        + f"{31_337:064x}"
        + "00" * 12
        + "11" * 20
        + f"{5:064x}"
    )
    assert (
        till_address(IMPLEMENTATION, Footer(31_337, REGISTRY, 5))
        == "0x52272a28a879Ac96DAb6DD43bd93bB3C66C627e2"
    )


@given(st.integers(0, 2**256 - 1), st.integers(0, 2**256 - 1))
def test_the_code_says_whose_till_it_is(chain_id, work_id):
    footer = Footer(chain_id, "0x" + "11" * 20, work_id)
    assert read_footer(till_code(IMPLEMENTATION, footer)) == footer


def test_other_code_is_nobodys():
    code = till_code(IMPLEMENTATION, Footer(1, REGISTRY, 1))
    for other in (b"", code[:-1], code + b"\0", b"\0" + code[1:], code[:40] + b"\0" + code[41:]):
        assert read_footer(other) is None
    assert read_footer(code[:90] + b"\x01" + code[91:]) is None


@pytest.mark.parametrize(
    "footer", [Footer(1, REGISTRY, -1), Footer(1, REGISTRY, 2**256), Footer(-1, REGISTRY, 1)]
)
def test_ids_are_whole_numbers_of_one_word(footer):
    with pytest.raises(BadInput):
        till_code(IMPLEMENTATION, footer)


def test_due_is_clamped_at_both_ends():
    assert due(1000, 0, 0, WHOLE // 4) == 250
    assert due(100, 900, 0, WHOLE // 4) == 100
    assert due(10, 250, 250, WHOLE // 4) == 0
