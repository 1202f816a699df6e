# SPDX-License-Identifier: Apache-2.0
"""What is refused before a program runs, and an owner's rules that cannot be."""

from __future__ import annotations

import pytest

from koinon.data.gate import Policy, Reason, Refused, admit, holds_for_every_program, read_schema
from koinon.errors import BadInput

COLUMNS = ("age", "income")
SCALAR = '[mean]\nkind = "scalar"\nbounds = [0, 1]'
NOISED = SCALAR + "\nsensitivity = 1\nepsilon = 0.5"
GAUSSIAN = NOISED + '\nmechanism = "gaussian"\ndelta = 1e-5'
CHOICE = '[pick]\nkind = "choice"\noptions = ["a", "b"]'
TABLE = '[count]\nkind = "table"\nbounds = [0, 9]\ngroups = ["a", "b"]'
MODEL = '[model]\nkind = "model"\nbounds = [-1, 1]\nform = "logistic"\nsize = 3'
LOOSE = Policy(allow_undeclared=True, allow_models=True)


@pytest.mark.parametrize(
    ("text", "policy", "reason"),
    [
        (NOISED, Policy(epsilon_per_job=0.4), Reason.BUDGET),
        (NOISED + "\n" + NOISED.replace("mean", "other").replace("0.5", "0.6"), Policy(), Reason.BUDGET),
        (GAUSSIAN, Policy(), Reason.BUDGET),
        (SCALAR, Policy(), Reason.SENSITIVITY),
        (CHOICE, Policy(), Reason.SENSITIVITY),
        (TABLE, Policy(), Reason.SENSITIVITY),
        (TABLE, LOOSE, Reason.GROUP),
        (TABLE + '\nby = "height"\nvalues = [0, 1]', LOOSE, Reason.SCHEMA),
        (MODEL, Policy(), Reason.MODEL),
        (MODEL, Policy(allow_models=True, model_bytes=8), Reason.BYTES),
        (MODEL.replace("logistic", "oracle"), LOOSE, Reason.MODEL),
        (MODEL.replace("size = 3", "size = 4"), LOOSE, Reason.MODEL),
        (MODEL.replace("logistic", "softmax").replace("size = 3", "size = 5"), LOOSE, Reason.MODEL),
    ],
)
def test_what_its_declaration_alone_forbids(text, policy, reason):
    with pytest.raises(Refused) as refused:
        admit(read_schema(text), policy, COLUMNS)
    assert refused.value.reason is reason
    assert refused.value.code == f"gate.{reason}"


@pytest.mark.parametrize("text", [SCALAR, NOISED, CHOICE, MODEL, TABLE + '\nby = "age"\nedges = [0, 50, 99]'])
def test_what_an_owner_allows_is_admitted(text):
    admit(read_schema(text), LOOSE, COLUMNS)


def test_a_form_that_the_owner_can_test_is_admitted():
    admit(
        read_schema(MODEL.replace("logistic", "net")),
        LOOSE,
        COLUMNS,
        {"net": lambda _vector, rows: rows.astype(float)},
    )


@pytest.mark.parametrize(
    ("text", "policy", "every"),
    [
        (NOISED, Policy(), True),
        (NOISED, Policy(trust_sensitivity=True), False),
        (NOISED + "\n" + CHOICE, LOOSE, False),
        (SCALAR, LOOSE, False),
        (MODEL + "\nsensitivity = 1\nepsilon = 1", LOOSE, False),
    ],
)
def test_noise_holds_for_every_program_only_where_nothing_goes_past_it(text, policy, every):
    assert holds_for_every_program(read_schema(text), policy) is every


@pytest.mark.parametrize(
    "wrong",
    [
        {"epsilon_per_job": -1.0},
        {"epsilon_per_job": float("nan")},
        {"delta_per_job": 1.0},
        {"min_group": -1},
        {"mia_bound": 0.4},
        {"mia_bound": 1.5},
        {"slot_s": 0.0},
        {"mantissa_bits": 0},
        {"output_bytes": -1},
    ],
)
def test_rules_that_cannot_be(wrong):
    with pytest.raises(BadInput) as found:
        Policy(**wrong)
    assert next(iter(wrong)) in found.value.message
    assert found.value.code == "gate.policy"
