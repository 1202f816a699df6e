# SPDX-License-Identifier: Apache-2.0
"""What a dataset earned, told apart by its sources, adds up to what is in its till."""

from __future__ import annotations

import pytest

from koinon.chain.keys import Key
from koinon.data.earnings import earnings
from koinon.data.escrow import JobState
from koinon.data.pictured import earnings_river
from koinon.web import Unit
from koinon.web.pictures import draw_river
from koinon.works.api import Parent, ParentMode, Works
from koinon.works.hall import Hall
from koinon.works.registration import Card, Registration
from koinon.works.terms import Use
from tests.console.wallet_support import House
from tests.data.market_support import COIN, Market


class NoSandbox:
    """Nothing is run here."""

    def check(self):
        """It would be ready."""

    def run(self, program, inputs, limits):
        raise AssertionError


@pytest.fixture
def house(tmp_path, chain):
    made = House(tmp_path / "home", chain, Key.generate())
    yield made
    made.index.close()


def found(house, market):
    house.index.sync()
    hall = Hall(market.chain, house.index, market.store)
    while hall.directory.refresh():
        pass
    return earnings(hall, market.work_id)


def test_nothing_was_earned_yet(house, chain, tmp_path, new_account):
    market = Market(chain, tmp_path, new_account, sandbox=NoSandbox())
    told = found(house, market)
    assert (told.earned, told.sources, told.coming) == (0, (), 0)
    assert "earned nothing yet" in draw_river(earnings_river(told, Unit("tUSD", 6)))


def test_every_source_is_told_apart_and_they_add_up(house, chain, tmp_path, new_account):
    market = Market(chain, tmp_path, new_account, sandbox=NoSandbox())
    buyer = market.buyer()
    order = buyer.buy()
    market.jobs.deliver(market.owner, order.job_id, JobState.RELEASED, seconds=3, result=bytes([1]) * 32)
    train = market.terms.offer_of(market.work_id, Use.TRAIN)
    assert train is not None
    market.terms.buy(buyer.key, market.work_id, Use.TRAIN, train)
    till = str(chain.contract("Works").call("till_of", market.work_id))
    chain.sender(buyer.key).send(chain.coin.transaction("transfer", till, 2 * COIN))

    Works(chain, market.store, market.owner).set_parent_rule(market.work_id, ParentMode.OPEN)
    card = Card("model", "Who pays.", "Rows.", ("A test.",), "Ask.", unmeasured="A test.")
    teacher = new_account()
    model = Works(chain, market.store, teacher).publish(
        Registration("Credit model", "Who pays.", card), parents=[Parent(market.work_id, 400_000_000)]
    )
    sender = chain.sender(buyer.key)
    sender.send(chain.coin.transaction("transfer", model.till, 10 * COIN))
    Works(chain, market.store, teacher).release(model.work_id, till)
    sender.send(chain.coin.transaction("transfer", model.till, 5 * COIN))

    told = found(house, market)
    kinds = {source.kind: source for source in told.sources}
    assert {kind: source.amount for kind, source in kinds.items()} == {
        "compute": 5 * COIN,
        "seconds": 3 * COIN // 100,
        "train": 7 * COIN,
        "work": 4 * COIN,
        "other": 2 * COIN,
    }
    model_source = kinds["work"]
    assert (model_source.name, model_source.work_id) == ("Credit model", model.work_id)
    assert (model_source.waiting, model_source.earned) == (2 * COIN, 15 * COIN)
    assert (kinds["seconds"].count, kinds["compute"].count) == (1, 1)
    assert told.earned == sum(source.amount for source in told.sources) == market.coins(till)
    assert told.coming == 2 * COIN
    picture = str(draw_river(earnings_river(told, Unit("tUSD", 6))))
    for words in ("Leave to compute", "Seconds of computing", "Leave to train", "Credit model"):
        assert words in picture
