# SPDX-License-Identifier: Apache-2.0
"""The line between peers: who gets in, and how little a hostile one can cost."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

import pytest

from koinon.chain.keys import Key
from koinon.errors import BadInput, IntegrityError, NotFound, PeerError
from koinon.learning.swarm.client import PeerClient
from koinon.learning.swarm.identity import Identity
from koinon.learning.swarm.server import Limits, PeerServer

LIMITS = Limits(handshakes=4, connections=2, requests_per_s=0.1, burst=5, handshake_s=0.4, request_s=0.4)


@pytest.fixture
def line(tmp_path):
    """A server, whom it talked to, and identities of a peer it knows and of a stranger."""
    heard = []

    def answer(account, method, path, body):
        heard.append((account, method, path, len(body)))
        if path == "/nothing":
            raise NotFound("There is nothing.", code="swarm.nothing")
        return body or b"x" * 100

    names = ("server", "peer", "stranger")
    found = {name: Identity.open(tmp_path / name, Key.generate().address) for name in names}
    server = PeerServer(found["server"], answer, body_limit=1000, limits=LIMITS)
    server.admit("peer", found["peer"].certificate)
    server.open()
    yield server, heard, found
    server.close()


@pytest.fixture
def call():
    """Makes clients that are hung up in the end."""
    made = []

    def make(server, identity, certificate):
        made.append(PeerClient(identity, "server", server.url, certificate, answer_s=2.0))
        return made[-1]

    yield make
    for client in made:
        client.close()


def test_an_identity_is_made_once_and_fits_on_chain(tmp_path):
    first = Identity.open(tmp_path, "0x" + "ab" * 20)
    assert Identity.open(tmp_path, "another") == first
    assert len(first.certificate) <= 1024
    assert oct(first.key_path.stat().st_mode)[-3:] == "600"


def test_announced_peers_talk(line, call):
    server, heard, found = line
    client = call(server, found["peer"], found["server"].certificate)
    assert client.post("/update", b"abc") == b"abc"
    assert client.get("/blob", limit=100) == b"x" * 100
    with pytest.raises(NotFound, match="nothing"):
        client.get("/nothing", limit=100)
    assert [entry[0] for entry in heard] == ["peer"] * 3
    with pytest.raises(IntegrityError, match="more than 50"):
        client.get("/blob", limit=50)


def test_an_unannounced_certificate_gets_nothing(line, call):
    server, heard, found = line
    with pytest.raises(PeerError, match="cannot be reached"):
        call(server, found["stranger"], found["server"].certificate).get("/blob", limit=100)
    server.admit("stranger", found["stranger"].certificate)
    assert call(server, found["stranger"], found["server"].certificate).get("/blob", limit=100)
    assert [entry[0] for entry in heard] == ["stranger"]


def test_another_than_announced_is_told_nothing(line, call):
    server, heard, found = line
    with pytest.raises(PeerError, match="cannot be reached"):
        call(server, found["peer"], found["stranger"].certificate).post("/update", b"secret")
    assert not heard


def test_no_certificate_and_old_tls_get_nothing(line):
    server, heard, found = line
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    plain.check_hostname, plain.verify_mode = False, ssl.CERT_NONE
    old = found["peer"].client_context(found["server"].certificate)
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    for context in (plain, old):
        with (
            socket.create_connection(("127.0.0.1", server.port)) as raw,
            contextlib.suppress(OSError),
            context.wrap_socket(raw) as secure,
        ):
            secure.sendall(b"GET /blob HTTP/1.1\r\n\r\n")
            assert not secure.recv(100)
    assert not heard


def test_a_huge_body_is_refused_unread(line):
    server, heard, found = line
    context = found["peer"].client_context(found["server"].certificate)
    with (
        socket.create_connection(("127.0.0.1", server.port)) as raw,
        context.wrap_socket(raw) as secure,
    ):
        secure.sendall(b"POST /update HTTP/1.1\r\nContent-Length: 10000000000\r\n\r\n")
        assert secure.recv(1000).startswith(b"HTTP/1.1 413")
    for head in (b"Content-Length: -1", b"Transfer-Encoding: chunked", b"Content-Length: 9e9"):
        with (
            socket.create_connection(("127.0.0.1", server.port)) as raw,
            context.wrap_socket(raw) as secure,
        ):
            secure.sendall(b"POST /update HTTP/1.1\r\n" + head + b"\r\n\r\n")
            assert secure.recv(1000).startswith(b"HTTP/1.1 411")
    assert not heard


def test_slow_ones_are_hung_up_on_and_hold_up_nobody(line, call):
    server, heard, found = line
    context = found["peer"].client_context(found["server"].certificate)
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
    with (
        socket.create_connection(("127.0.0.1", server.port)) as raw,
        context.wrap_socket(raw) as secure,
    ):
        secure.sendall(b"POST /update HTTP/1.1\r\nContent-Length: 100\r\n\r\n")
        assert call(server, found["peer"], found["server"].certificate).post("/update", b"ok") == b"ok"
        with contextlib.suppress(OSError):
            for _ in range(20):  # one byte at a time is no way around the deadline
                secure.sendall(b"x")
                time.sleep(0.05)
            assert not secure.recv(100)
    for one in silent:
        one.settimeout(5.0)
        assert not one.recv(10)
        one.close()
    assert [entry[3] for entry in heard] == [2]


def test_a_peer_gets_so_many_connections_and_requests(line, call):
    server, _, found = line
    clients = [call(server, found["peer"], found["server"].certificate) for _ in range(3)]
    for client in clients[:2]:
        client.get("/blob", limit=100)
    with pytest.raises(PeerError, match="cannot be reached"):
        clients[2].get("/blob", limit=100)
    for _ in range(3):
        clients[0].get("/blob", limit=100)
    with pytest.raises(PeerError, match="Too many requests"):
        clients[1].get("/blob", limit=100)


def test_who_answers_drop_by_drop_is_given_up_on(tmp_path):
    here, there = (Identity.open(tmp_path / name, name) for name in ("here", "there"))
    over = threading.Event()

    def drip(listening: socket.socket) -> None:
        plain, _ = listening.accept()
        with (
            contextlib.suppress(OSError),
            there.server_context([here.certificate]).wrap_socket(plain, server_side=True) as secure,
        ):
            secure.recv(1000)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not over.wait(0.05):
                secure.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        url = f"https://127.0.0.1:{listening.getsockname()[1]}"
        client = PeerClient(here, "there", url, there.certificate, answer_s=0.3)
        with pytest.raises(PeerError, match="cannot be reached"):
            client.get("/blob", limit=1000)
        over.set()
        thread.join()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://127.0.0.1", "https://x:port", "nonsense"])
def test_what_is_no_address_or_certificate_is_refused(tmp_path, url):
    identity = Identity.open(tmp_path, "0x" + "ab" * 20)
    with pytest.raises(BadInput, match="no address"):
        PeerClient(identity, "peer", url, identity.certificate)
    with pytest.raises(BadInput, match="no certificate"):
        identity.client_context(b"nonsense")
