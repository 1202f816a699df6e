# SPDX-License-Identifier: Apache-2.0
"""A dataset's node may be anyone's: what it says is taken for words, and its slowness for silence."""

from __future__ import annotations

import socket
import threading

import orjson
import pytest

from koinon.data.job_client import JobClient
from koinon.errors import PaymentError, PeerError

STATUS = {
    "job_id": "1",
    "work_id": "2",
    "stage": "running",
    "ended": "",
    "why": "",
    "accepted_at": 1.0,
    "started_at": 2.0,
    "waiting": 1,
}


class Saying(JobClient):
    """A node that says one thing."""

    def __init__(self, status, told):
        super().__init__("http://node.example")
        self._said = status, orjson.dumps(told)

    def _send(self, *_):
        return self._said


def test_what_a_node_says_moves_no_cursor():
    assert Saying(200, STATUS | {"why": "no\x1b[2J\r\n\u202erows"}).status(1).why == "no [2J   rows"
    with pytest.raises(PaymentError, match=r"^too much $"):
        Saying(402, {"title": "too much\x07", "detail": "\x1b]0;x"}).status(1)


@pytest.mark.parametrize("stage", ["released", "refunded", "overdue", "<b>", "", None, [], 7])
def test_a_node_cannot_say_of_a_job_what_only_the_chain_says(stage):
    with pytest.raises(PeerError):
        Saying(200, STATUS | {"stage": stage}).status(1)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"])
def test_a_node_that_answers_a_byte_at_a_time_is_left_in_time(head):
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip():
            wire, _ = listener.accept()
            with wire:
                try:
                    wire.sendall(head)
                    while not stop.wait(0.02):
                        wire.sendall(b"x")
                except OSError:
                    stop.set()

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        client = JobClient(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.3)
        with pytest.raises(PeerError, match="gave no answer"):
            client.about()
        thread.join(20)
        assert stop.is_set()
