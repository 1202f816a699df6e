# SPDX-License-Identifier: Apache-2.0
"""Deposits and refunds that are not worth the gateway's gas are refused before a transaction is sent."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from koinon.errors import PaymentError
from koinon.services.buying.client import Buyer
from koinon.services.buying.streaming import StreamingBuyer
from koinon.services.gateway.gas_floor import DEPOSIT_GAS, REFUND_GAS, GasFloor
from koinon.services.gateway.gas_policy import ETHER, GasPolicy
from koinon.services.gateway.ledger import BELOW_LEAST_DEPOSIT, Refused
from koinon.services.gateway.registry import Registry, Service
from koinon.works.payments import ChannelPayment
from tests.services.support import COIN, GatewayProcess, Hall
from tests.services.test_gateway import Wallet

GWEI = 10**9
DOLLAR = 10**6
PRICE = 100


def floor(gas_price_wei: int, *, coins_per_ether: int | None = 2500 * DOLLAR) -> GasFloor:
    found = GasFloor(GasPolicy(coins_per_ether))
    found.look(gas_price_wei)
    return found


def test_a_deposit_is_worth_many_times_its_gas() -> None:
    gas = floor(GWEI)
    assert gas.least_deposit == DEPOSIT_GAS * 2500 // 1000 * 20 * 5 // 4
    gas.check_deposit(gas.least_deposit)
    with pytest.raises(Refused, match=str(gas.least_deposit)) as refused:
        gas.check_deposit(gas.least_deposit - 1)
    assert refused.value.reason == BELOW_LEAST_DEPOSIT


def test_what_is_asked_stays_while_gas_moves_a_little() -> None:
    gas = floor(1000 * GWEI)
    asked = gas.least_deposit
    assert not gas.look(1249 * GWEI)
    assert not gas.look(700 * GWEI)
    assert gas.least_deposit == asked
    assert gas.look(1300 * GWEI)
    assert gas.least_deposit > asked
    assert gas.look(100 * GWEI)
    assert gas.least_deposit < asked


@pytest.mark.parametrize("coins_per_ether", [0, None])
def test_nothing_is_asked_where_gas_costs_nothing_or_nobody_said(coins_per_ether: int | None) -> None:
    gas = floor(GWEI, coins_per_ether=coins_per_ether)
    assert gas.least_deposit == 0
    gas.check_deposit(1)
    gas.check_refund(0, 100)


def test_the_same_coins_do_not_go_round_at_the_gateways_cost() -> None:
    gas = floor(GWEI)
    once = (DEPOSIT_GAS + REFUND_GAS) * 2500 // 1000
    gas.check_refund(once, 0)
    for charged, refunds in ((0, 0), (once - 1, 0), (once, 1)):
        with pytest.raises(Refused, match="costs gas"):
            gas.check_refund(charged, refunds)
    gas.check_refund(2 * once, 1)


@pytest.fixture(scope="module")
def served(hall: Hall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GatewayProcess, Service]]:
    """A gateway for which a deposit's gas costs about 10 calls."""
    folder = tmp_path_factory.mktemp("dear")
    app = folder / "app.py"
    app.write_text("def score(income: float) -> float:\n    return income / 1000\n")
    service = hall.service(Registry(folder / "gateway"), f"{app}:score", price=PRICE, inline=True)
    gas_price = int(hall.chain.rpc.call("eth_gasPrice"), 16)
    coins_per_ether = 10 * PRICE * ETHER // (DEPOSIT_GAS * gas_price)
    key = hall.account(ether=10)
    with hall.gateway(folder / "gateway", key, coins_per_ether=coins_per_ether) as gateway:
        yield gateway, service


def least_of(answer: httpx.Response) -> int:
    required = json.loads(base64.b64decode(answer.headers["payment-required"]))
    return int(required["accepts"][0]["extra"]["minDeposit"])


def transactions(hall: Hall, gateway: GatewayProcess) -> int:
    return int(hall.chain.rpc.call("eth_getTransactionCount", gateway.key.address, "latest"), 16)


def deposit_of(hall: Hall, wallet: Wallet, size: int, amount: int) -> dict[str, Any]:
    authorization = wallet.channels.authorize_deposit(
        wallet.key, wallet.config, size, valid_before=2**40, salt=size
    )
    voucher = wallet.channels.digests.sign(wallet.key, wallet.id, amount)
    return ChannelPayment("deposit", wallet.config, voucher, authorization).to_json()


@pytest.mark.e2e
def test_a_tiny_deposit_is_refused_and_costs_the_gateway_nothing(
    hall: Hall, served: tuple[GatewayProcess, Service]
) -> None:
    gateway, service = served
    wallet = Wallet(hall, gateway, service)
    hall.fund(wallet.key.address, coins=COIN)
    sent = transactions(hall, gateway)
    answer = wallet.send(deposit_of(hall, wallet, PRICE, PRICE))
    least = least_of(answer)
    assert least > 10 * PRICE
    assert (answer.status_code, answer.json()["reason"]) == (402, BELOW_LEAST_DEPOSIT)
    assert str(least) in answer.json()["title"]
    described = httpx.get(wallet.url).json()["x402"]["accepts"][0]["extra"]
    assert int(described["minDeposit"]) == least == least_of(httpx.post(wallet.url, json={}))
    assert wallet.send(deposit_of(hall, wallet, least - 1, PRICE)).status_code == 402
    assert transactions(hall, gateway) == sent
    assert wallet.send(deposit_of(hall, wallet, least, PRICE)).status_code == 200
    assert transactions(hall, gateway) == sent + 1


@pytest.mark.e2e
def test_our_buyer_deposits_what_is_asked_within_its_allowance(
    hall: Hall, served: tuple[GatewayProcess, Service]
) -> None:
    gateway, service = served
    url = gateway.address(service)
    least = least_of(httpx.post(url, json={}))
    with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN, deposit=1) as buyer:
        assert buyer.call(url, {"income": 1000}).result == 1.0
        assert buyer._channel(url).balance == PRICE + least - PRICE
        with pytest.raises(PaymentError) as refused:
            buyer.refund(url)
        assert refused.value.code == "payment.refund_not_earned"
    with (
        Buyer(hall.chain, hall.account(coins=COIN), spending_limit=least - 1) as buyer,
        pytest.raises(PaymentError, match=f"the least is {least}"),
    ):
        buyer.call(url, {"income": 1000})
    with (
        StreamingBuyer(hall.chain, hall.account(coins=COIN), spending_limit=least - 1) as streaming,
        pytest.raises(PaymentError, match=f"the least is {least}"),
    ):
        streaming.sign_ahead(url, 3 * PRICE)


@pytest.mark.e2e
def test_a_refund_is_given_once_its_gas_is_earned(hall: Hall, served: tuple[GatewayProcess, Service]) -> None:
    gateway, service = served
    url = gateway.address(service)
    with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
        for _ in range(40):
            buyer.call(url, {"income": 1000})
        assert buyer.refund(url) > 0
        buyer.call(url, {"income": 1000})
        with pytest.raises(PaymentError, match="costs gas"):
            buyer.refund(url)
