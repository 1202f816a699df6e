# SPDX-License-Identifier: Apache-2.0
"""Open pages hear what happens on the chain, once, and miss nothing while they were away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from koinon.chain.handle import Chain
from koinon.console import live
from koinon.console.live import Live
from tests.console.wallet_support import House


@pytest.fixture(scope="module")
def house(tmp_path_factory, network, devnet):
    with Chain.open(network) as chain:
        found = House(tmp_path_factory.mktemp("house"), chain, devnet.key(4))
        found.index.sync()
        yield found
        found.index.close()


def mint(house):
    coin = house.chain.coin
    house.chain.sender(house.operator).send(coin.transaction("mint", house.operator.address, 5))


def asking(*headers: tuple[bytes, bytes]) -> Request:
    scope = {"type": "http", "method": "GET", "path": "/events", "headers": list(headers)}
    return Request(scope | {"query_string": b"", "client": ("127.0.0.1", 1)})


async def listening(told: Live, request: Request, after: str = "") -> Any:
    response = await told.respond(request, after)
    assert isinstance(response, StreamingResponse)
    assert response.media_type == "text/event-stream"
    return response.body_iterator


async def until(stream, wanted: bytes) -> Any:
    async with asyncio.timeout(60):
        async for message in stream:
            if wanted in message:
                return message
    raise AssertionError("the stream ended")


def test_a_page_hears_of_an_event_and_can_go_on_after_it(house, monkeypatch):
    monkeypatch.setattr(live, "_LOOK_EVERY_S", 0.05)

    async def listen() -> Any:
        told = Live(house)
        async with told.running():
            stream = await listening(told, asking())
            assert await anext(stream) == b": open\n\n"
            await asyncio.sleep(0.5)  # the reader has seen the head before anything new comes
            mint(house)
            house.index.sync()
            return await until(stream, b"event: coin_transfer")

    message = asyncio.run(listen())
    assert message.startswith(b"id: ")
    assert b'"transaction_hash":"0x' in message


def test_a_page_that_was_away_gets_what_it_missed(house):
    before = house.index.head().text
    mint(house)
    house.index.sync()

    async def come_back(*headers: tuple[bytes, bytes], after: str = "") -> Any:
        return await until(await listening(Live(house), asking(*headers), after), b"event: coin_transfer")

    by_header = asyncio.run(come_back((b"last-event-id", before.encode())))
    assert asyncio.run(come_back(after=before)) == by_header


def test_a_cursor_that_nobody_gave_begins_now(house):
    async def first() -> list[bytes]:
        stream = await listening(Live(house), asking(), "9:9:'; DROP TABLE block")
        return [await anext(stream)]

    assert asyncio.run(first()) == [b": open\n\n"]


def test_one_address_cannot_take_every_connection(house, monkeypatch):
    monkeypatch.setattr(live, "_AN_ADDRESS", 2)

    async def crowd() -> None:
        told = Live(house)
        streams = [await listening(told, asking()) for _ in range(2)]
        for stream in streams:
            await anext(stream)
        assert told.full("127.0.0.1")
        assert not told.full("127.0.0.2")
        for stream in streams:
            await stream.aclose()
        assert not told.full("127.0.0.1")

    asyncio.run(crowd())
