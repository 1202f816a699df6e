# SPDX-License-Identifier: Apache-2.0
"""Views bought from a model: what it is told, what of its answer is believed, and what is kept."""

from typing import Any

import numpy as np
import orjson
import pytest

from koinon.errors import PeerError
from koinon.services.buying.replies import Answer
from koinon.treasury.allocation.prices import Prices
from koinon.treasury.api import Treasury
from koinon.treasury.views import buy_views, question, read_views

NAMES = ("ETH", "BTC")
PRICES = Prices(
    np.datetime64("2024-01-01", "s") + np.arange(4) * np.timedelta64(86_400, "s"),
    NAMES,
    np.array([[1.0, 10], [2, 11], [1, 12], [1.5, 12]]),
)


class Model:
    """A service that says what it was made to say."""

    def __init__(self, result):
        self.result, self.asked = result, []

    def call(self, url, arguments, *, number=None):
        self.asked.append((url, arguments))
        return Answer(self.result, {"work_id": 7, "input_sha256": "ab"}, 250)


def test_a_model_is_told_past_returns_and_nothing_else():
    asked = question(PRICES, rows=2)
    assert asked["assets"] == ["ETH", "BTC"]
    assert asked["returns"] == [[-0.5, round(1 / 11, 10)], [0.5, 0.0]]
    assert set(asked) == {"assets", "returns", "periods_a_year"}


def test_question_answer_and_evidence_are_kept(tmp_path):
    model = Model({"expected": {"ETH": 0.01}, "confidence": {"ETH": 0.8}})
    bought = buy_views(model, "https://model.example/services/7", PRICES, tmp_path / "views")
    assert (bought.work_id, bought.charged) == (7, 250)
    assert dict(bought.views.expected) == {"ETH": 0.01}
    kept = orjson.loads((tmp_path / "views" / f"{bought.asked}.json").read_bytes())
    assert kept["question"] == question(PRICES)
    assert kept["answer"]["evidence"]["work_id"] == 7
    assert bought.to_dict()["evidence"]["input_sha256"] == "ab"


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        {},
        {"expected": {}},
        {"expected": {"GOLD": 0.1}},
        {"expected": {"ETH": "much"}},
        {"expected": {"ETH": float("inf")}},
        {"expected": {"ETH": -2}},
        {"expected": {"ETH": 0.1}, "confidence": {"ETH": 2}},
        {"expected": {"ETH": 0.1}, "confidence": "high"},
    ],
)
def test_an_answer_that_is_no_views_moves_no_money(result, tmp_path):
    with pytest.raises(PeerError):
        read_views(result, NAMES)
    with pytest.raises(PeerError):
        buy_views(Model(result), "https://model.example", PRICES, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1  # what was paid for is kept


def test_views_reach_the_front_door(tmp_path):
    nowhere: Any = None
    bought = Treasury(nowhere, tmp_path).ask_views(
        Model({"expected": {"BTC": 0.0}}), "https://x.example", PRICES
    )
    assert dict(bought.views.expected) == {"BTC": 0.0}
    assert (tmp_path / "views").is_dir()
