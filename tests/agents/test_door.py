# SPDX-License-Identifier: Apache-2.0
"""A host's HTTP side, asked as any client might."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn

from koinon.agents import Address
from koinon.agents.client import MEDIA_TYPE, Hosts, bundle, unbundle
from koinon.agents.door import Door
from koinon.agents.heartbeat import FRESH_S, Heartbeat
from koinon.agents.lane import BUNDLE
from koinon.agents.limits import Limits
from koinon.agents.reach import Known
from koinon.agents.runtime import Runtime
from koinon.agents.verdicts import ACCEPTED, DUPLICATE, TOO_FAST
from koinon.chain.keys import Key
from koinon.errors import BadInput, IntegrityError, PeerError
from tests.agents.support import DOMAIN, Add, Counter, envelope, run, until
from tests.agents.test_runtime import Sender

KEY = Key.generate()
ADDRESS = Address(7, KEY.address)


@asynccontextmanager
async def serving(runtime: Runtime, limits: Limits | None = None) -> AsyncIterator[str]:
    """A host on a port; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    door = Door(runtime, DOMAIN, url, time.time, limits or Limits())
    server = uvicorn.Server(
        uvicorn.Config(door, lifespan="off", log_level="error", timeout_graceful_shutdown=1)
    )
    async with runtime:
        task = asyncio.create_task(server._serve([listener]))
        try:
            yield url
        finally:
            server.should_exit = True
            await task
            await door.close()
            listener.close()


def host() -> Runtime:
    runtime = Runtime(DOMAIN)
    runtime.add(Counter(), KEY, 7)
    return runtime


def test_envelopes_come_by_http_once():
    async def scenario() -> None:
        hosts = Hosts()
        async with serving(host()) as url:
            good = envelope(Key.generate(), ADDRESS, Add(3))
            assert await hosts.hand_in(url, [good, b"x"]) == [ACCEPTED, "agents.envelope_malformed"]
            assert await hosts.hand_in(url, [good]) == [DUPLICATE]
            assert await hosts.hand_in(url, []) == []
        await hosts.close()

    run(scenario())


def test_hosts_deliver_to_each_other_and_wait_for_each_other():
    """The other host is not there at first; nothing is lost."""

    async def scenario() -> None:
        port = socket.create_server(("127.0.0.1", 0))
        reach = Known({ADDRESS: f"http://127.0.0.1:{port.getsockname()[1]}"})
        port.close()
        near = Runtime(DOMAIN, reach=reach)
        caller = Sender(ADDRESS, Add(1), Add(2))
        address = near.add(caller, Key.generate())
        async with serving(near) as near_url:
            await until(lambda: near.posts[address].on_their_way == 2)
            far = Runtime(DOMAIN, reach=Known({address: near_url}))
            far.add(Counter(), KEY, 7)
            async with serving(far) as far_url:
                reach.endpoints[ADDRESS] = far_url
                await until(lambda: caller.told == [1, 3])
                await until(lambda: near.posts[address].on_their_way == 0)

    run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/agents/envelopes", b"\x00\x00", {}, 422),
        ("POST", "/agents/envelopes", b"\xff\xff\xff\xff", {}, 422),
        ("POST", "/agents/envelopes", bundle([b""] * (BUNDLE + 1)), {}, 422),
        ("POST", "/agents/envelopes", bytes((1 << 20) + 1), {}, 413),
        ("POST", "/agents/envelopes", b"", {"origin": "https://evil.example"}, 403),
        ("POST", "/agents/7/skills/Add", b"no json", {}, 422),
        ("POST", "/agents/7/skills/Add", b"[]", {}, 422),
        ("POST", "/agents/7/skills/Add", b'{"amount":"1"}', {}, 422),
        ("POST", "/agents/7/skills/Burn", b"{}", {}, 404),
        ("POST", "/agents/8/skills/Add", b"{}", {}, 404),
        ("GET", "/agents/envelopes", b"", {}, 404),
        ("GET", "/agents/0", b"", {}, 404),
        ("GET", "/elsewhere", b"", {}, 404),
        ("POST", "/agents/7/.well-known/agent-card.json", b"", {}, 405),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_problem(method, path, body, headers, status):
    async def scenario() -> None:
        async with serving(host()) as url, httpx.AsyncClient() as client:
            answer = await client.request(method, url + path, content=body, headers=headers)
            assert answer.status_code == status, answer.text
            assert answer.json()["code"]

    run(scenario())


def test_an_agent_tells_what_it_takes_and_that_it_is_there():
    async def scenario() -> None:
        async with serving(host()) as url, httpx.AsyncClient() as client:
            (listed,) = (await client.get(f"{url}/agents")).json()["agents"]
            assert listed == (await client.get(f"{url}/agents/{KEY.address}")).json()
            assert listed["address"] == str(ADDRESS)
            assert {each["message"] for each in listed["protocols"][0]["handles"]} == {"Add", "Burn"}
            answer = await client.post(f"{url}/agents/7/skills/Add", json={"amount": 5})
            assert answer.json() == {"message": "Total", "result": {"amount": 5}}
            beat = (await client.get(f"{url}/agents/7/heartbeat")).json()
            assert Heartbeat.check(beat, ADDRESS, DOMAIN, time.time()).endpoint == url
            with pytest.raises(BadInput):
                Heartbeat.check(beat, ADDRESS, DOMAIN, time.time() + 2 * FRESH_S)
            with pytest.raises(IntegrityError):
                Heartbeat.check(beat | {"endpoint": "http://evil.example"}, ADDRESS, DOMAIN, time.time())
            with pytest.raises(BadInput):
                Heartbeat.check({}, ADDRESS, DOMAIN, time.time())

    run(scenario())


def test_one_address_brings_so_many_envelopes_and_no_more():
    async def scenario() -> None:
        limits = Limits(host_per_s=1e-9, host_burst=4)
        hosts = Hosts()
        async with serving(host(), limits) as url:
            letters = [envelope(Key.generate(), ADDRESS) for _ in range(3)]
            assert await hosts.hand_in(url, letters) == [ACCEPTED] * 3
            assert await hosts.hand_in(url, letters) == [TOO_FAST] * 3
            with pytest.raises(PeerError):
                await hosts.hand_in(url, letters)
        await hosts.close()

    run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b'HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{"verdicts": [1]}',
        b'HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{"verdicts": []}',
        b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 10_000,
    ],
)
def test_a_host_that_answers_nonsense_is_not_believed(answer):
    async def scenario() -> None:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(speak, "127.0.0.1", 0)
        hosts = Hosts()
        with pytest.raises(PeerError):
            await hosts.hand_in(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", [b"x"])
        await hosts.close()
        server.close()
        await server.wait_closed()

    run(scenario())


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "http://", "http://127.0.0.1:1", "http://169.254.169.254"]
)
def test_places_that_are_no_hosts_are_not_asked(url):
    async def scenario() -> None:
        with pytest.raises((PeerError, BadInput)):
            await Hosts().hand_in(url, [b"x"])
        with pytest.raises((PeerError, BadInput)):
            await Hosts(private=False).hand_in(url, [b"x"])

    run(scenario())


def test_private_places_are_not_asked_from_a_public_host():
    async def scenario() -> None:
        async with serving(host()) as url:
            with pytest.raises(PeerError):
                await Hosts(private=False).hand_in(url, [])

    run(scenario())


def test_a_bundle_is_read_as_it_is_made():
    assert unbundle(bundle([b"a", b"", b"bc"]), 3) == [b"a", b"", b"bc"]
    assert MEDIA_TYPE.startswith("application/")
