# SPDX-License-Identifier: Apache-2.0
"""Nothing that happens later, and nothing worth less than dust, moves a feature by one bit."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.lending.features.catalogue import NAMES
from koinon.lending.features.compute import feature_table, features
from koinon.lending.features.point_in_time import Options
from koinon.markets.history.history import History
from tests.lending.features.chronicle import DOLLAR, ETHER, FACTS, FAKE, Chronicle, role

PEOPLE = ("a", "b", "c", "listed")
OPTIONS = Options(dust_value=10, reference=ETHER, listed=frozenset({role("listed")}))

person = st.sampled_from(PEOPLE)
amount = st.sampled_from([0.0, 0.5, 9.99, 10, 333.33, 25_000])
step = st.one_of(
    st.tuples(st.just("pay"), person, person, amount),
    st.tuples(st.just("pledge"), person, st.sampled_from([0.001, 1.0, 7.3])),
    st.tuples(st.just("borrow"), person, amount),
    st.tuples(st.just("repay"), person, amount, person),
    st.tuples(st.just("liquidate"), person, amount, st.sampled_from([0.1, 2.0])),
    st.tuples(st.just("price"), st.sampled_from([900.0, 1_500.0, 2_345.67])),
    st.tuples(st.just("reserves"), st.just(50.0), st.sampled_from([40_000.0, 99_999.0])),
)
steps = st.lists(st.tuples(st.integers(0, 60), step), min_size=1, max_size=25)


def told(story: list[tuple[int, tuple]], chronicle: Chronicle | None = None) -> Chronicle:
    chronicle = chronicle or Chronicle()
    for wait, (name, *arguments) in story:
        getattr(chronicle.wait(blocks=wait), name)(*arguments)
    return chronicle


@settings(max_examples=25)
@given(steps, steps, st.data())
def test_later_blocks_change_nothing(before, after, data):
    """The same bits, asked of the past alone, of the whole chain, one by one or all at once."""
    chronicle = told(before)
    last, past = chronicle.block, History.of(chronicle.rows, FACTS)
    whole = told(after, chronicle.wait(blocks=1)).history()
    blocks = [data.draw(st.integers(0, last), label="block") for _ in PEOPLE]
    subjects = [role(name) for name in PEOPLE]
    of_past = feature_table(past, subjects, blocks, OPTIONS)
    of_whole = feature_table(whole, subjects, blocks, OPTIONS)
    np.testing.assert_array_equal(of_past.values, of_whole.values)
    assert list(of_past.anchors) == list(of_whole.anchors)
    one = features(whole, subjects[0], blocks[0], OPTIONS)
    np.testing.assert_array_equal(np.array([one.values[name] for name in NAMES]), of_whole.values[0])


@settings(max_examples=15)
@given(steps, st.data())
def test_counts_are_those_of_counting(story, data):
    chronicle = told(story, Chronicle().price(2_000.0))
    block = data.draw(st.integers(0, chronicle.block))
    history = chronicle.history()
    table = feature_table(history, [role(name) for name in PEOPLE], [block] * len(PEOPLE), OPTIONS)
    seen = [row for row in chronicle.rows if row.block_number <= block]
    time_s = seen[-1].timestamp if seen else 0
    paid = [
        row
        for row in seen
        if row.kind == "transfer" and row.amount >= 10 * 10**6 and row.account != row.counterparty
    ]
    for place, name in enumerate(PEOPLE):
        who = role(name)
        values = dict(zip(NAMES, table.values[place], strict=True))
        for kind in ("borrow", "repay"):
            mine = [row for row in seen if row.kind == kind and row.account == who and row.amount >= 10**7]
            inside = [row for row in mine if row.timestamp > time_s - 30 * 86_400]
            assert values[f"{kind}s_30d"] == len(inside)
        partners = {
            row.counterparty if row.account == who else row.account
            for row in paid
            if who in (row.account, row.counterparty)
        }
        assert values["counterparties"] == len(partners)
        recent = {row.account for row in paid if row.counterparty == who and row.timestamp > time_s - 86_400}
        assert values["fan_in_1d"] == len(recent)
        came_in = sum(
            row.amount for row in paid if row.counterparty == who and row.timestamp > time_s - 30 * 86_400
        )
        assert values["inflow_30d"] == came_in // 10**4 / 100


POOL_2 = role("anybody's own market")
attack = st.sampled_from(
    ["dust", "poison", "fake token", "forged market", "dust collateral", "dust repayment"]
)


def attacked(chronicle: Chronicle, attacks: list[tuple[int, str]]) -> Chronicle:
    """Rows that an attacker can add for next to nothing, in blocks that there are."""
    blocks = sorted({row.block_number for row in chronicle.rows})
    found = Chronicle()
    found.rows = list(chronicle.rows)
    indexes = Counter(row.block_number for row in chronicle.rows)
    for number, (place, kind) in enumerate(attacks):
        found.block = blocks[place % len(blocks)]
        index = indexes[found.block]
        indexes[found.block] += 1
        attacker = f"attacker {number}"
        common = {"log_index": index}
        if kind == "dust":
            found.tell("transfer", attacker, "a", contract=DOLLAR, asset=DOLLAR, amount=9_999_999, **common)
        elif kind == "poison":  # anybody may move nothing out of anybody's wallet
            found.tell("transfer", "a", attacker, contract=DOLLAR, asset=DOLLAR, amount=0, **common)
        elif kind == "fake token":
            found.tell("transfer", "a", attacker, contract=FAKE, asset=FAKE, amount=10**40, **common)
        elif kind == "forged market":
            found.tell(
                "deposit_collateral", "a", attacker, contract=POOL_2, asset=FAKE, amount=10**40, **common
            )
        elif kind == "dust collateral":
            found.tell("deposit_collateral", "a", attacker, asset=ETHER, amount=10**12, **common)
        else:
            found.tell("repay", "a", attacker, asset=DOLLAR, amount=1, **common)
    return found


@settings(max_examples=25)
@given(steps, st.lists(st.tuples(st.integers(0, 50), attack), min_size=1, max_size=12))
def test_dust_moves_nothing_but_the_debt_it_repays(story, attacks):
    """Dust, zero-value and worthless transfers in a victim's name, and gifts of dust: no feature moves,
    except that a debt really repaid is really smaller."""
    honest = told(story)
    hit = attacked(honest, attacks)
    block = max(row.block_number for row in honest.rows)
    before, after = (features(each.history(), role("a"), block, OPTIONS).values for each in (honest, hit))
    repaid = sum(kind == "dust repayment" for _, kind in attacks) / 10**6
    exact = {"loan_to_value", "debt_value", "depth_to_debt", "sigmas_to_liquidation"}
    for name in NAMES:
        if name in exact or name.startswith(("health", "days_health")):
            continue
        np.testing.assert_equal(after[name], before[name], err_msg=name)
    assert before["debt_value"] - repaid - 1e-9 <= after["debt_value"] <= before["debt_value"]


@settings(max_examples=10)
@given(steps, st.lists(st.integers(10, 500), min_size=1, max_size=8))
def test_moving_a_count_costs_the_dust_value_each_time(story, gifts):
    """Who spends V on transfers to a wallet moves its counts by at most V / dust, its inflow by at most V."""
    chronicle = told([*story, (1, ("price", 1_500.0))])
    block = chronicle.block
    before = features(chronicle.history(), role("a"), block, OPTIONS).values
    for number, dollars in enumerate(gifts):
        chronicle.pay(f"attacker {number}", "a", dollars)
    after = features(chronicle.history(), role("a"), block, OPTIONS).values
    spent = sum(gifts)
    for name in ("counterparties", "fan_in_1h", "fan_in_1d", "fan_in_7d"):
        assert before[name] <= after[name] <= before[name] + spent / OPTIONS.dust_value
    assert before["inflow_30d"] <= after["inflow_30d"] <= before["inflow_30d"] + spent
    kept = ("borrows", "repays", "health", "fan_out", "outflow")
    untouched = [name for name in NAMES if name.startswith(kept)]
    np.testing.assert_array_equal([after[name] for name in untouched], [before[name] for name in untouched])
