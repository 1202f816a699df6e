# SPDX-License-Identifier: Apache-2.0
"""A gateway process on a real node: calls, refusals, faults, kill -9, settlement."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from koinon.chain.keys import Key
from koinon.errors import BadInput, PaymentError, PeerError
from koinon.services.buying.client import Buyer
from koinon.services.gateway.asgi import BODY_LIMIT
from koinon.services.gateway.registry import Registry, Service
from koinon.services.gateway.x402 import encode
from koinon.works.channels import Channels
from koinon.works.payments import ChannelPayment
from koinon.works.vouchers import ChannelConfig
from tests.services.support import COIN, GatewayProcess, Hall

pytestmark = pytest.mark.e2e


@pytest.fixture
def served(hall: Hall, tmp_path: Path, app: Path) -> Iterator[tuple[GatewayProcess, Service]]:
    service = hall.service(
        Registry(tmp_path / "gateway"), f"{app}:score", card={"metric": "auc", "value": 0.7}
    )
    with hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway:
        yield gateway, service


class Wallet:
    """A hand-made client: one channel, vouchers and headers exactly as asked."""

    def __init__(self, hall: Hall, gateway: GatewayProcess, service: Service, *, deposit: int = COIN) -> None:
        self.key = hall.account(coins=deposit)
        self.url = gateway.address(service)
        self.channels = Channels(hall.chain)
        unpaid = httpx.post(self.url, json={})
        self.accepted = json.loads(base64.b64decode(unpaid.headers["payment-required"]))["accepts"][0]
        self.config = self.channels.config(
            self.key.address, service.till, gateway.key.address, payer_authorizer=self.key.address
        )
        self.id = self.channels.digests.channel_id(self.config)
        authorization = self.channels.authorize_deposit(
            self.key, self.config, deposit, valid_before=2**40, salt=1
        )
        self.channels.deposit(hall.publisher, self.config, authorization)

    def payload(self, amount: int, *, key: Key | None = None) -> dict[str, Any]:
        voucher = self.channels.digests.sign(key or self.key, self.id, amount)
        return ChannelPayment("voucher", self.config, voucher).to_json()

    def send(
        self,
        payload: dict[str, Any],
        body: Any = None,
        *,
        key: str | None = None,
    ) -> httpx.Response:
        document = {"x402Version": 2, "accepted": self.accepted, "payload": payload}
        return httpx.post(
            self.url,
            json={"income": 1000} if body is None else body,
            headers={"PAYMENT-SIGNATURE": encode(document).decode()}
            | ({} if key is None else {"Idempotency-Key": key}),
            timeout=60,
        )

    def charged(self) -> int:
        """What the gateway holds against this channel, as it tells a client that is out of step."""
        answer = self.send(self.payload(0))
        required = json.loads(base64.b64decode(answer.headers["payment-required"]))
        return int(required["accepts"][0]["extra"]["channelState"]["chargedCumulativeAmount"])


def test_the_description_says_what_where_and_how_much(
    hall: Hall, served: tuple[GatewayProcess, Service]
) -> None:
    gateway, service = served
    description = httpx.get(gateway.address(service)).json()
    assert description["price"]["decimal"] == "0.001"
    assert description["schema"]["input"]["required"] == ["income"]
    assert [offer["scheme"] for offer in description["x402"]["accepts"]] == ["batch-settlement", "exact"]
    assert description["x402"]["accepts"][0]["payTo"] == service.till
    assert httpx.get(f"{gateway.url}/services").json()["services"] == [description]
    health = httpx.get(f"{gateway.url}/health").json()
    assert (health["status"], health["services"]) == ("ok", 1)
    agent = httpx.get(f"{gateway.url}/.well-known/agent-registration.json").json()
    assert agent["registrations"][0]["agentId"] == service.work_id
    assert agent["x402Support"] is True


def test_an_unpaid_call_is_told_how_to_pay(served: tuple[GatewayProcess, Service]) -> None:
    gateway, service = served
    answer = httpx.post(gateway.address(service), json={"income": 1})
    assert answer.status_code == 402
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "payment.required"
    required = json.loads(base64.b64decode(answer.headers["payment-required"]))
    assert required["x402Version"] == 2
    assert required["accepts"][0]["extra"]["receiverAuthorizer"] == gateway.key.address


def test_the_answer_carries_its_evidence(hall: Hall, served: tuple[GatewayProcess, Service]) -> None:
    gateway, service = served
    with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
        answer = buyer.call(gateway.address(service), {"income": 2000})
    assert answer.result == 42.0
    assert answer.charged == service.price
    assert answer.evidence["work_id"] == service.work_id
    assert answer.evidence["card"] == {"metric": "auc", "value": 0.7}
    assert len(answer.evidence["input_digest"]) == 66


def test_every_unit_charged_reaches_the_till(hall: Hall, served: tuple[GatewayProcess, Service]) -> None:
    gateway, service = served
    buyers = [hall.account(coins=COIN) for _ in range(3)]
    paid = 0
    for key in buyers:
        with Buyer(hall.chain, key, spending_limit=COIN, deposit=200_000) as buyer:
            bill = buyer.call_many(gateway.address(service), [{"income": n} for n in range(40)], in_flight=6)
            assert bill.failures == []
            assert [answer.result for answer in bill.answers if answer] == [n / 1000 + 40 for n in range(40)]
            paid += bill.paid
    events = gateway.stop()
    assert paid == 3 * 40 * service.price
    assert hall.coins(service.till) == paid
    assert events[0]["claimed"] == paid
    assert events[0]["settled"] == {service.till: paid}
    for key in buyers:
        assert hall.coins(key.address) == COIN - 200_000


def test_the_rest_of_a_deposit_comes_back(hall: Hall, served: tuple[GatewayProcess, Service]) -> None:
    gateway, service = served
    key = hall.account(coins=COIN)
    with Buyer(hall.chain, key, spending_limit=COIN, deposit=100_000) as buyer:
        for _ in range(5):
            buyer.call(gateway.address(service), {"income": 1})
        assert buyer.refund(gateway.address(service)) == 100_000 - 5 * service.price
    assert hall.coins(key.address) == COIN - 5 * service.price
    gateway.stop()
    assert hall.coins(service.till) == 5 * service.price


def test_a_buyer_without_memory_goes_on_where_it_was(
    hall: Hall, served: tuple[GatewayProcess, Service]
) -> None:
    gateway, service = served
    key = hall.account(coins=COIN)
    for _ in range(2):
        with Buyer(hall.chain, key, spending_limit=COIN, deposit=100_000) as buyer:
            bill = buyer.call_many(gateway.address(service), [{"income": 1}] * 10)
            assert bill.failures == []
            assert bill.paid == 10 * service.price
    gateway.stop()
    assert hall.coins(service.till) == 20 * service.price
    assert hall.coins(key.address) == COIN - 100_000


def test_the_spending_limit_holds(hall: Hall, served: tuple[GatewayProcess, Service]) -> None:
    gateway, service = served
    with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=3 * service.price) as buyer:
        bill = buyer.call_many(gateway.address(service), [{"income": 1}] * 5, in_flight=2)
        assert bill.paid == 3 * service.price == buyer.signed
        assert [error.code for error in bill.failures] == ["payment.spending_limit"] * 2


def test_a_bad_input_costs_nothing(hall: Hall, served: tuple[GatewayProcess, Service]) -> None:
    gateway, service = served
    with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
        buyer.call(gateway.address(service), {"income": 1})
        with pytest.raises(BadInput) as refused:
            buyer.call(gateway.address(service), {"income": "much"})
        assert refused.value.code == "service.input_schema"
        buyer.call(gateway.address(service), {"income": 1})
        assert buyer.signed == 2 * service.price, "the voucher of the refused call was used again"
    gateway.stop()
    assert hall.coins(service.till) == 2 * service.price


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("fails", {"text": "x"}, "service.function_failed"),
        ("dies", {"code": 1}, "service.worker_lost"),
        ("sleeps", {"seconds": 60}, "service.timeout"),
    ],
)
def test_a_failing_function_costs_nothing(
    hall: Hall, tmp_path: Path, app: Path, name: str, body: dict[str, Any], code: str
) -> None:
    service = hall.service(Registry(tmp_path / "gateway"), f"{app}:{name}", timeout_s=1.0)
    with hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway:
        wallet = Wallet(hall, gateway, service)
        answer = wallet.send(wallet.payload(service.price), body)
        assert answer.status_code == 502
        assert answer.json()["code"] == code
        assert wallet.charged() == 0
        assert httpx.get(f"{gateway.url}/health").json()["owed"] == 0


def test_the_same_voucher_never_pays_twice_but_a_retry_gets_its_answer(
    hall: Hall, served: tuple[GatewayProcess, Service]
) -> None:
    gateway, service = served
    wallet = Wallet(hall, gateway, service)
    payload = wallet.payload(service.price)
    first = wallet.send(payload, key="one")
    assert first.status_code == 200
    again = wallet.send(payload, key="one")
    assert (again.status_code, again.json()) == (200, first.json())
    for key, body in ((None, None), ("two", None), ("one", {"income": 2})):
        assert wallet.send(payload, body, key=key).status_code == 402
    assert wallet.charged() == service.price


def test_nothing_acknowledged_is_forgotten_after_kill_9(
    hall: Hall, served: tuple[GatewayProcess, Service]
) -> None:
    gateway, service = served
    wallet = Wallet(hall, gateway, service)
    for number in range(1, 6):
        answer = wallet.send(wallet.payload(number * service.price), key=f"call {number}")
        assert answer.status_code == 200
    gateway.kill()
    gateway.start()
    assert wallet.charged() == 5 * service.price
    replay = wallet.send(wallet.payload(5 * service.price))
    assert replay.status_code == 402
    retry = wallet.send(wallet.payload(5 * service.price), key="call 5")
    assert retry.status_code == 200, "the buyer whose answer was lost asks again and gets it"
    assert wallet.send(wallet.payload(6 * service.price)).status_code == 200
    gateway.kill()
    gateway.start()
    events = gateway.stop()
    assert events[0]["claimed"] == 6 * service.price
    assert hall.coins(service.till) == 6 * service.price


def test_settling_again_after_a_kill_moves_nothing_twice(
    hall: Hall, served: tuple[GatewayProcess, Service]
) -> None:
    gateway, service = served
    wallet = Wallet(hall, gateway, service)
    assert wallet.send(wallet.payload(service.price)).status_code == 200
    token = (gateway.data_dir / "owner.token").read_text()
    owner = {"Authorization": f"Bearer {token}"}
    report = httpx.post(f"{gateway.url}/settle", headers=owner, timeout=60).json()
    assert report["settled"] == {service.till: service.price}
    gateway.kill()
    gateway.start()
    report = httpx.post(f"{gateway.url}/settle", headers=owner, timeout=60).json()
    assert (report["claimed"], report["settled"]) == (0, {})
    assert httpx.post(f"{gateway.url}/settle", headers={"Authorization": "Bearer x"}).status_code == 401
    assert httpx.post(f"{gateway.url}/settle").status_code == 401
    assert hall.coins(service.till) == service.price


def test_an_announced_withdrawal_stops_calls_and_is_claimed_before_it_ends(
    hall: Hall, tmp_path: Path, app: Path
) -> None:
    service = hall.service(Registry(tmp_path / "gateway"), f"{app}:score")
    with hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway:
        wallet = Wallet(hall, gateway, service)
        hall.fund(wallet.key.address, ether=1)
        assert wallet.send(wallet.payload(service.price)).status_code == 200
        wallet.channels.initiate_withdraw(wallet.key, wallet.config, COIN - service.price)
        deadline = time.monotonic() + 60
        while hall.coins(service.till) < service.price and time.monotonic() < deadline:
            time.sleep(0.2)
        assert hall.coins(service.till) == service.price
        answer = wallet.send(wallet.payload(2 * service.price))
        assert answer.status_code == 402
        assert answer.json()["code"] == "payment.withdrawal_pending"


def test_an_exact_payment_buys_one_answer(hall: Hall, served: tuple[GatewayProcess, Service]) -> None:
    gateway, service = served
    key = hall.account(coins=COIN)
    with Buyer(hall.chain, key, spending_limit=COIN) as buyer:
        answer = buyer.call_exact(gateway.address(service), {"income": 2000})
        assert answer.result == 42.0
        assert hall.coins(service.till) == service.price
        with pytest.raises(BadInput):
            buyer.call_exact(gateway.address(service), {"income": "x"})
    assert hall.coins(key.address) == COIN - service.price


def test_a_service_published_while_the_gateway_runs_is_served(
    hall: Hall, served: tuple[GatewayProcess, Service], app: Path
) -> None:
    gateway, _ = served
    more = hall.service(Registry(gateway.data_dir), f"{app}:prints")
    broken = hall.service(Registry(gateway.data_dir), f"{app}:missing")
    deadline = time.monotonic() + 30
    while httpx.get(gateway.address(more)).status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert httpx.get(gateway.address(more)).json()["name"] == more.name
    while httpx.get(gateway.address(broken)).status_code == 404 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert httpx.get(gateway.address(broken)).status_code == 503
    assert httpx.get(f"{gateway.url}/health").json()["status"] == "degraded"


def test_requests_of_the_wrong_form_are_refused_with_the_right_status(
    hall: Hall, served: tuple[GatewayProcess, Service]
) -> None:
    gateway, service = served
    wallet = Wallet(hall, gateway, service)
    url = gateway.address(service)
    payment = encode(
        {"x402Version": 2, "accepted": wallet.accepted, "payload": wallet.payload(1000)}
    ).decode()
    signed = {"PAYMENT-SIGNATURE": payment}
    json_type = {"content-type": "application/json"}
    assert httpx.post(url, content=b"{}", headers=signed | {"content-type": "text/plain"}).status_code == 415
    assert httpx.post(url, content=b"{}", headers=signed).status_code == 415
    for body in (b"", b"not json", b"[]", b'{"income": ', b"\xff\xfe"):
        assert httpx.post(url, content=body, headers=signed | json_type).status_code == 422
    assert httpx.post(url, content=b"x" * (BODY_LIMIT + 1), headers=signed | json_type).status_code == 413
    chunks = iter([b"x" * 65_536] * 17)
    assert httpx.post(url, content=chunks, headers=signed | json_type).status_code == 413
    assert httpx.delete(url).status_code == 405
    assert httpx.get(f"{gateway.url}/nowhere").status_code == 404
    assert httpx.post(f"{gateway.url}/services/999999", json={}).status_code == 405
    assert wallet.charged() == 0


def test_a_slow_client_does_not_keep_others_waiting(
    hall: Hall, served: tuple[GatewayProcess, Service]
) -> None:
    gateway, service = served
    host, port = gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(
            b"POST /services/%d HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{" % service.work_id
        )
        wallet = Wallet(hall, gateway, service)
        assert wallet.send(wallet.payload(service.price)).status_code == 200
        slow.settimeout(30)
        assert b" 408 " in slow.recv(200)


def test_a_gateway_that_asks_for_another_till_is_not_paid(hall: Hall, tmp_path: Path, app: Path) -> None:
    registry = Registry(tmp_path / "gateway")
    service = hall.service(registry, f"{app}:score")
    thief = Key.generate().address
    registry.add(Service(**(service.to_dict() | {"till": thief})))
    with (
        hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway,
        Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer,
    ):
        for call in (buyer.call, buyer.call_exact):
            with pytest.raises(Exception, match="the till of Work") as refused:
                call(gateway.address(service), {"income": 1})
            assert getattr(refused.value, "code", "") == "payment.wrong_till"


def test_a_gateway_that_is_gone_is_an_error_with_a_hint(hall: Hall) -> None:
    with (
        Buyer(hall.chain, hall.account(), spending_limit=COIN) as buyer,
        pytest.raises(PeerError) as failed,
    ):
        buyer.call("http://127.0.0.1:9/services/1", {})
    assert failed.value.hint


def test_a_poor_buyer_is_told_so(hall: Hall, served: tuple[GatewayProcess, Service]) -> None:
    gateway, service = served
    with (
        Buyer(hall.chain, hall.account(), spending_limit=COIN) as buyer,
        pytest.raises(PaymentError) as failed,
    ):
        buyer.call(gateway.address(service), {"income": 1})
    assert failed.value.code == "payment.no_coins"


def test_channels_of_others_do_not_pay_here(hall: Hall, served: tuple[GatewayProcess, Service]) -> None:
    gateway, service = served
    wallet = Wallet(hall, gateway, service)
    right = wallet.config
    for wrong in (
        ChannelConfig(
            right.payer, right.payer_authorizer, wallet.key.address, right.receiver_authorizer, right.token
        ),
        ChannelConfig(right.payer, right.payer_authorizer, right.receiver, wallet.key.address, right.token),
        ChannelConfig(
            right.payer, right.payer_authorizer, right.receiver, right.receiver_authorizer, right.payer
        ),
        ChannelConfig(
            right.payer, right.payer_authorizer, right.receiver, right.receiver_authorizer, right.token, 1800
        ),
    ):
        wallet.config, wallet.id = wrong, wallet.channels.digests.channel_id(wrong)
        answer = wallet.send(wallet.payload(service.price))
        assert answer.status_code == 402
        assert answer.json()["code"] in (
            "payment.receiver_mismatch",
            "payment.receiver_authorizer_mismatch",
            "payment.token_mismatch",
            "payment.channel_not_found",
        )
