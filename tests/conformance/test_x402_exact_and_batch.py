# SPDX-License-Identifier: Apache-2.0
"""x402's own Python client, unmodified, pays our gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
from eth_account import Account
from x402 import x402Client, x402ClientSync
from x402.http.clients.httpx import x402HttpxClient
from x402.http.clients.requests import x402_http_adapter
from x402.mechanisms.evm.batch_settlement.client import BatchSettlementEvmScheme
from x402.mechanisms.evm.exact import ExactEvmScheme
from x402.mechanisms.evm.signers import EthAccountSignerWithRPC

from koinon.chain.keys import Key
from koinon.services.gateway.registry import Registry, Service
from tests.services.support import CHAIN_ID, COIN, GatewayProcess, Hall

pytestmark = pytest.mark.e2e
NETWORK = f"eip155:{CHAIN_ID}"


@pytest.fixture(scope="module")
def served(hall: Hall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GatewayProcess, Service]]:
    folder = tmp_path_factory.mktemp("stock")
    target = folder / "app.py"
    target.write_text(
        "def double(number: int) -> int:\n"
        "    if number < 0:\n        raise ValueError\n"
        "    return 2 * number\n"
    )
    service = hall.service(Registry(folder), f"{target}:double")
    with hall.gateway(folder, hall.account(ether=10)) as gateway:
        yield gateway, service


def secret(key: Key) -> bytes:
    """Only tests may see it: the stock client has no keystore of its own."""
    return bytes(key._private.secret)


def stock_signer(hall: Hall, key: Key) -> Any:
    return EthAccountSignerWithRPC(Account.from_key(secret(key)), hall.chain.rpc.url)


def allow(client: Any, hall: Hall) -> None:
    client.set_spend_controls({"allowed_assets": [{"network": NETWORK, "asset": hall.chain.coin.address}]})


def exact_session(hall: Hall, key: Key) -> requests.Session:
    client = x402ClientSync()
    client.register(NETWORK, ExactEvmScheme(stock_signer(hall, key)))
    allow(client, hall)
    session = requests.Session()
    session.mount("http://", x402_http_adapter(client))
    return session


def batch_client(hall: Hall, key: Key) -> tuple[Any, Any]:
    scheme = BatchSettlementEvmScheme(stock_signer(hall, key))
    client = x402ClientSync()
    client.register(NETWORK, scheme)
    allow(client, hall)
    return client, scheme


def batch_session(hall: Hall, key: Key) -> tuple[requests.Session, Any]:
    client, scheme = batch_client(hall, key)
    session = requests.Session()
    session.mount("http://", x402_http_adapter(client))
    return session, scheme


def test_exact_pays_and_the_money_is_in_the_till_before_the_answer(
    hall: Hall, served: tuple[GatewayProcess, Service]
) -> None:
    gateway, service = served
    buyer = hall.account(coins=COIN)
    before = hall.coins(service.till)
    with exact_session(hall, buyer) as session:
        answer = session.post(gateway.address(service), json={"number": 21})
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"] == 42
    assert hall.coins(service.till) == before + service.price
    assert hall.coins(buyer.address) == COIN - service.price
    assert answer.headers["payment-response"]


def test_exact_by_the_async_httpx_client(hall: Hall, served: tuple[GatewayProcess, Service]) -> None:
    gateway, service = served
    buyer = hall.account(coins=COIN)

    async def call() -> httpx.Response:
        client = x402Client()
        client.register(NETWORK, ExactEvmScheme(stock_signer(hall, buyer)))
        allow(client, hall)
        async with x402HttpxClient(client, timeout=60) as http:
            return await http.post(gateway.address(service), json={"number": 4})

    answer = asyncio.run(call())
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"] == 8


def test_batch_settlement_deposits_once_and_then_pays_by_voucher(
    hall: Hall, served: tuple[GatewayProcess, Service]
) -> None:
    gateway, service = served
    buyer = hall.account(coins=COIN)
    session, _ = batch_session(hall, buyer)
    block = 0
    with session:
        for number in range(8):
            answer = session.post(gateway.address(service), json={"number": number})
            assert answer.status_code == 200, answer.text
            assert answer.json()["result"] == 2 * number
            if number == 0:
                block = hall.chain.block_number()
    assert hall.chain.block_number() == block, "only the first call may need a transaction"
    assert hall.coins(buyer.address) == COIN - 10 * service.price  # the announced minimum deposit


def test_batch_settlement_tops_up_when_the_deposit_is_used_up(
    hall: Hall, served: tuple[GatewayProcess, Service]
) -> None:
    gateway, service = served
    buyer = hall.account(coins=COIN)
    session, _ = batch_session(hall, buyer)
    with session:
        for number in range(12):
            assert session.post(gateway.address(service), json={"number": number}).status_code == 200
    assert hall.coins(buyer.address) == COIN - 20 * service.price


def test_a_client_that_lost_its_state_is_corrected_and_goes_on(
    hall: Hall, served: tuple[GatewayProcess, Service]
) -> None:
    gateway, service = served
    buyer = hall.account(coins=COIN)
    first, _ = batch_session(hall, buyer)
    with first:
        for number in range(3):
            assert first.post(gateway.address(service), json={"number": number}).status_code == 200
    second, _ = batch_session(hall, buyer)
    with second:
        answer = second.post(gateway.address(service), json={"number": 5})
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"] == 10


def test_a_call_that_fails_costs_nothing_and_the_next_one_goes_through(
    hall: Hall, served: tuple[GatewayProcess, Service]
) -> None:
    gateway, service = served
    session, _ = batch_session(hall, hall.account(coins=COIN))
    with session:
        assert session.post(gateway.address(service), json={"number": 1}).status_code == 200
        assert session.post(gateway.address(service), json={"number": -1}).status_code == 502
        assert session.post(gateway.address(service), json={"number": 2}).status_code == 200


def test_the_stock_client_gets_its_deposit_back(hall: Hall, served: tuple[GatewayProcess, Service]) -> None:
    gateway, service = served
    buyer = hall.account(coins=COIN)
    session, scheme = batch_session(hall, buyer)
    with session:
        for number in range(3):
            assert session.post(gateway.address(service), json={"number": number}).status_code == 200
    settled = scheme.refund(gateway.address(service) + "/refund")
    assert settled.success
    assert hall.coins(buyer.address) == COIN - 3 * service.price


@pytest.mark.parametrize("scheme", ["exact", "batch"])
def test_a_buyer_without_coins_is_refused(
    hall: Hall, served: tuple[GatewayProcess, Service], scheme: str
) -> None:
    gateway, service = served
    buyer = hall.account()
    session = exact_session(hall, buyer) if scheme == "exact" else batch_session(hall, buyer)[0]
    with session:
        answer = session.post(gateway.address(service), json={"number": 1})
    assert answer.status_code == 402
    assert answer.json()["code"].startswith("payment.")
