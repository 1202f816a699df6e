# SPDX-License-Identifier: Apache-2.0
"""What a payer, a stranger or a dying client may try at a gateway process: nobody pays twice, nobody gets
more than was paid, and nobody holds the gateway's place for nothing."""

from __future__ import annotations

import base64
import json
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from koinon.chain.keys import Key
from koinon.services.buying.streaming import StreamingBuyer
from koinon.services.gateway.journal import Journal
from koinon.services.gateway.journal_records import CallRecord, Watermark
from koinon.services.gateway.limits import Limits
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.registry import Registry, Service
from koinon.services.gateway.x402 import encode
from koinon.services.sealing.calls import MEDIA_TYPE, request_context, seal
from koinon.works.payments import ChannelPayment
from tests.services.support import COIN, GatewayProcess, Hall
from tests.services.test_gateway import Wallet

pytestmark = pytest.mark.e2e
PRICE = 100

APP = """
import os
import time
from collections.abc import Iterator
from pathlib import Path


def flaky(place: str) -> int:
    folder = Path(place)
    for number in range(100):
        try:
            os.close(os.open(folder / f"run{number}", os.O_CREAT | os.O_EXCL))
            break
        except FileExistsError:
            continue
    deadline = time.monotonic() + 60
    while not (folder / "go").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    if number == 0 and not (folder / "steady").exists():
        raise ValueError
    return number


def large(place: str) -> str:
    with (Path(place) / "runs").open("a") as file:
        file.write("x")
    return "x" * 70_000


def drip(count: int) -> Iterator[int]:
    yield from range(count)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def place(
    hall: Hall, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[GatewayProcess, dict[str, Service]]]:
    folder = tmp_path_factory.mktemp("attacked")
    app = folder / "app.py"
    app.write_text(APP)
    registry = Registry(folder / "gateway")
    services = {
        "flaky": hall.service(registry, f"{app}:flaky", price=PRICE, workers=3),
        "large": hall.service(registry, f"{app}:large", price=PRICE),
        "rated": hall.service(registry, f"{app}:large", price=PRICE, limits=Limits(calls_per_minute=1)),
        "drip": hall.service(
            registry,
            f"{app}:drip",
            price=PRICE,
            unit="part",
            most_units=2,
            workers=2,
            limits=Limits(at_once=1, waiting=0),
        ),
    }
    with hall.gateway(folder / "gateway", hall.account(ether=10)) as gateway:
        yield gateway, services


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_key_pays_once_however_many_ask_while_its_first_try_fails(
    hall: Hall, place: tuple[GatewayProcess, dict[str, Service]], tmp_path: Path
) -> None:
    gateway, services = place
    url = gateway.address(services["flaky"])
    with StreamingBuyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
        prepaid = buyer.sign_ahead(url, 10 * PRICE)
    before = int(httpx.get(f"{gateway.url}/health").json()["owed"])
    body = orjson.dumps({"place": str(tmp_path)})
    parts = urlsplit(url)
    request = (
        b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
        b"koinon-prepaid: %s\r\nidempotency-key: one\r\nconnection: close\r\n\r\n%s"
        % (parts.path.encode(), len(body), prepaid.token.encode(), body)
    )
    with ExitStack() as open_lines:
        lines = [
            open_lines.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=120))
            for _ in range(6)
        ]
        lines[0].sendall(request)
        until((tmp_path / "run0").exists)
        for line in lines[1:]:
            line.sendall(request)
        for _ in range(3):  # meanwhile the gateway reads them
            httpx.get(f"{gateway.url}/health")
        (tmp_path / "go").touch()
        answers = [line.makefile("rb").read() for line in lines]
    assert answers[0].startswith(b"HTTP/1.1 502")
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers[1:])
    assert len({answer.partition(b"\r\n\r\n")[2] for answer in answers[1:]}) == 1
    assert int(httpx.get(f"{gateway.url}/health").json()["owed"]) == before + PRICE


def test_a_key_that_paid_buys_nothing_else_and_a_second_voucher_is_not_charged(
    hall: Hall, place: tuple[GatewayProcess, dict[str, Service]], tmp_path: Path
) -> None:
    gateway, services = place
    (tmp_path / "go").touch()
    (tmp_path / "steady").touch()
    wallet = Wallet(hall, gateway, services["flaky"])
    body = {"place": str(tmp_path)}
    assert wallet.send(wallet.payload(PRICE), body, key="k").json()["result"] == 0
    again = wallet.send(wallet.payload(2 * PRICE), body, key="k")
    assert again.json()["result"] == 0, "the same call, though with another voucher"
    other = wallet.send(wallet.payload(3 * PRICE), body | {"place": f"{tmp_path}/."}, key="k")
    assert (other.status_code, other.json()["code"]) == (402, "payment.key_used")
    forged = wallet.send(wallet.payload(4 * PRICE, key=Key.generate()), body, key="k")
    assert (forged.status_code, forged.json()["code"]) == (402, "payment.voucher_signature")
    assert wallet.charged() == PRICE
    assert wallet.send(wallet.payload(3 * PRICE), body, key="l").json()["result"] == 1


def test_an_answer_that_is_too_large_to_keep_is_made_again_a_few_times_only(
    hall: Hall, place: tuple[GatewayProcess, dict[str, Service]], tmp_path: Path
) -> None:
    gateway, services = place
    wallet = Wallet(hall, gateway, services["large"])
    found = [
        wallet.send(wallet.payload(PRICE), {"place": str(tmp_path)}, key="k").status_code for _ in range(6)
    ]
    assert found == [200, 200, 200, 200, 402, 402]
    assert len((tmp_path / "runs").read_text()) == 4
    assert wallet.charged() == PRICE


def test_a_payer_cannot_be_many_by_writing_its_address_otherwise(
    hall: Hall, place: tuple[GatewayProcess, dict[str, Service]], tmp_path: Path
) -> None:
    gateway, services = place
    wallet = Wallet(hall, gateway, services["rated"])
    statuses = []
    writings: tuple[Callable[[str], str], ...] = (str, str.lower, lambda text: "0x" + text[2:].upper())
    for number, write in enumerate(writings):
        payload = wallet.payload((number + 1) * PRICE)
        payload["channelConfig"]["payer"] = write(wallet.key.address)
        statuses.append(wallet.send(payload, {"place": str(tmp_path)}).status_code)
    assert statuses == [200, 429, 429]


def test_a_channel_is_not_emptied_one_unit_after_the_other(
    hall: Hall, place: tuple[GatewayProcess, dict[str, Service]]
) -> None:
    gateway, services = place
    wallet = Wallet(hall, gateway, services["drip"], deposit=1_000)

    def refund(amount: int | None) -> httpx.Response:
        voucher = wallet.channels.digests.sign(wallet.key, wallet.id, 0)
        payload = ChannelPayment("refund", wallet.config, voucher, refund_amount=amount).to_json()
        document = {"x402Version": 2, "accepted": wallet.accepted, "payload": payload}
        header = {"PAYMENT-SIGNATURE": encode(document).decode()}
        return httpx.post(f"{wallet.url}/refund", headers=header, timeout=60)

    assert refund(1).json()["refunded"] == "1"
    refused = refund(1)
    assert refused.status_code == 402
    assert "once in 60 s" in refused.text
    assert hall.coins(wallet.key.address) == 1
    assert refund(None).json()["refunded"] == "999"
    assert hall.coins(wallet.key.address) == 1_000


def test_a_stream_that_finds_no_room_leaves_its_voucher_good(
    hall: Hall, place: tuple[GatewayProcess, dict[str, Service]]
) -> None:
    gateway, services = place
    url = gateway.address(services["drip"])
    wallet = Wallet(hall, gateway, services["drip"])
    payment = {"x402Version": 2, "accepted": wallet.accepted}
    key = hall.account(coins=COIN)
    with (
        StreamingBuyer(hall.chain, key, spending_limit=COIN) as buyer,
        buyer.stream(url, {"count": 5}) as stream,
    ):
        assert next(iter(stream)).item == 0
        assert wallet.send(wallet.payload(2 * PRICE), {"count": 0}).status_code == 503
        refund = payment | {"payload": buyer.channel(url).refund()["payload"]}
        header = {"PAYMENT-SIGNATURE": encode(refund).decode()}
        refused = httpx.post(f"{url}/refund", headers=header, timeout=60)
        assert refused.json()["code"] == "payment.channel_busy", "a stream runs on it"

    def room() -> bool:
        with httpx.stream(
            "POST",
            url,
            json={"count": 1},
            headers={"PAYMENT-SIGNATURE": encode(payment | {"payload": wallet.payload(2 * PRICE)}).decode()},
            timeout=60,
        ) as answer:
            assert answer.status_code in (200, 503), answer.read()
            return answer.status_code == 200

    until(room)


def test_a_sealed_call_cannot_be_sent_again_by_saying_its_headers_twice(
    hall: Hall, place: tuple[GatewayProcess, dict[str, Service]], tmp_path: Path
) -> None:
    gateway, services = place
    (tmp_path / "go").touch()
    (tmp_path / "steady").touch()
    service = services["flaky"]
    wallet = Wallet(hall, gateway, service)
    first = encode(payment_of(wallet, PRICE))
    public = bytes.fromhex(httpx.get(gateway.url + "/sealing").json()["key"][2:])
    mine = X25519PrivateKey.generate().public_key().public_bytes_raw()
    bound = request_context(service.work_id, first, b"", b"", b"first")
    head = {"answerKey": mine.hex(), "salt": "11" * 32}
    sealed = public + seal(public, head, orjson.dumps({"place": str(tmp_path)}), bound)
    headers = [
        ("content-type", MEDIA_TYPE),
        ("payment-signature", first.decode()),
        ("idempotency-key", "first"),
    ]
    assert httpx.post(wallet.url, content=sealed, headers=headers).headers["content-type"] == MEDIA_TYPE
    thief = Wallet(hall, gateway, service)
    more = [("payment-signature", encode(payment_of(thief, PRICE)).decode()), ("idempotency-key", "thief")]
    httpx.post(wallet.url, content=sealed, headers=headers + more)
    assert len(list(tmp_path.glob("run*"))) == 1, "asked once, whatever was added behind"
    assert (wallet.charged(), thief.charged()) == (PRICE, 0)


def payment_of(wallet: Wallet, amount: int) -> dict[str, Any]:
    return {"x402Version": 2, "accepted": wallet.accepted, "payload": wallet.payload(amount)}


def test_a_transfer_whose_client_was_gone_is_answered_when_it_is_sent_again(
    hall: Hall, place: tuple[GatewayProcess, dict[str, Service]], tmp_path: Path
) -> None:
    gateway, services = place
    url = gateway.address(services["flaky"])
    (tmp_path / "steady").touch()
    key = hall.account(coins=COIN)
    unpaid = httpx.post(url, json={})
    accepted = json.loads(base64.b64decode(unpaid.headers["payment-required"]))["accepts"][1]
    nonce = secrets.token_bytes(32)
    until_s = int(time.time()) + 300
    authorization = {
        "from": key.address,
        "to": accepted["payTo"],
        "value": str(PRICE),
        "validAfter": "0",
        "validBefore": str(until_s),
        "nonce": "0x" + nonce.hex(),
    }
    signature = OnChain(hall.chain, key).coin_digests.sign_transfer(
        key, accepted["payTo"], PRICE, valid_before=until_s, nonce=nonce
    )
    payload = {"authorization": authorization, "signature": "0x" + signature.hex()}
    header = {"PAYMENT-SIGNATURE": encode({"x402Version": 2, "accepted": accepted, "payload": payload})}
    body = orjson.dumps({"place": str(tmp_path)})
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port)) as line:
        line.sendall(
            b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"payment-signature: %s\r\n\r\n%s"
            % (parts.path.encode(), len(body), header["PAYMENT-SIGNATURE"], body)
        )
        until((tmp_path / "run0").exists)
    (tmp_path / "go").touch()
    until(lambda: hall.coins(key.address) == COIN - PRICE)

    def ask() -> httpx.Response:
        headers = {"content-type": "application/json"} | {
            name: each.decode() for name, each in header.items()
        }
        return httpx.post(url, content=body, headers=headers, timeout=60)

    answers = []

    def answered() -> bool:
        answers.append(ask())
        return "processed" not in answers[-1].text  # the first may not be over yet

    until(answered)
    assert answers[-1].status_code == 200, answers[-1].text
    assert hall.coins(key.address) == COIN - PRICE
    assert ask().json()["code"] == "payment.nonce_already_used"


def test_addresses_in_strange_digits_name_nothing(place: tuple[GatewayProcess, dict[str, Service]]) -> None:
    gateway, _ = place
    for path in ("%C2%B2", "%D9%A1", "9" * 5_000, "0x1"):
        assert httpx.get(f"{gateway.url}/services/{path}").status_code == 404


def test_who_says_nothing_is_sent_away(place: tuple[GatewayProcess, dict[str, Service]]) -> None:
    gateway, services = place
    begun = b"POST /services/%d HTTP/1.1\r\nhost: x\r\n" % services["large"].work_id
    parts = urlsplit(gateway.url)
    with ExitStack() as open_lines:
        lines = [
            open_lines.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=120))
            for _ in range(3)
        ]
        for line, said in zip(lines, (b"", begun, begun + b"content-length: 5\r\n\r\n"), strict=True):
            line.sendall(said)
        assert [line.recv(4096)[:12] for line in lines] == [b"", b"", b"HTTP/1.1 408"], "waits with an end"


def test_a_channel_that_is_forgotten_leaves_its_keys_to_nobody(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    number = journal.open_channel(b"\1" * 32, 1, b"{}")
    mark = Watermark(5, 5, 5, b"s")
    journal.commit([(number, mark)], [(number, CallRecord(b"key", b"digest"))])
    journal.forget_channel(number)
    other = journal.open_channel(b"\2" * 32, 1, b"{}")
    assert journal.call(other, b"key") is None
    journal.close()
