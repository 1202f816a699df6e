# SPDX-License-Identifier: Apache-2.0
"""Prices from files, web addresses and paid services: exact, or a sentence that says why there is none."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from koinon.errors import BadInput, PeerError
from koinon.markets.feeding.sources import of_file, of_service, of_url, read_price


@pytest.mark.parametrize(
    ("content", "field", "price"),
    [
        (b"2000.5\n", "", "2000.5"),
        (b'"2000.5"', "", "2000.5"),
        (b'{"price": 0.1000000000000000055511151231257827}', "", "0.1000000000000000055511151231257827"),
        (b'{"price": "3"}', "", "3"),
        (b'{"data": [{"last": "1e3"}]}', "data.0.last", "1000"),
    ],
)
def test_a_price_is_read_as_it_is_written(content, field, price):
    assert read_price(content, field, "here") == Decimal(price)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"", ""),
        (b"{", ""),
        (b"[" * 100_000, ""),
        (b"NaN", ""),
        (b"Infinity", ""),
        (b"0", ""),
        (b"-1", ""),
        (b"true", ""),
        (b'"high"', ""),
        (b'{"last": 1}', ""),
        (b'{"data": []}', "data.0"),
        (b'{"data": 1}', "data.price"),
        (b"5", "price"),
    ],
)
def test_what_is_no_price_is_told(content, field):
    with pytest.raises(BadInput, match="tells no price above 0") as fault:
        read_price(content, field, "here")
    assert fault.value.code == "markets.price_source"


def test_a_file_is_read_anew_each_time(tmp_path):
    file = tmp_path / "price"
    ask = of_file(file)
    with pytest.raises(BadInput, match="cannot be read"):
        ask()
    file.write_text("2000")
    assert ask() == 2_000
    file.write_text("2001.5")
    assert ask() == Decimal("2001.5")


@pytest.fixture
def web():
    """A server of prices on this machine: its address, and what it answers by path."""
    answers: dict[str, tuple[int, bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, b""))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_web_address_is_asked(web):
    place, answers = web
    answers["/last"] = (200, b'{"result": {"last": "1999.25"}}')
    assert of_url(f"{place}/last", "result.last")() == Decimal("1999.25")
    with pytest.raises(PeerError, match="gave no price"):
        of_url(f"{place}/gone")()
    answers["/page"] = (200, b"<html>")
    with pytest.raises(BadInput, match="tells no price"):
        of_url(f"{place}/page")()
    with pytest.raises(PeerError):
        of_url("http://127.0.0.1:1")()
    with pytest.raises(BadInput, match="no web address"):
        of_url("file:///etc/passwd")


def test_a_service_is_paid_for_each_answer():
    @dataclass
    class Answer:
        result: Any

    class Buyer:
        calls: ClassVar[list[tuple[str, dict[str, Any]]]] = []

        def call(self, url: str, arguments: dict[str, Any], *, number: str | None = None) -> Answer:
            self.calls.append((url, arguments))
            return Answer({"price": "2000"})

    ask = of_service(Buyer(), "http://gateway/services/7", {"symbol": "ETH"})
    assert ask() == ask() == 2_000
    assert Buyer.calls == [("http://gateway/services/7", {"symbol": "ETH"})] * 2
