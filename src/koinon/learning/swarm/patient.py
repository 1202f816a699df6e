# SPDX-License-Identifier: Apache-2.0
"""Reading and writing until a deadline, however slowly the other end drips."""

from __future__ import annotations

import io
import socket
import time
from typing import Any, Final

_PIECE: Final = 1 << 16


class PatientReader(io.RawIOBase):
    """A socket's bytes until ``deadline`` (of `time.monotonic`), then TimeoutError."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.deadline = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(left_until(self.deadline))
        return self._connection.recv_into(buffer)


class PatientSocket:
    """What `http.client` needs of a socket, all of it until a deadline that each request sets."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline = 0.0

    def until(self, deadline: float) -> None:
        """From now on."""
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        """As a socket's."""
        send_until(self._connection, data, self._deadline)

    def makefile(self, _: str) -> io.BufferedReader:
        """One answer's bytes."""
        reader = PatientReader(self._connection)
        reader.deadline = self._deadline
        return io.BufferedReader(reader, _PIECE)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def send_until(connection: socket.socket, data: bytes, deadline: float) -> None:
    """Send everything by then, or raise TimeoutError."""
    view = memoryview(data)
    while view:
        connection.settimeout(left_until(deadline))
        view = view[connection.send(view[:_PIECE]) :]


def left_until(deadline: float) -> float:
    """Seconds that are left; TimeoutError where none are."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is over")
    return left
