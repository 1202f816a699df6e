# SPDX-License-Identifier: Apache-2.0
"""Opening a port for others to connect to."""

from __future__ import annotations

import socket

from koinon import serving
from koinon.errors import SetupError


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any free one. SetupError where that cannot be."""
    try:
        return serving.listen(host, port)
    except OSError as error:
        raise SetupError(
            f"Cannot listen at {host}:{port}: {error.strerror}.",
            hint="Choose another port, or 0 for any free one.",
            code="learning.port",
        ) from error
