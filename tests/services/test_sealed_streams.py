# SPDX-License-Identifier: Apache-2.0
"""Streams, prepaid calls and free calls of a Work that demands sealing, past a host that reads along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from koinon.errors import BadInput, IntegrityError, KoinonError
from koinon.services.buying.prepaid import call_free
from koinon.services.buying.streaming import StreamingBuyer
from koinon.services.buying.transport import Http, Response
from koinon.services.gateway.registry import Registry, Service
from koinon.services.sealing.calls import METADATA_KEY, sealing_domain
from tests.services.lying import Asked, Proxy, open_proxy
from tests.services.support import COIN, GatewayProcess, Hall

pytestmark = pytest.mark.e2e
SECRET = "what nobody in between may read"
PRICE = 100

APP = """
from collections.abc import Iterator


def tell(text: str, times: int = 1) -> Iterator[str]:
    for number in range(times):
        yield f"{text} {number}"


def echo(text: str) -> str:
    return text
"""


class Place(NamedTuple):
    gateway: GatewayProcess
    proxy: Proxy
    tell: str
    echo: str

    @property
    def seen(self) -> bytes:
        return b"".join(
            asked.body + json.dumps(asked.headers).encode() + answer.body + repr(answer.headers).encode()
            for asked, answer in self.proxy.seen
        )


@pytest.fixture(scope="module")
def opened(hall: Hall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("sealed")
    (folder / "app.py").write_text(APP)
    registry, key = Registry(folder / "gateway"), hall.account(ether=10)

    def sold(service: Service) -> int:
        named = (service.work_id, METADATA_KEY, bytes.fromhex(key.address[2:]))
        works = hall.chain.contract("Works")
        hall.chain.sender(hall.publisher).send(works.transaction("setMetadata", *named))
        return service.work_id

    tell = sold(hall.service(registry, f"{folder}/app.py:tell", price=PRICE, unit="part", most_units=20))
    echo = sold(hall.service(registry, f"{folder}/app.py:echo", price=PRICE, free_calls=3))
    with hall.gateway(folder / "gateway", key) as gateway, open_proxy(gateway.url) as proxy:
        yield Place(gateway, proxy, f"{proxy.url}/services/{tell}", f"{proxy.url}/services/{echo}")


@pytest.fixture
def place(opened: Place) -> Place:
    opened.proxy.seen.clear()
    opened.proxy.before, opened.proxy.after = (lambda asked: asked), (lambda asked, answer: answer)
    return opened


def test_a_stream_is_sealed_part_by_part(hall: Hall, place: Place) -> None:
    with StreamingBuyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
        with buyer.stream(place.tell, {"text": SECRET, "times": 4}) as stream:
            items = [part.item for part in stream]
        assert items == [f"{SECRET} {number}" for number in range(4)]
        assert stream.end is not None
        assert (stream.end.reason, stream.end.charged) == ("complete", 4 * PRICE)
        with pytest.raises(BadInput):
            buyer.stream(place.tell, {"text": SECRET, "times": SECRET})
    assert b"event: sealed" in place.seen
    assert SECRET.encode() not in place.seen


@pytest.mark.parametrize("what", ["plain", "swapped", "dropped", "cut"])
def test_a_stream_that_a_host_changed_is_not_believed(hall: Hall, place: Place, what: str) -> None:
    def after(_: Asked, answer: Response) -> Response:
        if answer.headers.get("content-type") != "text/event-stream":
            return answer
        parts = answer.body.split(b"\n\n")
        if what == "plain":
            parts[0] = b'event: part\ndata: {"item":"made up","units":1,"charged":"100"}'
        elif what == "swapped":
            parts[0], parts[1] = parts[1], parts[0]
        elif what == "dropped":
            del parts[1]
        else:
            parts = [*parts[:2], b""]
        return Response(answer.status, answer.headers, b"\n\n".join(parts))

    place.proxy.after = after
    with (
        StreamingBuyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer,
        buyer.stream(place.tell, {"text": SECRET, "times": 4}) as stream,
        pytest.raises(KoinonError) as refused,
    ):
        list(stream)
    assert isinstance(refused.value, IntegrityError) or what == "cut"
    assert stream.end is None


def test_prepaid_and_free_calls_are_sealed(hall: Hall, place: Place) -> None:
    key = hall.account(coins=COIN)
    with StreamingBuyer(hall.chain, key, spending_limit=COIN) as buyer:
        prepaid = buyer.sign_ahead(place.echo, 5 * PRICE)
    http = Http()
    paid = prepaid.call(http, {"text": SECRET})
    free = call_free(hall.chain, key, http, place.echo, {"text": SECRET})
    assert (paid.result, paid.charged, free.result, free.charged) == (SECRET, PRICE, SECRET, 0)
    for answer in (paid, free):
        assert answer.opening is not None
        answer.opening.check(sealing_domain(hall.chain), place.gateway.key.address)
    assert SECRET.encode() not in place.seen
    open_answer = call_free(hall.chain, key, http, place.echo, {"text": "chosen"}, private=False)
    assert open_answer.opening is None
    http.close()
