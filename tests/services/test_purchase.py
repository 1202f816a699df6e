# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from koinon.chain.keys import Key
from koinon.errors import BadInput, PaymentError, PeerError
from koinon.services.buying import client as client_module
from koinon.services.buying.purchase import buy_call, call_by_channel, new_number, quote
from koinon.services.gateway.registry import Registry
from tests.services.support import COIN, Hall

IN = {"income": 2000}


@pytest.fixture
def served(hall: Hall, tmp_path: Path, app: Path):
    service = hall.service(Registry(tmp_path / "gateway"), f"{app}:score")
    with hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway:
        yield gateway.address(service), service


def test_a_price_is_told_before_anything_is_signed(hall, served):
    url, service = served
    account = hall.account(coins=service.price - 1)
    found = quote(hall.chain, account.address, url)
    assert (found.price, found.balance, found.covered) == (service.price, service.price - 1, False)


def test_a_purchase_is_paid_once_however_often_it_is_tried(hall, served):
    url, service = served
    account, number = hall.account(coins=COIN), new_number()
    answer = buy_call(hall.chain, account, url, IN, number=number, most=service.price)
    assert answer.result == 42.0
    with pytest.raises(PaymentError) as caught:
        buy_call(hall.chain, account, url, IN, number=number, most=service.price)
    assert caught.value.code == "payment.spent"
    assert hall.coins(account.address) == COIN - service.price


def test_a_purchase_whose_answer_was_lost_is_answered_without_paying_again(hall, served, monkeypatch):
    url, service = served
    account, number = hall.account(coins=COIN), new_number()
    whole = client_module.Buyer._send

    def lose(self, *arguments):
        whole(self, *arguments)
        raise PeerError("The line is cut.")

    with monkeypatch.context() as cut:
        cut.setattr(client_module.Buyer, "_send", lose)
        with pytest.raises(PaymentError) as caught:
            buy_call(hall.chain, account, url, IN, number=number, most=service.price)
    assert caught.value.code == "payment.paid_unanswered"
    with pytest.raises(PaymentError):  # the gateway saw its answer leave: it cannot know that it was lost
        buy_call(hall.chain, account, url, IN, number=number, most=service.price)
    assert hall.coins(account.address) == COIN - service.price


def test_nobody_pays_more_than_was_agreed_to_or_than_there_is(hall, served):
    url, service = served
    account = hall.account(coins=COIN)
    with pytest.raises(PaymentError) as caught:
        buy_call(hall.chain, account, url, IN, number=new_number(), most=service.price - 1)
    assert caught.value.code == "payment.spending_limit"
    with pytest.raises(PaymentError) as caught:
        buy_call(hall.chain, hall.account(), url, IN, number=new_number(), most=service.price)
    assert caught.value.code == "payment.no_coins"
    assert hall.coins(account.address) == COIN


def test_a_wrong_input_costs_nothing(hall, served):
    url, service = served
    account = hall.account(coins=COIN)
    with pytest.raises(BadInput):
        buy_call(hall.chain, account, url, {"income": "x"}, number=new_number(), most=service.price)
    assert hall.coins(account.address) == COIN


@pytest.mark.parametrize("number", ["", "12", "zz" * 32, "00" * 33])
def test_a_purchase_needs_a_number(hall, number):
    with pytest.raises(BadInput):
        buy_call(hall.chain, Key.generate(), "http://127.0.0.1:1/services/1", IN, number=number, most=1)


def test_a_channel_is_opened_once_and_used_again(hall, served):
    url, service = served
    account, deposit = hall.account(coins=COIN), 20 * service.price
    for _ in range(2):
        answer = call_by_channel(hall.chain, account, url, IN, deposit=deposit, most=deposit)
        assert (answer.result, answer.charged) == (42.0, service.price)
    assert hall.coins(account.address) == COIN - deposit
    with pytest.raises(BadInput):
        call_by_channel(hall.chain, account, url, IN, deposit=0, most=deposit)
