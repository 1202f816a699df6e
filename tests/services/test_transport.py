# SPDX-License-Identifier: Apache-2.0
import socket
import threading

from koinon.services.buying.transport import Http

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def answer_once_each(listener: socket.socket, gone: threading.Event) -> None:
    """Answer on two connections, promising to keep each open, and close each after its answer."""
    for _ in range(2):
        connection, _address = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(ANSWER)
        gone.set()


def test_a_connection_that_the_other_side_closed_since_is_not_used_again():
    gone = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        server = threading.Thread(target=answer_once_each, args=(listener, gone))
        server.start()
        http = Http(60)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert http.request("POST", url, b"first").body == b"ok"
        assert gone.wait(60)
        assert http.request("POST", url, b"second").body == b"ok"
        http.close()
        server.join(60)


def test_what_is_in_use_when_a_client_is_closed_is_closed_after_its_answer():
    """The warning of a socket that nobody closed is an error here."""
    came, go = threading.Event(), threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _address = listener.accept()
        with connection:
            asked = b""
            while not asked.endswith(b"slow"):  # head and body may come apart
                asked += connection.recv(65_536)
            came.set()
            go.wait(60)
            connection.sendall(ANSWER)
            assert connection.recv(1) == b"", "the client has hung up"

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        http = Http(60)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server = threading.Thread(target=serve, args=(listener,))
        client = threading.Thread(target=http.request, args=("POST", url, b"slow"))
        server.start()
        client.start()
        assert came.wait(60)
        http.close()
        go.set()
        client.join(60)
        server.join(60)
        assert not server.is_alive()
    assert not any(http._idle.values())
