# SPDX-License-Identifier: Apache-2.0
"""Asking an endpoint that stands already, and a stranger's gateway: what comes back, and what is refused."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from koinon.cli import main
from koinon.errors import BadInput, PeerError
from koinon.services.buying.reach import is_ordinary
from koinon.services.buying.transport import Http
from koinon.services.gateway.endpoint import Endpoint, check_address
from koinon.services.gateway.registry import Registry
from koinon.services.selling.signature import InvalidInput


def ask(url, body=b'{"a":1}', timeout_s=10.0):
    async def once():
        endpoint = Endpoint(url, "name", "description", example={"a": 1}, timeout_s=timeout_s)
        try:
            return await endpoint.call(body)
        finally:
            await endpoint.close()

    return asyncio.run(once())


def test_an_endpoint_is_asked_with_the_callers_json_and_answers(answering):
    assert ask(f"{answering.url}/good") == b'{"asked":{"a":1}}'


def test_a_redirect_is_not_followed(answering):
    before = answering.count("/good")
    with pytest.raises(PeerError, match="307"):
        ask(f"{answering.url}/redirect")
    assert answering.count("/good") == before


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("html", "not JSON"),
        ("large", "too long"),
        ("broken", "500"),
        ("missing", "404"),
        ("dead", "no answer"),
    ],
)
def test_what_is_no_answer_is_no_answer(answering, path, words):
    with pytest.raises(PeerError, match=words) as caught:
        ask(f"{answering.url}/{path}")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize("path", ["slow", "drip", "last"])
def test_an_endpoint_that_goes_on_for_ever_is_given_up(answering, path):
    with pytest.raises(PeerError, match="no answer"):
        ask(f"{answering.url}/{path}", timeout_s=0.3)


def test_an_endpoint_that_nobody_listens_at_is_given_up():
    with pytest.raises(PeerError, match="no answer"):
        ask("http://127.0.0.1:9/")


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b"\xff"])
def test_only_a_json_object_is_passed_on(answering, body):
    before = len(answering.asked)
    with pytest.raises(InvalidInput):
        ask(f"{answering.url}/good", body)
    assert len(answering.asked) == before


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.org/",
        "file:///etc/passwd",
        "//example.org",
        "https://",
        "https://user:secret@example.org/",
        "https://:secret@example.org/",
        "https://example.org/#part",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://example.org:port/",
        "http://[::1/",
        "https://example.org/a b",
        "https://example.org/\r\nX-Injected: 1",
        "https://ex\u00e4mple.org/",
        "javascript:alert(1)",
    ],
)
def test_an_address_that_cannot_be_an_endpoint_is_refused(url):
    with pytest.raises(BadInput):
        check_address(url)


@pytest.mark.parametrize("url", ["http://[::1", "https://example.org:port", "x", "http://"])
def test_no_url_is_an_error_that_says_so(url):
    with pytest.raises(BadInput):
        Http().request("GET", url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/\u20ac", "http://127.0.0.1:9/a\nb", "http://-.invalid/"])
def test_a_url_that_cannot_be_sent_gets_no_answer(url):
    with pytest.raises((PeerError, BadInput)):
        Http(1.0).request("GET", url)


@pytest.mark.parametrize("path", ["drip", "last"])
def test_a_whole_request_has_one_limit_however_slowly_it_goes_on(answering, path):
    http = Http(5.0, whole_s=0.2)
    with pytest.raises(PeerError, match="TimeoutError"):
        http.request("GET", f"{answering.url}/{path}")


def test_an_address_that_may_not_be_asked_is_never_connected_to(answering):
    http = Http(5.0, allowed=lambda address: is_ordinary(address, private=False))
    before = len(answering.asked)
    for host in ("127.0.0.1", "localhost", "2130706433"):
        with pytest.raises(PeerError):
            http.request("GET", f"{answering.url.replace('127.0.0.1', host)}/good")
    assert len(answering.asked) == before


def test_a_name_that_leads_elsewhere_on_connecting_is_not_asked(answering):
    verdicts = iter([True])  # the name looks fine at first
    http = Http(5.0, allowed=lambda _address: next(verdicts, False))
    before = len(answering.asked)
    with pytest.raises(PeerError):
        http.request("GET", f"{answering.url}/good")
    assert len(answering.asked) == before


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "0.0.0.0",  # noqa: S104  refused, not listened at
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "nonsense",
        "",
    ],
)
def test_where_clouds_keep_secrets_is_no_ordinary_host(address):
    assert not is_ordinary(address, private=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "::ffff:127.0.0.1"])
def test_private_hosts_are_asked_only_where_that_is_said(address):
    assert is_ordinary(address, private=True)
    assert not is_ordinary(address, private=False)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111"])
def test_public_hosts_are_asked(address):
    assert is_ordinary(address, private=False)


# ------------------------------------------------------------ from a shell


@pytest.fixture
def koinon(tmp_path, network, devnet, monkeypatch, capsys):
    """Run the command on a data directory that knows the session's chain: (status, what it printed)."""
    network.save(tmp_path / "network.json")
    monkeypatch.setenv("KOINON_HOME", str(tmp_path))
    monkeypatch.setenv("KOINON_RPC_URL", devnet.rpc_url)

    def run(*arguments):
        status = main(list(arguments))
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return run


def test_an_endpoint_is_published_from_a_shell(koinon, answering, tmp_path):
    status, said = koinon(
        "service", "publish", f"{answering.url}/good", "--price", "0.001", "--no-serve", "--json"
    )
    assert status == 0, said
    listing = orjson.loads(said)
    assert listing["price"] == 1_000
    assert answering.url.removeprefix("http://") not in said
    service = Registry(tmp_path / "gateway").all()[listing["work_id"]]
    assert (service.kind, service.target) == ("endpoint", f"{answering.url}/good")


@pytest.mark.parametrize(
    "url", ["https://user:secret@example.org/", "http://[::1/", "https://example.org:port/"]
)
def test_a_wrong_endpoint_is_refused_from_a_shell_without_a_traceback(koinon, tmp_path, url):
    status, said = koinon("service", "publish", url, "--price", "0.001", "--no-serve")
    assert status == BadInput.exit_status
    assert "Traceback" not in said
    assert "secret" not in said
    assert Registry(tmp_path / "gateway").all() == {}


def test_an_endpoint_says_how_many_units_an_answer_took(answering):
    async def once(path):
        endpoint = Endpoint(f"{answering.url}/{path}", "name", "description", example={})
        try:
            return (await endpoint.measure(b"{}")).units
        finally:
            await endpoint.close()

    assert asyncio.run(once("counted")) == 17
    assert asyncio.run(once("good")) is None
