# SPDX-License-Identifier: Apache-2.0
"""Handing envelopes to other hosts: one kept-open HTTP/1.1 connection a host, every wait bounded.

An endpoint comes from a registration file that anybody may write. So only http and https are spoken, no
redirect is followed, an answer is short or refused, and unless private addresses are allowed only ordinary
public hosts are asked.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import orjson

from koinon.errors import BadInput, PeerError
from koinon.services.buying.reach import is_ordinary

PATH: Final = "/agents/envelopes"
MEDIA_TYPE: Final = "application/vnd.koinon.envelopes"
EXCHANGE_S: Final = 15.0
ANSWER_LIMIT: Final = 1 << 18
_HEAD_LIMIT: Final = 1 << 14
_KEPT: Final = 256
_LENGTH: Final = struct.Struct(">I")


def bundle(envelopes: Sequence[bytes]) -> bytes:
    """Envelopes as one body: each after its length (4 bytes, big-endian)."""
    return b"".join(_LENGTH.pack(len(each)) + each for each in envelopes)


def unbundle(body: bytes, most: int) -> list[bytes]:
    """The envelopes in a body; `BadInput` where it is none, or has more than ``most``."""
    found: list[bytes] = []
    place = 0
    while place < len(body):
        if len(body) - place < _LENGTH.size or len(found) >= most:
            raise _no_bundle()
        (length,) = _LENGTH.unpack_from(body, place)
        place += _LENGTH.size
        if length > len(body) - place:
            raise _no_bundle()
        found.append(body[place : place + length])
        place += length
    return found


class Hosts:
    """Connections to the hosts that agents send to.

    Parameters
    ----------
    private : bool
        Whether hosts on this machine and in private networks may be asked.
    tls : ssl.SSLContext, optional
        The system's certificates by default.
    """

    def __init__(self, *, private: bool = True, tls: ssl.SSLContext | None = None) -> None:
        self._allowed: Callable[[str], bool] = lambda address: is_ordinary(address, private=private)
        self._tls = tls
        self._idle: OrderedDict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = OrderedDict()

    async def hand_in(self, url: str, envelopes: Sequence[bytes]) -> list[str]:
        """Verdicts of the host at ``url``, one an envelope; PeerError where it gives none in time."""
        status, body = await self.exchange(url, PATH, bundle(envelopes), MEDIA_TYPE)
        with suppress(ValueError, KeyError, TypeError):
            verdicts = orjson.loads(body)["verdicts"]
            if (
                status == 200
                and len(verdicts) == len(envelopes)
                and all(isinstance(x, str) for x in verdicts)
            ):
                return list(verdicts)
        raise PeerError(f"{url} answered with HTTP status {status}.", code="agents.bad_answer")

    async def exchange(self, url: str, path: str, body: bytes, media_type: str) -> tuple[int, bytes]:
        """POST once; status and body of the answer. PeerError where there is none in time."""
        taken = self._idle.pop(url, None)
        try:
            async with asyncio.timeout(EXCHANGE_S):
                if taken is not None:
                    with suppress(OSError, EOFError, ValueError, asyncio.LimitOverrunError):
                        return await self._speak(url, taken, path, body, media_type)
                # Kept open it may have been closed meanwhile. Envelopes that come twice are taken once.
                return await self._speak(url, await self._connect(url), path, body, media_type)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise PeerError(
                f"{url} gave no answer ({type(error).__name__}).",
                hint="Its agents' messages wait and are tried again.",
                code="agents.no_host",
            ) from error

    async def close(self) -> None:
        """Close what is open."""
        while self._idle:
            self._idle.popitem()[1][1].close()

    async def _connect(self, url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"{url} is no address of a host.", code="agents.endpoint")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        address = str(found[0][4][0])
        if not self._allowed(address):
            raise PermissionError(address)
        secure = (self._tls or ssl.create_default_context()) if parts.scheme == "https" else None
        return await asyncio.open_connection(
            address, port, limit=_HEAD_LIMIT, ssl=secure, server_hostname=parts.hostname if secure else None
        )

    async def _speak(
        self,
        url: str,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        path: str,
        body: bytes,
        media_type: str,
    ) -> tuple[int, bytes]:
        reader, writer = streams
        try:
            parts = urlsplit(url)
            writer.write(
                f"POST {parts.path.rstrip('/')}{path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode("ascii")
                + body
            )
            await writer.drain()
            status, length, keep = _read_head(await reader.readuntil(b"\r\n\r\n"))
            answer = await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        if keep and url not in self._idle:
            self._idle[url] = streams
            if len(self._idle) > _KEPT:
                self._idle.popitem(last=False)[1][1].close()
        else:
            writer.close()
        return status, answer


def _read_head(head: bytes) -> tuple[int, int, bool]:
    """Status, length of the body, whether the connection stays open; ValueError where it is none."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, *_reason = first.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError("no HTTP")
    fields = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    length = int(fields["content-length"]) if "content-length" in fields else -1
    if not 0 <= length <= ANSWER_LIMIT:
        raise ValueError("no length that would do")
    return int(status), length, version == "HTTP/1.1" and fields.get("connection", "").lower() != "close"


def _no_bundle() -> BadInput:
    return BadInput(
        "The body is no bundle of envelopes.", hint="See its form in the source.", code="agents.bundle"
    )
