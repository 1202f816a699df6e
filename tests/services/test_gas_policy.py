# SPDX-License-Identifier: Apache-2.0
"""When vouchers are claimed: worth their gas, or out of time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from koinon.services.gateway.gas_policy import CLAIM_GAS, ROW_GAS, SETTLE_GAS, GasPolicy, Owing

GWEI = 10**9
DOLLAR = 10**6
POLICY = GasPolicy(coins_per_ether=2500 * DOLLAR)
"""2,500 dollars an ETH: at 1 gwei a claim of one channel and its settling cost 0.32 dollars."""


def owing(dollars: float, *, age_s: float = 0, leaving: bool = False, till: str = "a") -> Owing:
    return Owing(round(dollars * DOLLAR), age_s, 900, leaving, till)


def test_gas_is_a_small_part_of_what_it_brings_in() -> None:
    assert POLICY.choose([owing(3)], GWEI, ripe=True) == [], "0.32 of 3 dollars is more than 5 %"
    assert POLICY.choose([owing(8)], GWEI, ripe=True) == [0]
    assert POLICY.choose([owing(8)], GWEI, ripe=False) == [], "not yet"
    assert POLICY.choose([owing(0.4)] * 60, GWEI, ripe=True) == [], "24 dollars, of which gas takes 3"
    assert POLICY.choose([owing(2)] * 60, GWEI, ripe=True) == list(range(60))
    assert POLICY.choose([owing(8)], 10 * GWEI, ripe=True) == [], "gas is dear today"


def test_a_row_that_owes_less_than_its_gas_waits() -> None:
    assert POLICY.choose([owing(20), owing(0.01), owing(20)], GWEI, ripe=True) == [0, 2]


def test_a_withdrawal_and_half_its_delay_do_not_wait() -> None:
    assert POLICY.choose([owing(3, leaving=True), owing(3)], GWEI, ripe=False) == [0]
    assert POLICY.choose([owing(3, age_s=449)], GWEI, ripe=False) == []
    assert POLICY.choose([owing(3, age_s=450)], GWEI, ripe=False) == [0]
    assert POLICY.choose([owing(0.2, leaving=True)], GWEI, ripe=True) == [], (
        "it would cost more than it brings"
    )


def test_where_gas_is_free_everything_is_claimed_in_time() -> None:
    assert GasPolicy().choose([owing(0.000001)], GWEI, ripe=True) == [0]
    assert GasPolicy().choose([owing(0.000001)], GWEI, ripe=False) == []


def test_where_nobody_said_what_gas_costs_only_what_cannot_wait_is_claimed() -> None:
    policy = GasPolicy(coins_per_ether=None)
    assert policy.choose([owing(1000)], GWEI, ripe=True) == []
    assert policy.choose([owing(1000), owing(1, leaving=True)], GWEI, ripe=True) == [1]


@given(
    st.lists(st.builds(owing, st.floats(0, 50), age_s=st.floats(0, 900), leaving=st.booleans())),
    st.integers(1, 500 * GWEI),
    st.booleans(),
)
def test_no_claim_costs_more_than_it_brings(rows: list[Owing], gas_price: int, ripe: bool) -> None:
    chosen = POLICY.choose(rows, gas_price, ripe=ripe)
    gas = CLAIM_GAS + ROW_GAS * len(chosen) + SETTLE_GAS
    assert not chosen or sum(rows[place].amount for place in chosen) > POLICY.cost(gas, gas_price)
