# SPDX-License-Identifier: Apache-2.0
"""A founder's file becomes a vault's terms; what is wrong with it is said."""

import pytest

from koinon.errors import BadInput
from koinon.treasury.charter_file import EXAMPLE, read_charter
from koinon.treasury.vault import NOBODY, Kind, Limits
from tests.contracts_support import account

A, B = account("asset"), account("token")
WHOLE = EXAMPLE.replace("0x…", A)


def read(tmp_path, text):
    path = tmp_path / "charter.toml"
    path.write_text(text)
    return read_charter(path, manager=B, coin=A)


def test_the_example_is_a_charter(tmp_path):
    terms = read(tmp_path, WHOLE)
    assert (terms.name, terms.symbol, terms.work_id) == ("Balanced", "BAL", 12)
    assert (terms.charter.manager, terms.charter.unlock_s, terms.charter.epoch_s) == (B, 7 * 86_400, 86_400)
    assert terms.limits == Limits(3_000, 100, 2_000, 500)
    assert [each.kind for each in terms.strategies] == [Kind.TOKEN, Kind.SHARES]
    assert terms.strategies[0].max_age_s == 86_400
    assert terms.strategies[1].pair == NOBODY


def test_little_is_enough(tmp_path):
    terms = read(
        tmp_path,
        'name = "V"\nsymbol = "V"\n[limits]\nturnover_bps = 1\nslippage_bps = 1\ndrawdown_bps = 1\n',
    )
    assert terms.charter.asset == A
    assert terms.charter.fee_bps == 0
    assert terms.strategies == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('name = "Balanced"\n', ""),
        ('name = "Balanced"', 'name = ""'),
        ('symbol = "BAL"', 'symbol = "MUCH TOO LONG FOR IT"'),
        ("fee_bps = 1000", "fee_bps = -1"),
        ("fee_bps = 1000", "fee_bps = 0.5"),
        ("fee_bps = 1000", "fee_bps = true"),
        ("fee_bps", "free_bps"),
        (f'guardian = "{A}"', 'guardian = "me"'),
        ('kind = "token"', 'kind = "gold"'),
        ("turnover_bps = 3000", "turn_bps = 3000"),
        ("slippage_bps = 100   ", "#"),
        ("[limits]", "[limit]"),
        ("unlock_days = 7", 'unlock_days = "soon"'),
        ("[[strategies]]", "[strategies"),
        ("max_bps = 4000", ""),
    ],
)
def test_what_is_wrong_is_said(tmp_path, before, after):
    assert before in WHOLE
    with pytest.raises(BadInput, match="no charter"):
        read(tmp_path, WHOLE.replace(before, after))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="no charter"):
        read_charter(tmp_path / "missing.toml", manager=B, coin=A)
