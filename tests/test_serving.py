# SPDX-License-Identifier: Apache-2.0
import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys

import pytest

from koinon.serving import http_server, listen, loop_factory, stop_on_signals, url_of

ANSWER_S = 60


async def greet(scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


def test_a_free_port_is_taken_and_told():
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert port > 0
        assert url_of("127.0.0.1", listener) == f"http://127.0.0.1:{port}"
        assert url_of("koinon.example", listener, https=True) == f"https://koinon.example:{port}"
        socket.create_connection(("127.0.0.1", port), ANSWER_S).close()


def test_a_taken_port_is_an_error_and_leaves_no_socket_open(recwarn):
    with listen("127.0.0.1", 0) as listener, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", listener.getsockname()[1])
    assert [each for each in recwarn if each.category is ResourceWarning] == []


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_address_with_a_colon_is_ipv6():
    try:
        listener = listen("::1", 0)
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with listener:
        assert listener.family == socket.AF_INET6
        assert url_of("::1", listener) == f"http://[::1]:{listener.getsockname()[1]}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_once_what_comes_before_is_done(number):
    said = []

    async def serve():
        server = http_server(greet, connections=8, drain_s=1)
        stop_on_signals(server, lambda: said.append(server.should_exit))
        with listen("127.0.0.1", 0) as listener:
            serving = asyncio.create_task(server._serve([listener]))
            answer = await asyncio.to_thread(_get, listener.getsockname()[1])
            os.kill(os.getpid(), number)
            await asyncio.wait_for(serving, ANSWER_S)
        return answer

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        status, headers, body = runner.run(serve())
    assert (status, body) == (200, b"hi")
    assert {"server", "date"} & headers.keys() == set()
    assert said == [False]


def test_a_server_that_dates_its_answers():
    assert http_server(greet, connections=8, drain_s=1, date_header=True).config.date_header


def test_whoever_only_listens_loads_no_server():
    found = "import sys, koinon.serving; print({'uvicorn', 'asyncio'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", found], capture_output=True, text=True, timeout=ANSWER_S, check=True
    )
    assert done.stdout.strip() == "set()"


def _get(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return (
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
    finally:
        connection.close()
