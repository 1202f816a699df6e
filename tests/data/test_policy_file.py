# SPDX-License-Identifier: Apache-2.0
"""The owner's file: what it may say, and what is refused in it by name."""

from __future__ import annotations

from decimal import Decimal

import pytest

from koinon.data import policy_file
from koinon.data.policy_file import load_policy, read_policy, units
from koinon.errors import BadInput
from koinon.works.terms import Consent, Use
from tests.data.market_support import POLICY


def test_the_example_in_the_module_is_a_policy():
    text = str(policy_file.__doc__).partition("::\n")[2]
    policy = read_policy("\n".join(line.removeprefix("    ") for line in text.splitlines()))
    assert policy.sales[Use.COMPUTE].price == 5
    assert policy.sales[Use.COMPUTE].consent is Consent.OPEN
    assert policy.compute is not None
    assert policy.compute.price_per_second == Decimal("0.01")
    assert policy.columns["age"].bins == 8
    assert policy.billing_s == policy.gate.slot_s
    limits = policy.limits_for(12.5)
    assert (limits.wall_s, limits.memory_bytes) == (12.5, 1024 << 20)


def test_uses_that_are_not_named_are_not_for_sale():
    policy = read_policy(POLICY)
    assert set(policy.sales) == {Use.COMPUTE, Use.TRAIN}
    assert read_policy(POLICY.partition("[compute]")[0]).compute is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "Loans of a regional bank"', "", "no name"),
        ('sample = "synthetic"', 'sample = "rows"', "the sample 'rows'"),
        ("epsilon_total = 10.0", "epsilon_total = -1", "-1 for epsilon_total"),
        ("statistics_epsilon = 1.0", "statistics_epsilon = 11", "more on statistics"),
        ("statistics_epsilon = 1.0", "held_out = 1", "holds all rows back"),
        ('limits = ["Nothing of it is true."]', "limits = []", "no limits"),
        ("bounds = [18, 98]", "bounds = [98, 18]", "do not rise"),
        ("bounds = [18, 98]", "bounds = [18]", "no two bounds"),
        ("bounds = [18, 98]", "lowest = 18", "no bounds for the column age"),
        ('price = "7"', 'price = "seven"', "the price 'seven'"),
        ('price = "7"', 'price = "nan"', "the price 'nan'"),
        ('price = "7"', 'price = "-7"', "the price '-7'"),
        ('price = "7"', 'consent = "perhaps"', "the consent 'perhaps'"),
        ('price = "7"', "max_seconds = 5", "a field in [train] that nobody knows"),
        ("max_seconds = 20", 'algorithms = ["main.py"]', "no sha256 digests"),
        ("max_seconds = 20", "max_seconds = 0", "no program run for a second"),
        ("slot_s = 0.5", 'slot_s = "soon"', "'soon' for gate.slot_s"),
        ("slot_s = 0.5", "slots = 1", "the field gate.slots"),
        ("max_blocks = 16", "max_rocks = 16", "the field node.max_rocks"),
        ("max_blocks = 16", "max_blocks = 0", "max_blocks"),
        ("[train]", "[gifts]", "the field 'gifts'"),
        ("[train]", "[train", "no TOML"),
    ],
)
def test_what_is_wrong_is_named(old, new, said):
    assert old in POLICY
    with pytest.raises(BadInput) as refused:
        read_policy(POLICY.replace(old, new, 1))
    assert said in refused.value.message


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"nowhere\.toml"):
        load_policy(tmp_path / "nowhere.toml")


def test_prices_are_counted_to_the_smallest_unit_and_no_further():
    assert units(Decimal("0.01"), 6) == 10_000
    with pytest.raises(BadInput):
        units(Decimal("0.0000001"), 6)
