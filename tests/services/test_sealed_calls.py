# SPDX-License-Identifier: Apache-2.0
"""Calls that only their two ends can read, whoever stands in between."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from koinon.chain.eip712 import Domain
from koinon.chain.keys import Key
from koinon.errors import BadInput, IntegrityError, KoinonError, PeerError
from koinon.services.buying.client import Buyer
from koinon.services.buying.purchase import new_number
from koinon.services.buying.transport import Response
from koinon.services.gateway.registry import Registry
from koinon.services.sealing.calls import (
    MEDIA_TYPE,
    METADATA_KEY,
    CallOpening,
    SealingKey,
    commitment,
    request_context,
    seal,
    sealing_domain,
    unseal,
)
from koinon.services.sealing.keys import FILE_NAME, KEPT_S, USED_S, SealingKeys
from tests.services.lying import Asked, Proxy, open_proxy
from tests.services.support import COIN, Hall

DOMAIN = Domain("Koinon Sealed Calls", "1", 1, "0x" + "11" * 20)
SECRET = "income of a person nobody else may read about"
PRICE = 1000


@given(st.binary(max_size=3000), st.binary(max_size=40))
def test_what_is_sealed_opens_for_its_reader_and_tells_its_length_in_steps(body, context):
    reader = X25519PrivateKey.generate()
    public = reader.public_key().public_bytes_raw()
    sealed = seal(public, {"a": 1}, body, context)
    assert unseal(reader, sealed, context) == ({"a": 1}, body)
    assert (len(sealed) - 48) % 256 == 0
    assert len(seal(public, {"a": 1}, b"", context)) == 256 + 48
    with pytest.raises(IntegrityError):
        unseal(reader, sealed, context + b"x")
    with pytest.raises(IntegrityError):
        unseal(X25519PrivateKey.generate(), sealed, context)


@given(st.integers(0, 400), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(place, change):
    reader = X25519PrivateKey.from_private_bytes(b"\7" * 32)
    sealed = bytearray(seal(reader.public_key().public_bytes_raw(), {}, b"x" * 200, b""))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(IntegrityError):
        unseal(reader, bytes(sealed), b"")


def test_nothing_is_sealed_to_a_key_that_nobody_can_have():
    with pytest.raises(BadInput):
        seal(bytes(32), {}, b"", b"")


def test_a_key_is_its_accounts_for_its_time(tmp_path):
    account, stranger = Key.generate(), Key.generate()
    keys = SealingKeys(tmp_path, account, DOMAIN, clock=lambda: 1000)
    signed = SealingKey.from_json(keys.current().to_json())
    signed.check(DOMAIN, account.address, 1000, 0)
    signed.check(DOMAIN, account.address, 1000 + USED_S + 200, 300)
    for domain, who, now in (
        (DOMAIN, stranger.address, 1000),
        (dataclasses.replace(DOMAIN, chain_id=2), account.address, 1000),
        (DOMAIN, account.address, 600),
        (DOMAIN, account.address, 1000 + USED_S + 301),
    ):
        with pytest.raises(IntegrityError):
            signed.check(domain, who, now, 300)
    with pytest.raises(IntegrityError):
        dataclasses.replace(signed, not_after=2**40).check(DOMAIN, account.address, 1000, 0)


def test_keys_change_survive_a_restart_and_are_erased(tmp_path):
    now = [0]
    account = Key.generate()

    def opened() -> SealingKeys:
        return SealingKeys(tmp_path, account, DOMAIN, clock=lambda: now[0])

    first = opened().current().key
    assert opened().current().key == first
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0
    now[0] = USED_S
    keys = opened()
    second = keys.current().key
    assert second != first
    assert keys.private(first) is not None, "what is under way still opens"
    now[0] = KEPT_S
    assert keys.private(first) is None
    keys.current()
    now[0] = KEPT_S + USED_S
    keys.current()
    assert second.hex() not in (tmp_path / FILE_NAME).read_text()
    erased = json.loads((tmp_path / FILE_NAME).read_text())
    assert all(since > 0 for _, since in erased)
    (tmp_path / FILE_NAME).write_text("garbage")
    assert opened().current().key not in (first, second)


def test_an_opening_proves_what_was_asked_and_answered():
    gateway, stranger = Key.generate(), Key.generate()
    opening = CallOpening(7, b"\1" * 32, b'{"x":1}', b'{"result":2}').signed_by(gateway, DOMAIN)
    shown = CallOpening.from_json(orjson.loads(orjson.dumps(opening.to_json())))
    assert shown == opening
    shown.check(DOMAIN, gateway.address)
    for changed in (
        {"work_id": 8},
        {"salt": b"\2" * 32},
        {"input": b'{"x":2}'},
        {"output": b'{"result":3}'},
        {"input": opening.output, "output": opening.input},
    ):
        with pytest.raises(IntegrityError):
            dataclasses.replace(opening, **changed).check(DOMAIN, gateway.address)
    with pytest.raises(IntegrityError):
        opening.check(DOMAIN, stranger.address)
    assert commitment("input", b"\1" * 32, b"1") != commitment("input", b"\2" * 32, b"1")


@pytest.mark.parametrize(
    "change", [{"workId": "-1"}, {"salt": "0x12"}, {"input": "0xzz"}, {"receipt": None}, {"more": 1}]
)
def test_what_is_no_opening_is_refused(change):
    opening = CallOpening(7, b"\1" * 32, b"1", b"2").signed_by(Key.generate(), DOMAIN)
    with pytest.raises(BadInput):
        CallOpening.from_json(opening.to_json() | change)


# Through a real gateway, with a host in between that reads and changes what it likes


@pytest.fixture(scope="module")
def selling(hall: Hall, tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("sealed")
    (folder / "app.py").write_text(
        "def echo(text: str, times: int = 1) -> str:\n    return text * times\n\n\n"
        'def fails(text: str) -> str:\n    raise ValueError("private: " + text)\n'
    )
    registry = Registry(folder / "gateway")
    gateway_key = hall.account(ether=10)
    works = hall.chain.contract("Works")
    services = []
    for name, sealed in (("echo", True), ("fails", True), ("echo", False)):
        service = hall.service(registry, f"{folder}/app.py:{name}", price=PRICE)
        if sealed:
            account = bytes.fromhex(gateway_key.address[2:])
            named = works.transaction("setMetadata", service.work_id, METADATA_KEY, account)
            hall.chain.sender(hall.publisher).send(named)
        services.append(service)
    with hall.gateway(folder / "gateway", gateway_key) as gateway, open_proxy(gateway.url) as proxy:
        yield gateway, proxy, services


@pytest.fixture
def between(selling):
    """The host in between, honest at first."""
    _, proxy, services = selling
    proxy.seen.clear()
    proxy.before, proxy.after = (lambda asked: asked), (lambda asked, answer: answer)
    return proxy, [f"{proxy.url}/services/{service.work_id}" for service in services]


@pytest.fixture
def buyer(hall: Hall):
    key = hall.account(coins=COIN)
    with Buyer(hall.chain, key, spending_limit=COIN, deposit=20 * PRICE, attempts=2) as opened:
        yield opened


def all_seen(proxy: Proxy) -> bytes:
    return b"".join(
        b"".join((asked.body, json.dumps(asked.headers).encode(), answer.body, repr(answer.headers).encode()))
        for asked, answer in proxy.seen
    )


@pytest.mark.e2e
def test_a_host_in_between_reads_nothing_and_the_caller_can_prove_the_answer(hall, selling, between, buyer):
    gateway, proxy = selling[0], between[0]
    url = between[1][0]
    answer = buyer.call(url, {"text": SECRET})
    assert answer.result == SECRET
    exact = buyer.call_exact(url, {"text": SECRET})
    assert exact.result == SECRET
    assert SECRET.encode() not in all_seen(proxy)
    assert answer.charged == PRICE
    assert answer.opening is not None
    answer.opening.check(sealing_domain(hall.chain), gateway.key.address)
    assert json.loads(answer.opening.input) == {"text": SECRET}
    assert json.loads(answer.opening.output)["result"] == SECRET
    with pytest.raises(BadInput):
        buyer.call(url, {"text": SECRET, "times": SECRET})
    with pytest.raises(PeerError):
        buyer.call(between[1][1], {"text": SECRET})
    assert SECRET.encode() not in all_seen(proxy), "not in what went wrong either"
    assert buyer.signed == 4 * PRICE, "the call that did not fit left its voucher for the next on its channel"
    assert buyer.refund(url) > 0


@pytest.mark.e2e
def test_works_that_name_nobody_are_called_in_the_open_unless_the_caller_insists(hall, between):
    proxy, (_, _, plain) = between
    with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
        assert buyer.call(plain, {"text": "open"}).opening is None
    with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN, private=True) as buyer:
        with pytest.raises(BadInput) as refused:
            buyer.call(plain, {"text": SECRET})
        assert refused.value.code == "service.not_sealed"
    assert SECRET.encode() not in all_seen(proxy)
    with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN, private=False) as buyer:
        assert buyer.call(between[1][0], {"text": "chosen"}).opening is None


def of_sealing(change: dict[str, Any] | int):
    """What the host says instead of the gateway's key."""

    def after(asked: Asked, answer: Response) -> Response:
        if asked.path != "/sealing":
            return answer
        if isinstance(change, int):
            return Response(change, {"content-type": "application/json"}, b'{"code": "service.none"}')
        return Response(200, answer.headers, orjson.dumps(orjson.loads(answer.body) | change))

    return after


@pytest.mark.e2e
@pytest.mark.parametrize("what", ["none", "garbage", "other key", "own account", "old"])
def test_a_host_cannot_turn_sealing_off_or_put_its_own_key_there(between, buyer, what):
    proxy, (echo, _, _) = between
    own = Key.generate()
    forged = SealingKey.sign(
        own, DOMAIN, X25519PrivateKey.generate().public_key().public_bytes_raw(), 0, 2**40
    )
    lies: dict[str, dict[str, Any] | int] = {
        "none": 404,
        "garbage": {"key": "x", "more": 1},
        "other key": {"key": forged.to_json()["key"]},
        "own account": {"account": own.address, **forged.to_json()},
        "old": {"notBefore": 1, "notAfter": 2},
    }
    proxy.after = of_sealing(lies[what])
    with pytest.raises((IntegrityError, KoinonError)):
        buyer.call(echo, {"text": SECRET})
    assert SECRET.encode() not in all_seen(proxy)
    proxy.after = lambda asked, answer: answer
    assert buyer.call(echo, {"text": SECRET}).result == SECRET


@pytest.mark.e2e
@pytest.mark.parametrize("what", ["input", "content type", "answer", "plain answer", "error", "swapped"])
def test_what_a_host_changes_is_noticed_and_paid_once_at_most(between, buyer, what):
    proxy, (echo, _, _) = between
    buyer.call(echo, {"text": "first"})
    earlier = proxy.seen[-1][1]
    number = new_number()

    def before(asked: Asked) -> Asked:
        if asked.headers.get("Content-Type") != MEDIA_TYPE:
            return asked
        if what == "input":
            return dataclasses.replace(asked, body=asked.body[:-1] + bytes((asked.body[-1] ^ 1,)))
        if what == "content type":
            return dataclasses.replace(asked, headers=asked.headers | {"Content-Type": "application/json"})
        return asked

    def after(asked: Asked, answer: Response) -> Response:
        if answer.headers.get("content-type") != MEDIA_TYPE:
            return answer
        if what == "answer":
            return Response(200, answer.headers, answer.body[:-1] + bytes((answer.body[-1] ^ 1,)))
        if what == "plain answer":
            told = {"result": "made up", "evidence": {}}
            return Response(200, {"content-type": "application/json"}, orjson.dumps(told))
        if what == "error":
            problem = {"title": "Failed.", "detail": "Pay again.", "code": "service.failed"}
            return Response(500, {"content-type": "application/problem+json"}, orjson.dumps(problem))
        return earlier if what == "swapped" else answer

    proxy.before, proxy.after = before, after
    with pytest.raises((IntegrityError, BadInput, PeerError)):
        buyer.call(echo, {"text": SECRET}, number=number)
    proxy.before, proxy.after = (lambda asked: asked), (lambda asked, answer: answer)
    assert buyer.call(echo, {"text": SECRET}, number=number).result == SECRET
    assert buyer.signed == 2 * PRICE


@pytest.mark.e2e
def test_a_captured_call_sent_again_gives_nothing_to_anybody(hall, selling, between, buyer):
    gateway, proxy = selling[0], between[0]
    echo = between[1][0]
    buyer.call(echo, {"text": SECRET})
    captured = next(
        asked for asked, _ in reversed(proxy.seen) if asked.headers.get("Content-Type") == MEDIA_TYPE
    )
    direct = gateway.url + captured.path
    owed = httpx.get(gateway.url + "/health").json()["owed"]
    again = httpx.post(direct, content=captured.body, headers=captured.headers)
    assert again.headers["content-type"] == MEDIA_TYPE, "answered again, to its caller alone, for nothing"
    assert SECRET.encode() not in again.content
    other = httpx.post(direct, content=captured.body, headers=captured.headers | {"Idempotency-Key": "mine"})
    assert other.status_code == 400
    with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as thief:
        thief.call(echo, {"text": "own"})
        paid = next(a for a, _ in reversed(proxy.seen) if a.headers.get("Content-Type") == MEDIA_TYPE)
        stolen = httpx.post(direct, content=captured.body, headers=paid.headers)
        assert stolen.status_code == 400
    assert httpx.get(gateway.url + "/health").json()["owed"] == owed + PRICE, "the thief's own call"
    assert buyer.signed == PRICE


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/services/1", b"", 409),
        ("/services/1", b"x" * 100, 409),
        ("/services/x", b"x" * 100, 404),
        ("/nowhere", b"x" * 100, 404),
    ],
)
def test_a_gateway_answers_nonsense_with_a_problem(selling, path, body, status):
    answer = httpx.post(selling[0].url + path, content=body, headers={"Content-Type": MEDIA_TYPE})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.e2e
@pytest.mark.parametrize(
    "head", [{}, {"answerKey": "00", "salt": "11" * 32}, {"answerKey": 5}, {"salt": "x"}]
)
def test_a_request_that_says_no_reader_is_refused_before_it_is_paid(selling, head):
    gateway = selling[0]
    key = bytes.fromhex(httpx.get(gateway.url + "/sealing").json()["key"][2:])
    work_id = selling[2][0].work_id
    sealed = key + seal(key, head, b"{}", request_context(work_id, b"", b"", b"", b""))
    answer = httpx.post(
        f"{gateway.url}/services/{work_id}", content=sealed, headers={"Content-Type": MEDIA_TYPE}
    )
    assert answer.status_code == 400


@pytest.mark.e2e
def test_a_changed_key_is_asked_for_again_and_a_call_is_not_paid_twice(selling, between, buyer, hall):
    echo = between[1][0]
    buyer.call(echo, {"text": "first"})
    posts = buyer._sealer.posts
    known = posts._keys[echo]
    gone = X25519PrivateKey.generate().public_key().public_bytes_raw()
    posts._keys[echo] = dataclasses.replace(known, key=gone)
    assert buyer.call(echo, {"text": SECRET}).result == SECRET
    assert buyer.signed == 2 * PRICE
