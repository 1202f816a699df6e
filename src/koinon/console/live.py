# SPDX-License-Identifier: Apache-2.0
"""What happens on the chain, told to open pages as server-sent events (WHATWG HTML §9.2).

One task reads the index for everybody. Each event is named after the index's table, its ``id`` is the feed's
cursor, so that a browser that comes back with ``Last-Event-ID`` misses nothing. ``block`` comes with each new
head.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Any, Final

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from koinon.errors import ChainError, KoinonError
from koinon.web import status_problem

_LOOK_EVERY_S: Final = 1.0
_SIGN_OF_LIFE_S: Final = 15.0
_AT_ONCE: Final = 500
_WAITING: Final = 1_000
_AN_ADDRESS: Final = 24
_ALL: Final = 500


class Live:
    """The one reader of the feed, and everyone who listens."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._listeners: set[asyncio.Queue[bytes | None]] = set()
        self._from: Counter[str] = Counter()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read the feed inside the ``async with`` block; listeners are let go at its end."""
        task = asyncio.create_task(self._read(), name="live events")
        try:
            yield
        finally:
            task.cancel()
            for queue in self._listeners:
                with suppress(asyncio.QueueFull):
                    queue.put_nowait(None)
            with suppress(asyncio.CancelledError):
                await task

    async def respond(self, request: Request, after: str = "") -> Response:
        """``/events?after=<cursor>``: everything since then, and everything to come."""
        client = request.client.host if request.client else ""
        if self.full(client):
            return status_problem(request, 429)
        start = request.headers.get("last-event-id") or after
        return StreamingResponse(
            self._stream(client, start), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    def full(self, client: str) -> bool:
        """Whether this address, or everybody together, listens on as many connections as there may be."""
        return len(self._listeners) >= _ALL or self._from[client] >= _AN_ADDRESS

    async def _stream(self, client: str, after: str) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)
        self._listeners.add(queue)
        self._from[client] += 1
        try:
            yield b": open\n\n"
            index = self._index()
            if after and index is not None:
                with suppress(KoinonError):  # a cursor that means nothing starts now
                    for event in await run_in_threadpool(_since, index, after):
                        yield encode(event)
            while True:
                try:
                    message = await asyncio.wait_for(queue.get(), _SIGN_OF_LIFE_S)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if message is None:
                    return
                yield message
        finally:
            self._listeners.discard(queue)
            self._from[client] -= 1
            if self._from[client] <= 0:
                del self._from[client]

    def _index(self) -> Any:
        return getattr(self._node, "index", None)

    async def _read(self) -> None:
        cursor, block = None, -1
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if not self._listeners:
                cursor = None
                continue
            try:
                cursor, block, messages = await run_in_threadpool(self._look, cursor, block)
            except (ChainError, OSError):
                continue  # the node is away for a moment; pages stay as they are
            for message in messages:
                self._tell(message)

    def _look(self, cursor: str | None, block: int) -> tuple[str | None, int, list[bytes]]:
        """What is new; runs in a thread."""
        messages: list[bytes] = []
        index = self._index()
        at = None if index is None else index.head()
        if at is None:
            return None, block, []
        if cursor is None:
            return at.text, at.number, []
        if at.number != block or cursor != at.text:
            for event in _since(index, cursor):
                messages.append(encode(event))
                cursor = event.cursor
        if at.number != block:
            messages.append(sse("block", {"number": at.number}))
        return cursor, at.number, messages

    def _tell(self, message: bytes) -> None:
        for queue in list(self._listeners):
            try:
                queue.put_nowait(message)
            except asyncio.QueueFull:  # it does not read: its browser comes back with the last id it saw
                self._listeners.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)


def sse(name: str, data: Any, identity: str = "") -> bytes:
    """One server-sent event."""
    lines = [f"id: {identity}\n"] if identity else []
    body = orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return "".join([*lines, f"event: {name}\n", f"data: {body}\n\n"]).encode()


def encode(event: Any) -> bytes:
    """An event of the index's feed as a server-sent event; ``undone`` where blocks were taken back."""
    if event.kind == "undone":
        return sse("undone", {"undone": len(event.undone)}, event.cursor)
    shown = {name: event.row[name] for name in ("block_number", "transaction_hash") if name in event.row}
    return sse(event.table, shown, event.cursor)


def _since(index: Any, cursor: str) -> list[Any]:
    return list(islice(index.feed(cursor, endless=False), _AT_ONCE))
