# SPDX-License-Identifier: Apache-2.0
"""The tour's loan adds up to the unit, or says so; without its packages the tour goes on."""

from __future__ import annotations

import dataclasses
import io
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from koinon.errors import IntegrityError, SetupError
from koinon.learning.datasets import load_credit
from koinon.learning.splits import Split
from koinon.lending.scorecard_table import Feature, ScorecardTable
from koinon.lending.scoring.calibration import Calibration, yearly
from koinon.lending.scoring.reader import Reader
from koinon.lending.scoring.scorecard import Scorecard, Tier
from koinon.markets.tokens import Token
from koinon.services.models import perceptron
from koinon.services.models.perceptron import Mlp
from koinon.terminal import Terminal
from koinon.tour import finance
from koinon.tour.finance import Finance
from koinon.tour.lent import Lent

COIN, ETHER = Token("0x" + "11" * 20, "tUSD", 6), Token("0x" + "22" * 20, "tETH", 18)
LENT = Lent(
    pool="0x" + "33" * 20,
    wallet="0x" + "44" * 20,
    points=540,
    tier=1,
    pd_a_month=0.12,
    pd_a_year=0.79,
    reasons=("status_1 is 2: 24 points below the best.",),
    ways_up=(),
    model_auc=0.757,
    points_auc=0.75,
    rows=9_000,
    issuers=3,
    signed=2,
    amount=20_000 * 10**6,
    rate=0.11,
    ltv_bps=6_700,
    sold_below=2_500.0,
    price_before=3_000.0,
    price_after=1_650.0,
    repaid=15_900 * 10**6,
    seized=10 * 10**18,
    bonus_bps=370,
    bad_debt=4_100,
    from_junior=2_500,
    from_senior=1_600,
    paid_in=40_900,
    paid_out=20_000,
    cash=20_900,
    fee=41,
    received={"0x" + "55" * 20: 40},
    waiting=1,
    loan=COIN,
    collateral=ETHER,
)


def shown(lent: Lent) -> str:
    out = io.StringIO()
    lent.show(Terminal(stdout=out, stderr=io.StringIO()))
    return out.getvalue()


def test_a_loan_that_adds_up_says_so_and_what_is_simulated():
    LENT.check()
    assert "Every unit is there." in shown(LENT)
    assert "Simulated:" in shown(LENT)
    assert LENT.to_json()["conserved"] is True


@pytest.mark.parametrize("wrong", ["bad_debt", "from_senior", "paid_in", "cash", "fee", "waiting"])
def test_a_unit_that_is_missing_anywhere_is_noticed(wrong):
    lent = dataclasses.replace(LENT, **{wrong: getattr(LENT, wrong) - 1})
    with pytest.raises(IntegrityError, match="does not add up"):
        lent.check()
    assert "UNITS ARE MISSING" in shown(lent)
    assert lent.to_json()["conserved"] is False


@pytest.fixture
def step(tmp_path):
    """The step before it touches a chain, with what it told."""
    told: dict[str, object] = {}
    cast: Any = SimpleNamespace(lenders=[SimpleNamespace(key=None)] * 5)
    node: Any = SimpleNamespace(chain=None)
    return Finance(node, Terminal(), tmp_path, cast, lambda **more: told.update(more)), told


@pytest.fixture
def model_file(tmp_path):
    columns = load_credit().columns
    wide = len(columns)
    layer = (np.full((wide, 1), 0.1), np.zeros(1))
    path = tmp_path / "model.npz"
    flat = np.zeros(wide, dtype=np.bool_)
    perceptron.save(
        path, Mlp(columns, flat, np.zeros(wide), np.full(wide, 10.0**5), (layer,), "tanh", ("pays", "not"))
    )
    return path


def test_without_its_packages_one_sentence_says_so_and_the_tour_goes_on(step, model_file, monkeypatch):
    made, told = step
    rows = load_credit().take(np.arange(400))
    split = Split((rows,), rows, rows)
    monkeypatch.setitem(sys.modules, "sklearn.tree", None)
    lent, why_not = made.attempt(None, model_file, None, split)
    assert lent is None
    assert "pip install 'koinon[finance]'" in why_not
    assert why_not.count(". ") == 0
    assert told == {"not_lent": True}


def test_what_else_is_not_set_up_ends_the_step(step, monkeypatch):
    made, _ = step

    def refuse(*_arguments):
        raise SetupError("No room is left.", code="setup.home")

    monkeypatch.setattr(made, "run", refuse)
    with pytest.raises(SetupError, match="No room"):
        made.attempt(None, None, None, None)


def test_a_tier_is_priced_for_the_worst_that_it_lets_in():
    card = Scorecard(
        ScorecardTable((Feature("late", (0,), (100, 0), 0),), (580, 560, 540), 500),
        (Reader("late", 1),),
        Calibration("platt", ((-3.0, 15.0),)),
        (Tier(1, 0, 0.01),) * 4,
    )
    terms = finance._tiers(card, 10**9)
    assert [each.lltv_bps for each in terms] == list(finance.LLTV_BPS)
    edge = float(card.calibration.chances(np.array([580]))[0])
    assert terms[0].pd_bps == int(np.ceil(yearly(edge, 30) * 10_000))
    assert terms[-1].pd_bps == 10_000
    assert all(each.spread_bps >= each.expected_loss_bps for each in terms)
