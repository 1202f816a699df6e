# SPDX-License-Identifier: Apache-2.0
"""What is priced by units, streamed, prepaid or free, at a gateway process: nobody pays for what did not
come, and nothing comes that nobody paid for."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from koinon.errors import BadInput, IntegrityError, PaymentError, PeerError
from koinon.services.buying.client import Buyer
from koinon.services.buying.prepaid import Prepaid, call_free
from koinon.services.buying.streaming import StreamingBuyer
from koinon.services.buying.transport import Http
from koinon.services.gateway.limits import Limits
from koinon.services.gateway.registry import Registry, Service
from koinon.services.gateway.x402 import encode
from tests.services.support import COIN, GatewayProcess, Hall
from tests.services.test_gateway import Wallet

pytestmark = pytest.mark.e2e
PRICE = 100
MOST = 10

APP = """
import os
import time
from collections.abc import Iterator
from pathlib import Path

from koinon.services.gateway.metering import Metered


def words(count: int) -> Metered[str]:
    return Metered(" ".join(["word"] * count), units=count)


def rows(count: int) -> list[int]:
    return list(range(count))


def tell(count: int, fail_at: int = -1, die_at: int = -1) -> Iterator[Metered[str]]:
    made = Path(__file__).with_name("made")
    for number in range(count):
        if number == fail_at:
            raise ValueError("private")
        if number == die_at:
            os._exit(1)
        with made.open("a") as file:
            file.write("x")
        yield Metered(f"part {number}", units=2)


def double(number: int) -> int:
    if number < 0:
        raise ValueError
    return 2 * number
"""


SLOW = """
import time
from pathlib import Path


def wait(until: str) -> bool:
    Path(until + ".began").touch()
    deadline = time.monotonic() + 60
    while not Path(until).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return True


def echo(text: str) -> str:
    return text
"""


@pytest.fixture(scope="module")
def world(
    hall: Hall, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[GatewayProcess, dict[str, Service], Path]]:
    folder = tmp_path_factory.mktemp("streams")
    app = folder / "app.py"
    app.write_text(APP)
    registry = Registry(folder / "gateway")
    services = {
        "words": hall.service(registry, f"{app}:words", price=PRICE, unit="token", most_units=MOST),
        "rows": hall.service(registry, f"{app}:rows", price=PRICE, unit="row", most_units=MOST),
        "tell": hall.service(registry, f"{app}:tell", price=PRICE, unit="part", most_units=MOST, workers=2),
        "double": hall.service(
            registry, f"{app}:double", price=PRICE, workers=2, free_calls=2, free_in_all=5
        ),
    }
    with hall.gateway(folder / "gateway", hall.account(ether=10)) as gateway:
        yield gateway, services, folder


def owed(gateway: GatewayProcess) -> int:
    return int(httpx.get(f"{gateway.url}/health").json()["owed"])


def test_a_call_costs_the_units_it_took_and_no_more_than_its_voucher(
    hall: Hall, world: tuple[GatewayProcess, dict[str, Service], Path]
) -> None:
    gateway, services, _ = world
    url = gateway.address(services["words"])
    price = httpx.get(url).json()["price"]
    assert (price["unit"], price["most_units"]) == ("token", MOST)
    assert [offer["scheme"] for offer in httpx.get(url).json()["x402"]["accepts"]] == ["batch-settlement"]
    with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN, deposit=COIN // 4) as buyer:
        assert buyer.call(url, {"count": 3}).charged == 3 * PRICE
        assert buyer.call(url, {"count": 0}).charged == 0
        assert buyer.call(url, {"count": 1}).charged == PRICE
        assert buyer.call(url, {"count": 500}).charged == MOST * PRICE
        assert buyer.signed <= (3 + 1 + MOST + MOST) * PRICE, "what calls left of vouchers covers later ones"
        assert buyer.call(gateway.address(services["rows"]), {"count": 4}).charged == 4 * PRICE


def test_a_stream_is_paid_as_it_flows(
    hall: Hall, world: tuple[GatewayProcess, dict[str, Service], Path]
) -> None:
    gateway, services, _ = world
    url = gateway.address(services["tell"])
    with StreamingBuyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
        with buyer.stream(url, {"count": 25}) as stream:
            items = [part.item for part in stream]
        assert items == [f"part {number}" for number in range(25)]
        assert stream.end is not None
        assert (stream.end.reason, stream.end.units, stream.end.charged) == ("complete", 50, 50 * PRICE)
        assert 50 * PRICE <= buyer.signed <= 50 * PRICE + 2 * MOST * PRICE
        with buyer.stream(url, {"count": 1}) as again:
            assert [part.item for part in again] == ["part 0"]
        assert buyer.channel(url).charged == 52 * PRICE


def test_a_payer_that_leaves_owes_what_was_sent_and_no_more_is_made(
    hall: Hall, world: tuple[GatewayProcess, dict[str, Service], Path]
) -> None:
    gateway, services, folder = world
    url = gateway.address(services["tell"])
    key = hall.account(coins=COIN)
    before = owed(gateway)
    made = folder / "made"
    made.write_text("")
    with StreamingBuyer(hall.chain, key, spending_limit=COIN) as buyer:
        with buyer.stream(url, {"count": 10_000}) as stream:
            for part in stream:
                if part.item == "part 2":
                    break
        deadline = time.monotonic() + 60
        seen = -1
        while seen != owed(gateway) and time.monotonic() < deadline:
            seen = owed(gateway)
            time.sleep(0.3)
        charged = owed(gateway) - before
        assert 6 * PRICE <= charged <= buyer.signed, "never more than was signed"
        assert len(made.read_text()) * 2 * PRICE <= charged + 2 * PRICE, "at most one part waits for money"


def test_who_signs_no_more_gets_no_more(
    hall: Hall, world: tuple[GatewayProcess, dict[str, Service], Path]
) -> None:
    gateway, services, _ = world
    url = gateway.address(services["tell"])
    with StreamingBuyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
        prepaid = buyer.sign_ahead(url, 5 * PRICE)
        headers = {"content-type": "application/json", "koinon-prepaid": prepaid.token}
        answer = httpx.post(url, json={"count": 50}, headers=headers, timeout=60)
        kinds = [line[7:] for line in answer.text.splitlines() if line.startswith("event: ")]
        assert kinds == ["part", "part", "end"], "two parts cost 4 units; a third would go beyond 5"
        end = json.loads(answer.text.splitlines()[-2][6:])
        assert (end["reason"], end["charged"]) == ("unpaid", str(4 * PRICE))


def test_a_provider_that_stops_charges_what_came(
    hall: Hall, world: tuple[GatewayProcess, dict[str, Service], Path]
) -> None:
    gateway, services, _ = world
    url = gateway.address(services["tell"])
    with StreamingBuyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
        for broken, code in (("fail_at", "service.function_failed"), ("die_at", "service.worker_lost")):
            with buyer.stream(url, {"count": 9, broken: 2}) as stream:
                assert len(list(stream)) == 2
            assert stream.end is not None
            assert (stream.end.reason, stream.end.charged) == ("failed", 4 * PRICE)
            assert stream.end.problem is not None
            assert stream.end.problem["code"] == code
        before = buyer.channel(url).charged
        for arguments, error in (({"count": "many"}, BadInput), ({"count": 3, "fail_at": 0}, PeerError)):
            with pytest.raises(error):
                buyer.stream(url, arguments)
        assert buyer.channel(url).charged == before
        with buyer.stream(url, {"count": 1}) as stream:
            assert len(list(stream)) == 1
        assert buyer.channel(url).charged == before + 2 * PRICE


def test_a_stream_survives_the_gateway_no_longer_than_it_was_paid(hall: Hall, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(APP)
    service = hall.service(
        Registry(tmp_path / "gateway"), f"{app}:tell", price=PRICE, unit="part", most_units=MOST
    )
    with hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway:
        url = gateway.address(service)
        key = hall.account(coins=COIN)
        with StreamingBuyer(hall.chain, key, spending_limit=COIN) as buyer:
            with buyer.stream(url, {"count": 100_000}) as stream:
                parts = iter(stream)
                got = sum(next(parts).cost for _ in range(20))
                gateway.kill()
                with pytest.raises(PeerError):
                    list(parts)
            gateway.start()
            with StreamingBuyer(hall.chain, key, spending_limit=COIN) as later:
                charged = later.channel(url).charged
            assert got <= charged <= buyer.signed, "what was acknowledged is not forgotten"
            with buyer.stream(url, {"count": 100_000}) as stream:
                parts = iter(stream)
                next(parts)
                assert gateway.process is not None
                gateway.process.terminate()
                list(parts)
            assert stream.end is not None
            assert stream.end.reason == "stopping"


class Liar:
    """A gateway that counts wrongly, as a stream's buyer hears it."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines

    def readline(self, _limit: int) -> bytes:
        return self.lines.pop(0) if self.lines else b""


@pytest.mark.parametrize(
    "lines",
    [
        [b"event: part", b'data: {"item":1,"units":11,"charged":"1100"}', b""],
        [
            b"event: part",
            b'data: {"item":1,"units":1,"charged":"100"}',
            b"",
            b"event: end",
            b'data: {"reason":"complete","charged":"900","evidence":{}}',
            b"",
        ],
    ],
)
def test_a_gateway_that_counts_wrongly_gets_no_more_signatures(
    hall: Hall,
    world: tuple[GatewayProcess, dict[str, Service], Path],
    monkeypatch: pytest.MonkeyPatch,
    lines: list[bytes],
) -> None:
    gateway, services, _ = world
    with StreamingBuyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
        with buyer.stream(gateway.address(services["tell"]), {"count": 1}) as stream:
            signed = buyer.signed
            monkeypatch.setattr(stream, "_answer", Liar([line + b"\n" for line in lines]))
            with pytest.raises(IntegrityError):
                list(stream)
        assert buyer.signed == signed


def test_calls_by_token_in_parallel_cost_what_was_signed_ahead_and_each_key_pays_once(
    hall: Hall, world: tuple[GatewayProcess, dict[str, Service], Path]
) -> None:
    gateway, services, _ = world
    url = gateway.address(services["double"])
    key = hall.account(coins=COIN)
    with (
        StreamingBuyer(hall.chain, key, spending_limit=COIN) as buyer,
        closing(Http()) as http,
    ):
        prepaid = buyer.sign_ahead(url, 20 * PRICE)

        def call(number: int) -> int:
            return int(prepaid.call(http, {"number": number}, number=f"call {number}").result)

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(call, range(15))) == [2 * number for number in range(15)]
            assert list(threads.map(call, [3] * 8)) == [6] * 8, "the same key again costs nothing"
        with pytest.raises(PaymentError):
            prepaid.call(http, {"number": 99}, number="call 3")
        with pytest.raises(PeerError):
            prepaid.call(http, {"number": -1})
        for number in range(5):
            prepaid.call(http, {"number": number})
        with pytest.raises(PaymentError):
            prepaid.call(http, {"number": 1})
        forged = Prepaid(url, prepaid.token[:-4] + "AAAA", prepaid.until, PRICE)
        elsewhere = Prepaid(gateway.address(services["words"]), prepaid.token, prepaid.until, PRICE)
        for bad in (forged, elsewhere):
            with pytest.raises(PaymentError):
                bad.call(http, {"number": 1, "count": 1})
        headers = {"content-type": "application/json", "koinon-prepaid": prepaid.token}
        assert httpx.post(url, json={"number": 1}, headers=headers).json()["code"] == "payment.no_key"
        more = buyer.sign_ahead(url, PRICE)
        assert more.call(http, {"number": 4}).charged == PRICE
        with StreamingBuyer(hall.chain, key, spending_limit=0) as later:
            assert later.channel(url).charged == 21 * PRICE


def test_headroom_takes_no_forged_foreign_or_uncovered_voucher(
    hall: Hall, world: tuple[GatewayProcess, dict[str, Service], Path]
) -> None:
    gateway, services, _ = world
    service = services["double"]
    wallet = Wallet(hall, gateway, service, deposit=50 * PRICE)
    other = hall.account()

    def ahead(payload: dict[str, Any]) -> httpx.Response:
        document = {"x402Version": 2, "accepted": wallet.accepted, "payload": payload}
        return httpx.post(
            wallet.url + "/headroom", headers={"PAYMENT-SIGNATURE": encode(document).decode()}, timeout=60
        )

    assert ahead(wallet.payload(5 * PRICE, key=other)).json()["code"] == "payment.voucher_signature"
    assert ahead(wallet.payload(51 * PRICE)).json()["code"] == "payment.cumulative_exceeds_balance"
    assert ahead(wallet.payload(5 * PRICE)).json()["signed"] == str(5 * PRICE)
    assert ahead(wallet.payload(3 * PRICE)).json()["signed"] == str(5 * PRICE), "an older one changes nothing"
    again = wallet.send(wallet.payload(5 * PRICE), {"number": 1})
    assert again.status_code == 402, "a voucher that was signed ahead is no ticket"
    assert httpx.post(wallet.url + "/headroom").json()["code"] == "payment.not_a_voucher"
    assert wallet.charged() == 0


def test_free_calls_are_counted_for_each_caller_and_for_all(
    hall: Hall, world: tuple[GatewayProcess, dict[str, Service], Path]
) -> None:
    gateway, services, _ = world
    url = gateway.address(services["double"])
    before = owed(gateway)
    first, second, third = hall.account(), hall.account(), hall.account()
    with closing(Http()) as http:

        def free(key: Any, number: int, nonce: bytes = b"") -> Any:
            return call_free(hall.chain, key, http, url, {"number": number}, nonce=nonce).result

        nonce = bytes(31) + b"1"
        assert free(first, 4, nonce) == 8
        assert free(first, 4, nonce) == 8, "a lost answer is given again"
        with pytest.raises(PaymentError, match="was used"):
            free(first, 5, nonce)
        with pytest.raises(PeerError):
            free(first, -1)
        assert free(first, 6) == 12, "a failed call is not counted"
        with pytest.raises(PaymentError, match="of this caller"):
            free(first, 7)
        gateway.kill()
        http.close()
        gateway.start()
        with pytest.raises(PaymentError, match="of this caller"):
            free(first, 7)
        assert [free(second, 1), free(second, 2), free(third, 3)] == [2, 4, 6]
        with pytest.raises(PaymentError, match="free calls are used up"):
            free(third, 4)
        with pytest.raises(PaymentError):
            call_free(hall.chain, first, http, gateway.address(services["words"]), {"count": 1})
    assert owed(gateway) == before


def test_a_busy_service_says_when_to_come_back_and_charges_nobody(hall: Hall, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(SLOW)
    registry = Registry(tmp_path / "gateway")
    slow = hall.service(registry, f"{app}:wait", limits=Limits(waiting=1, body_bytes=200))
    rated = hall.service(registry, f"{app}:echo", limits=Limits(calls_per_minute=60), inline=True)
    with hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway:
        assert httpx.get(gateway.address(slow)).json()["limits"]["waiting"] == 1
        wallet = Wallet(hall, gateway, slow)
        go = tmp_path / "go"

        def call(number: int) -> httpx.Response:
            return wallet.send(wallet.payload(number * slow.price), {"until": str(go)})

        with ThreadPoolExecutor(6) as threads:
            answers = [threads.submit(call, number) for number in range(1, 7)]
            refused = [next(as_completed(answers)).result() for _ in range(1)]
            deadline = time.monotonic() + 60
            while sum(answer.done() for answer in answers) < 4 and time.monotonic() < deadline:
                time.sleep(0.05)
            go.write_text("")
            results = [answer.result() for answer in answers]
        assert sorted(answer.status_code for answer in results) == [200] * 2 + [503] * 4
        assert refused[0].json()["code"] == "service.busy"
        assert int(refused[0].headers["retry-after"]) >= 1
        assert wallet.charged() == 2 * slow.price
        assert wallet.send(wallet.payload(99 * slow.price), {"until": "x" * 300}).status_code == 413
        often = Wallet(hall, gateway, rated)
        first, second = (often.send(often.payload(n * rated.price), {"text": "x"}) for n in (1, 2))
        assert (first.status_code, second.status_code) == (200, 429)
        assert int(second.headers["retry-after"]) >= 1
        assert often.charged() == rated.price


def test_sigterm_lets_calls_end_and_takes_no_new_ones(hall: Hall, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(SLOW)
    service = hall.service(Registry(tmp_path / "gateway"), f"{app}:wait")
    with hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway:
        wallet = Wallet(hall, gateway, service)
        go, began = tmp_path / "go", tmp_path / "go.began"
        with ThreadPoolExecutor(1) as threads:
            answer = threads.submit(wallet.send, wallet.payload(service.price), {"until": str(go)})
            deadline = time.monotonic() + 60
            while not began.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            assert gateway.process is not None
            gateway.process.terminate()
            refused = False
            while not refused and time.monotonic() < deadline:
                try:
                    refused = wallet.send(wallet.payload(2 * service.price)).status_code == 503
                except httpx.TransportError:
                    refused = True
            go.write_text("")
            assert answer.result().status_code == 200, "what runs is answered"
        events = gateway.stop()
        assert events[0]["claimed"] == service.price, "and settled"


def test_a_wrong_clock_gets_no_free_or_exact_call_and_says_why(
    hall: Hall, world: tuple[GatewayProcess, dict[str, Service], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, services, _ = world
    url, caller, now = gateway.address(services["double"]), hall.account(), time.time()
    with closing(Http()) as http:
        for skew in (-7200, 7200):
            monkeypatch.setattr("koinon.services.buying.prepaid.time.time", lambda skew=skew: now + skew)
            with pytest.raises(PaymentError) as refused:
                call_free(hall.chain, caller, http, url, {"number": 1})
            assert refused.value.code == "payment.free_call_time"
        monkeypatch.undo()
        key = hall.account(coins=COIN)
        with Buyer(hall.chain, key, spending_limit=COIN) as buyer:
            monkeypatch.setattr("koinon.services.buying.client.time.time", lambda: now - 7200)
            with pytest.raises(PaymentError) as expired:
                buyer.call_exact(url, {"number": 1})
            assert expired.value.code == "payment.authorization_valid_before"
            monkeypatch.undo()
        assert hall.coins(key.address) == COIN


def test_a_half_open_stream_does_not_keep_others_out(
    hall: Hall, world: tuple[GatewayProcess, dict[str, Service], Path]
) -> None:
    gateway, services, _ = world
    wallet = Wallet(hall, gateway, services["tell"])
    document = {"x402Version": 2, "accepted": wallet.accepted, "payload": wallet.payload(MOST * PRICE)}
    place = gateway.url.removeprefix("http://")
    silent = http.client.HTTPConnection(place, timeout=60)
    headers = {"content-type": "application/json", "PAYMENT-SIGNATURE": encode(document).decode()}
    silent.request("POST", f"/services/{services['tell'].work_id}", b'{"count": 1000}', headers)
    with (
        StreamingBuyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer,
        buyer.stream(gateway.address(services["tell"]), {"count": 3}) as stream,
    ):
        assert len(list(stream)) == 3
    silent.close()
