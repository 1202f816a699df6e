# SPDX-License-Identifier: Apache-2.0
"""The JSON-RPC client against a small server that answers what each test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from koinon.chain.rpc import BATCH, Rpc, RpcError, redact
from koinon.errors import BadInput, NodeUnavailable

Answer = Callable[[Any, BaseHTTPRequestHandler], tuple[int, bytes] | None]


class Server:
    """Answers every request with ``answer(message, handler)``; None closes the connection instead."""

    def __init__(self) -> None:
        self.answer: Answer = lambda message, handler: result(message, "0x1")
        self.seen: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                server.connections += 1
                super().setup()

            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.seen.append(message)
                server.headers.append(dict(self.headers))
                answer = server.answer(message, self)
                if answer is None:
                    self.close_connection = True
                    return
                status, body = answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


def result(message: Any, value: Any) -> tuple[int, bytes]:
    if isinstance(message, list):
        found = [{"jsonrpc": "2.0", "id": each["id"], "result": value} for each in message]
        return 200, json.dumps(found[::-1]).encode()
    return 200, json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": value}).encode()


def refusal(message: Any, error: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


@pytest.fixture
def rpc(server: Server) -> Iterator[Rpc]:
    with Rpc(server.url, timeout_s=5) as opened:
        yield opened


def test_a_call_sends_method_and_parameters_and_keeps_its_connection(server, rpc):
    assert rpc.call("eth_getBalance", "0xabc", "latest") == "0x1"
    assert rpc.call("eth_blockNumber") == "0x1"
    assert [(each["method"], each["params"]) for each in server.seen] == [
        ("eth_getBalance", ["0xabc", "latest"]),
        ("eth_blockNumber", []),
    ]
    assert server.connections == 1


def test_a_null_result_is_a_result(server, rpc):
    server.answer = lambda message, handler: result(message, None)
    assert rpc.call("eth_getTransactionReceipt", "0x00") is None


def test_batches_come_back_in_order_and_are_split(server, rpc):
    def numbered(message: Any, handler: Any) -> tuple[int, bytes]:
        found = [{"id": each["id"], "result": each["params"][0]} for each in message]
        return 200, json.dumps(found[::-1]).encode()

    server.answer = numbered
    count = 2 * BATCH + 1
    assert rpc.batch([("eth_call", [number]) for number in range(count)]) == list(range(count))
    assert [len(message) for message in server.seen] == [BATCH, BATCH, 1]
    assert rpc.batch([]) == []


def test_an_error_in_a_batch_is_raised_or_stands_in_its_place(server, rpc):
    def second_fails(message: Any, handler: Any) -> tuple[int, bytes]:
        error = {"code": 3, "message": "execution reverted", "data": "0x1234"}
        return 200, json.dumps(
            [{"id": message[0]["id"], "result": 1}, {"id": message[1]["id"], "error": error}]
        ).encode()

    server.answer = second_fails
    requests: list[tuple[str, list[Any]]] = [("eth_call", []), ("eth_call", [])]
    with pytest.raises(RpcError):
        rpc.batch(requests)
    first, second = rpc.batch(requests, raise_errors=False)
    assert first == 1
    assert isinstance(second, RpcError)
    assert (second.rpc_code, second.data) == (3, b"\x12\x34")


@pytest.mark.parametrize(
    ("error", "data"),
    [
        ({"code": 3, "message": "execution reverted", "data": "0x08c379a0"}, b"\x08\xc3\x79\xa0"),
        ({"code": -32015, "message": "reverted", "data": {"data": "0xff"}}, b"\xff"),
        ({"code": -32000, "message": "nonce too low"}, b""),
        ({"code": "odd", "message": None, "data": "Reverted 0x"}, b""),
        ("plain text", b""),
    ],
)
def test_errors_carry_the_nodes_words_and_revert_data(server, rpc, error, data):
    server.answer = lambda message, handler: refusal(message, error)
    with pytest.raises(RpcError) as caught:
        rpc.call("eth_call")
    assert caught.value.data == data
    assert caught.value.code == "chain.rpc"


def test_reads_are_tried_again_when_the_connection_breaks(server, rpc):
    answers = iter([None, None, "0x2"])

    def flaky(message: Any, handler: Any) -> tuple[int, bytes] | None:
        answer = next(answers)
        return None if answer is None else result(message, answer)

    server.answer = flaky
    assert rpc.call("eth_blockNumber") == "0x2"
    assert len(server.seen) == 3


@pytest.mark.parametrize("method", ["eth_sendRawTransaction", "evm_increaseTime", "anvil_setBalance"])
def test_writes_are_never_tried_twice(server, rpc, method):
    server.answer = lambda message, handler: None
    with pytest.raises(NodeUnavailable) as caught:
        rpc.call(method)
    assert caught.value.hint
    assert len(server.seen) == 1
    with pytest.raises(NodeUnavailable):
        rpc.batch([("eth_blockNumber", []), (method, [])])
    assert len(server.seen) == 2


def test_a_write_goes_through_after_the_node_hung_up_on_an_idle_connection(server, rpc):
    gone = threading.Event()

    def hang_up(message: Any, handler: Any) -> tuple[int, bytes]:
        """Answers, without a word that it is the last answer on this connection (as hardhat after 5 s)."""
        handler.close_connection = True
        handler.server.shutdown_request_before = handler.server.shutdown_request

        def shut(request: Any) -> None:
            handler.server.shutdown_request_before(request)
            gone.set()

        handler.server.shutdown_request = shut
        return result(message, "0x1")

    server.answer = hang_up
    assert rpc.call("eth_chainId") == "0x1"
    assert gone.wait(10)
    server.answer = lambda message, handler: result(message, "0x2")
    assert rpc.call("eth_sendRawTransaction", "0x") == "0x2"
    assert server.connections == 2
    assert len(server.seen) == 2


def test_an_overloaded_node_is_asked_again(server, rpc):
    answers = iter([(503, b"busy"), (429, b"slow down")])
    server.answer = lambda message, handler: next(answers, None) or result(message, "0x3")
    assert rpc.call("eth_blockNumber") == "0x3"


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html>"),
        (404, b"not found"),
        (401, b"{}"),
        (403, b"{}"),
        (200, b"[]"),
        (200, b"5"),
        (200, b"{}"),
    ],
)
def test_what_is_no_node_is_said_to_be_none(server, rpc, answer):
    server.answer = lambda message, handler: answer
    with pytest.raises(NodeUnavailable) as caught:
        rpc.call("eth_blockNumber")
    assert caught.value.hint


@pytest.mark.parametrize("answer", [b"{}", b"[]", b'[{"id": 0, "result": 1}]', b"[5]", b'[{"result": 1}]'])
def test_an_answer_that_does_not_fit_its_batch_is_refused(server, rpc, answer):
    server.answer = lambda message, handler: (200, answer)
    with pytest.raises(NodeUnavailable):
        rpc.batch([("eth_blockNumber", [])])


def test_a_silent_node_times_out(server):
    release = threading.Event()

    def silent(message: Any, handler: Any) -> None:
        release.wait(10)

    server.answer = silent
    with (
        Rpc(server.url, timeout_s=0.05) as rpc,
        pytest.raises(NodeUnavailable, match="did not answer within"),
    ):
        rpc.call("eth_blockNumber")
    release.set()


def test_nobody_there(free_url):
    with Rpc(free_url) as rpc, pytest.raises(NodeUnavailable, match="cannot be reached") as caught:
        rpc.call("eth_blockNumber")
    assert caught.value.hint


@pytest.fixture
def free_url():
    server = Server()
    server.http.shutdown()
    server.http.server_close()
    return server.url


def test_credentials_are_sent_and_never_shown(server):
    url = server.url.replace("http://", "http://lender:s3cr%40t@") + "/v3/api-key?token=tok3n"
    server.answer = lambda message, handler: (200, b"no json")
    with Rpc(url) as rpc:
        with pytest.raises(NodeUnavailable) as caught:
            rpc.call("eth_blockNumber")
        shown = f"{caught.value} {caught.value.hint} {rpc!r}"
    assert server.headers[0]["Authorization"] == "Basic bGVuZGVyOnMzY3JAdA=="
    for secret in ("s3cr", "lender", "api-key", "tok3n"):
        assert secret not in shown
    assert "127.0.0.1" in shown


@pytest.mark.parametrize("url", ["", "127.0.0.1:8545", "ws://node", "http://", "ftp://u:password@h/x"])
def test_what_is_no_url_is_refused_without_repeating_its_secrets(url):
    with pytest.raises(BadInput) as caught:
        Rpc(url)
    assert "password" not in str(caught.value)


def test_redact():
    assert redact("https://node.example:8545") == "https://node.example:8545"
    assert redact("https://user:pass@node.example/v3/key?x=1") == "https://node.example/…"


def test_threads_share_one_client(server, rpc):
    server.answer = lambda message, handler: result(message, message["params"][0])
    wrong: list[int] = []

    def work(number: int) -> None:
        wrong.extend(each for each in range(50) if rpc.call("eth_call", [number, each]) != [number, each])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
