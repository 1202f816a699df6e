# SPDX-License-Identifier: Apache-2.0
"""x402's own resource server and clients, unmodified, pay and settle through our facilitator, which runs
alone in a process of its own and serves a service that is no Work of ours."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import requests
import uvicorn
from fastapi import FastAPI
from x402 import x402ResourceServer
from x402.http import FacilitatorConfig, HTTPFacilitatorClient
from x402.http.middleware.fastapi import PaymentMiddlewareASGI
from x402.http.types import PaymentOption, RouteConfig
from x402.mechanisms.evm.batch_settlement.server import (
    BatchSettlementChannelManager,
    BatchSettlementEvmScheme,
    ChannelManagerConfig,
)
from x402.mechanisms.evm.exact import register_exact_evm_server
from x402.schemas import AssetAmount

from koinon.chain.keys import Key
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.x402 import Terms
from tests.conformance.test_x402_exact_and_batch import NETWORK, batch_session, exact_session
from tests.services.support import COIN, PASSWORD, Hall

pytestmark = pytest.mark.e2e
PRICE = 1000


@pytest.fixture(scope="module")
def facilitator(hall: Hall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("facilitator")
    hall.account(ether=10).save(folder / "key", PASSWORD, derivation="pbkdf2")
    (folder / "password").write_text(PASSWORD)
    config = {
        "network": str(hall.network_file),
        "key": str(folder / "key"),
        "password_file": str(folder / "password"),
        "data_dir": str(folder / "data"),
        "minimum": 10,
    }
    (folder / "config.json").write_text(json.dumps(config))
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "koinon.services.facilitator", str(folder / "config.json")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0


@dataclass
class Shop:
    """Somebody else's service behind the stock middleware."""

    url: str
    pay_to: str
    served: list[int]
    scheme: Any
    client: HTTPFacilitatorClient


@contextlib.contextmanager
def shop(hall: Hall, facilitator: str, scheme: str) -> Iterator[Shop]:
    pay_to = Key.generate().address
    client = HTTPFacilitatorClient(FacilitatorConfig(url=facilitator, timeout=120))
    server = x402ResourceServer(client)
    batch = None
    if scheme == "exact":
        register_exact_evm_server(server, NETWORK)
    else:
        batch = BatchSettlementEvmScheme(pay_to)
        server.register(NETWORK, batch)  # type: ignore[arg-type]  # their own types disagree
    extra = {"name": "Koinon test dollar", "version": "1"}
    price = AssetAmount(amount=str(PRICE), asset=hall.chain.coin.address, extra=extra)
    option = PaymentOption(scheme=scheme, pay_to=pay_to, price=price, network=NETWORK)

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await client.aclose()

    app = FastAPI(lifespan=life)
    routes = {"POST /double": RouteConfig(option), "GET /double": RouteConfig(option)}
    app.add_middleware(PaymentMiddlewareASGI, routes=routes, server=server)
    served: list[int] = []

    async def double(row: dict[str, int]) -> dict[str, int]:
        served.append(row["number"])
        return {"result": 2 * row["number"]}

    app.add_api_route("/double", double, methods=["POST"])
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(app, log_level="error", loop="asyncio"))
    thread = threading.Thread(target=running.run, args=([listener],))
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not running.started and time.monotonic() < deadline:
            time.sleep(0.02)
        port = listener.getsockname()[1]
        yield Shop(f"http://127.0.0.1:{port}/double", pay_to, served, batch, client)
    finally:
        running.should_exit = True
        thread.join(30)
        listener.close()


def test_it_says_what_it_supports(facilitator: str) -> None:
    supported = httpx.get(f"{facilitator}/supported").json()
    assert [(kind["scheme"], kind["network"]) for kind in supported["kinds"]] == [
        ("exact", NETWORK),
        ("batch-settlement", NETWORK),
    ]


def test_a_stock_server_sells_by_exact(hall: Hall, facilitator: str) -> None:
    buyer = hall.account(coins=COIN)
    with shop(hall, facilitator, "exact") as there, exact_session(hall, buyer) as session:
        for number in range(3):
            answer = session.post(there.url, json={"number": number}, timeout=120)
            assert answer.status_code == 200, answer.text
            assert answer.json() == {"result": 2 * number}
        assert hall.coins(there.pay_to) == 3 * PRICE
        with exact_session(hall, hall.account()) as poor:
            assert poor.post(there.url, json={"number": 1}, timeout=120).status_code == 402
        assert there.served == [0, 1, 2]


def test_a_stock_server_sells_by_batch_settlement_and_claims(hall: Hall, facilitator: str) -> None:
    buyer = hall.account(coins=COIN)
    session, scheme = batch_session(hall, buyer)
    with shop(hall, facilitator, "batch-settlement") as there, session:
        block = 0
        for number in range(5):
            answer = session.post(there.url, json={"number": number}, timeout=120)
            assert answer.status_code == 200, answer.text
            block = block or hall.chain.block_number()
        assert hall.chain.block_number() == block, "only the deposit needs a transaction"
        asyncio.run(claim_and_settle(hall, facilitator, there))
        assert hall.coins(there.pay_to) == 5 * PRICE
        before = hall.coins(buyer.address)
        assert scheme.refund(there.url).success
        assert hall.coins(buyer.address) > before


async def claim_and_settle(hall: Hall, facilitator: str, there: Shop) -> None:
    """As the stock server does from time to time."""
    async with HTTPFacilitatorClient(FacilitatorConfig(url=facilitator, timeout=120)) as client:
        config = ChannelManagerConfig(
            scheme=there.scheme,
            facilitator=client,
            receiver=there.pay_to,
            token=hall.chain.coin.address,
            network=NETWORK,
        )
        await BatchSettlementChannelManager(config).claim_and_settle()


class Payment:
    """One signed `exact` payment, as a server sends it to the facilitator."""

    def __init__(self, hall: Hall, payer: Key, *, value: int = PRICE, **changes: Any) -> None:
        chain = OnChain(hall.chain, payer)
        self.pay_to = Key.generate().address
        nonce = bytes(31) + b"\x07"
        valid_before = changes.pop("valid_before", 2**40)
        terms = Terms(
            hall.chain.chain_id,
            chain.coin,
            chain.coin_name,
            chain.coin_version,
            self.pay_to,
            PRICE,
            payer.address,
        )
        fields = (payer.address, self.pay_to, value)
        digest = chain.coin_digests.transfer(*fields, valid_after=0, valid_before=valid_before, nonce=nonce)
        accepted = terms.requirements("exact")
        authorization = {
            "from": payer.address,
            "to": self.pay_to,
            "value": str(value),
            "validAfter": "0",
            "validBefore": str(valid_before),
            "nonce": "0x" + nonce.hex(),
        }
        signature = changes.pop("signer", payer).sign(digest)
        payload = {"authorization": authorization, "signature": "0x" + signature.hex()}
        self.document: dict[str, Any] = {
            "x402Version": 2,
            "paymentPayload": {"x402Version": 2, "accepted": accepted, "payload": payload},
            "paymentRequirements": accepted | changes,
        }

    def ask(self, url: str, what: str) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.post(f"{url}/{what}", json=self.document, timeout=120).json()
        return answer


def test_one_payment_settles_once_however_often_it_is_sent(hall: Hall, facilitator: str) -> None:
    payer = hall.account(coins=COIN)
    payment = Payment(hall, payer)
    assert payment.ask(facilitator, "verify")["isValid"]
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: payment.ask(facilitator, "settle"), range(6)))
    assert sum(answer["success"] for answer in answers) == 1
    assert not payment.ask(facilitator, "settle")["success"]
    assert not payment.ask(facilitator, "verify")["isValid"]
    assert hall.coins(payment.pay_to) == PRICE
    assert hall.coins(payer.address) == COIN - PRICE


def test_bad_payments_are_refused_and_move_nothing(hall: Hall, facilitator: str) -> None:
    payer, stranger = hall.account(coins=COIN), hall.account()
    cases = {
        "signature": Payment(hall, payer, signer=stranger),
        "authorization_value_mismatch": Payment(hall, payer, value=PRICE - 1),
        "authorization_valid_before": Payment(hall, payer, valid_before=1),
        "token_mismatch": Payment(hall, payer, asset=stranger.address),
        "network_mismatch": Payment(hall, payer, network="eip155:1"),
        "invalid_payload": Payment(hall, payer, payTo=stranger.address),
    }
    for reason, payment in cases.items():
        verified, settled = payment.ask(facilitator, "verify"), payment.ask(facilitator, "settle")
        assert not verified["isValid"], reason
        assert not settled["success"], reason
        assert verified["invalidReason"].endswith(reason)
        assert settled["errorReason"] == verified["invalidReason"]
    dust = Payment(hall, payer, value=1, amount="1")
    dust.document["paymentPayload"]["accepted"]["amount"] = "1"
    assert dust.ask(facilitator, "settle")["errorReason"].endswith("below_minimum")
    for body in (b"", b"[]", b"{}", b'{"paymentPayload": 1}', b"\xff"):
        answer = requests.post(f"{facilitator}/settle", data=body, timeout=60)
        assert answer.status_code in (200, 422)
        assert answer.status_code == 422 or not answer.json()["success"]
    assert requests.get(f"{facilitator}/settle", timeout=60).status_code == 405
    assert requests.get(f"{facilitator}/nowhere", timeout=60).status_code == 404
    assert hall.coins(payer.address) == COIN
