# SPDX-License-Identifier: Apache-2.0
"""Streams that are paid as they flow: no part leaves before a voucher covers it and its charge is kept.

The answer is server-sent events:

    event: part     {"item": ..., "units": N, "charged": CUMULATIVE}
    event: unpaid   {"needed": CUMULATIVE, "charged": ..., "signed": ..., "within_s": N}
    event: end      {"reason": ..., "units": N, "charged": OF THIS STREAM, "evidence": ..., "payment": ...}

After ``unpaid`` the payer has ``within_s`` seconds to send a higher voucher (to /services/ID/headroom); it
may as well do so earlier and never be waited for. Reasons of the end: ``complete``, ``unpaid``, ``failed``
(with ``problem``), ``withdrawal`` and ``stopping`` (the gateway ends). A payer that leaves owes what was
sent; the function is not asked for a part that nobody has paid for, except the one that waits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable
from typing import Any, Final, TypeVar

import orjson

from koinon.errors import KoinonError, SetupError
from koinon.services.gateway.asgi import Receive, Request, Send, problem_of
from koinon.services.gateway.cashier import Cashier
from koinon.services.gateway.channel import Channel
from koinon.services.gateway.executor import StreamRunner
from koinon.services.gateway.metering import Measured
from koinon.services.gateway.offer import Offer
from koinon.services.gateway.x402 import encode

PAY_WITHIN_S: Final = 30.0
STALL_S: Final = 30.0
"""How long a reader may take nothing."""

_Result = TypeVar("_Result")


class _Gone(Exception):
    """The reader left, or takes nothing."""


class _Stopping(Exception):
    """The gateway ends."""


class Streams:
    """The running streams of one gateway.

    Parameters
    ----------
    cashier : Cashier
    pay_within_s, stall_s : float
        How long a stream waits for a voucher, and for its reader.
    """

    def __init__(
        self, cashier: Cashier, *, pay_within_s: float = PAY_WITHIN_S, stall_s: float = STALL_S
    ) -> None:
        self.cashier = cashier
        self.pay_within_s = pay_within_s
        self.stall_s = stall_s
        self.stopping = asyncio.Event()

    async def serve(
        self,
        offer: Offer,
        channel: Channel,
        request: Request,
        receive: Receive,
        send: Send,
        *,
        ticket: int = 0,
        limit: int | None = None,
    ) -> None:
        """Answer one call in parts.

        Parameters
        ----------
        ticket : int
            The amount of the voucher that opened it, reserved by the caller; 0 for a token.
        limit : int, optional
            A cumulative amount it may not go beyond, whatever is signed.

        Raises
        ------
        KoinonError
            Before anything was sent; nothing is charged then.
        """
        offer = offer.of(channel.config.payer)
        runner = offer.runner
        if not isinstance(runner, StreamRunner):
            raise SetupError("This service cannot stream.", code="service.no_stream")
        sold = 0
        channel.streams += 1
        try:
            with offer.busy():
                async with offer.admission.enter(channel.config.payer):
                    stream = _Stream(
                        self, offer, channel, request, receive=receive, send=send, ticket=ticket, limit=limit
                    )
                    parts = runner.stream(request.body)
                    try:
                        await stream.run(parts)
                    finally:
                        sold = stream.cost
                        await parts.aclose()
                        await stream.close()
        finally:
            channel.streams -= 1
            if ticket and not sold:  # the voucher is good for another call
                channel.account.release(ticket, 0)


class _Stream:
    """One of them."""

    def __init__(
        self,
        streams: Streams,
        offer: Offer,
        channel: Channel,
        request: Request,
        *,
        receive: Receive,
        send: Send,
        ticket: int,
        limit: int | None,
    ) -> None:
        self._streams = streams
        self._offer = offer
        self._channel = channel
        self._ticket = ticket
        self._limit = limit
        self._input_digest = request.input_digest
        self._send = send
        self._started = False
        self.cost = 0
        self._units = 0
        self._gone = asyncio.create_task(_until_gone(receive))
        self._stopping = asyncio.create_task(streams.stopping.wait())

    async def run(self, parts: AsyncGenerator[Measured, None]) -> None:
        problem: dict[str, object] | None = None
        try:
            reason = await self._sell(parts)
        except (_Gone, ConnectionError):
            return
        except _Stopping:
            reason = "stopping"
        except KoinonError as error:
            if not self._started:
                raise
            reason, problem = "failed", problem_of(error)
        with contextlib.suppress(_Gone):
            await self._end(reason, problem)

    async def close(self) -> None:
        """Let go of what waits."""
        for task in (self._gone, self._stopping):
            task.cancel()
        await asyncio.gather(self._gone, self._stopping, return_exceptions=True)

    async def _sell(self, parts: AsyncGenerator[Measured, None]) -> str:
        """Parts until the end; why it ended."""
        cashier, channel = self._streams.cashier, self._channel
        account = channel.account
        while True:
            part = await self._or_gone(anext(parts, None))
            if part is None:
                return "complete"
            units = 1 if part.units is None else part.units
            cost = units * self._offer.terms.unit_price
            reason = await self._paid(cost)
            if reason:
                return reason
            account.spend(self._ticket, cost)
            try:
                await cashier.keep(channel, None)
            except KoinonError:
                account.give_back(cost)
                raise
            if self._gone.done():
                account.give_back(cost)
                await cashier.keep(channel, None)
                raise _Gone
            self.cost += cost
            self._units += units
            tail = b',"units":%d,"charged":"%d"}' % (units, account.charged)
            await self._event(b"part", b'{"item":' + part.body + tail)

    async def _paid(self, cost: int) -> str:
        """Wait until the next part is covered; otherwise why it never will be."""
        channel = self._channel
        loop = asyncio.get_running_loop()
        until = loop.time() + self._streams.pay_within_s
        told = False
        while True:
            if channel.withdraw_requested_at:
                return "withdrawal"
            if channel.account.covers(cost, self._limit):
                return ""
            left = until - loop.time()
            if left <= 0 or self._limit is not None:
                return "unpaid"
            if not told:
                told = True
                await self._event(b"unpaid", self._asked(cost))
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._or_gone(channel.changed.wait()), left)

    def _asked(self, cost: int) -> bytes:
        account = self._channel.account
        return orjson.dumps(
            {
                "needed": str(account.charged + account.reserved + cost),
                "charged": str(account.charged),
                "signed": str(account.signed),
                "balance": str(account.balance),
                "within_s": self._streams.pay_within_s,
            }
        )

    async def _or_gone(self, awaited: Awaitable[_Result]) -> _Result:
        """What is waited for, unless the reader leaves or the gateway stops first."""
        task = asyncio.ensure_future(awaited)
        try:
            await asyncio.wait({task, self._gone, self._stopping}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise _Gone if self._gone.done() else _Stopping
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _event(self, kind: bytes, data: bytes) -> None:
        if not self._started:
            self._started = True
            response = self._streams.cashier.charged(self._offer.terms, self._channel, 0)
            headers = [
                (b"content-type", b"text/event-stream"),
                (b"cache-control", b"no-store"),
                (b"x-accel-buffering", b"no"),
                (b"payment-response", encode(response)),
            ]
            await self._out({"type": "http.response.start", "status": 200, "headers": headers})
        text = b"event: " + kind + b"\ndata: " + data + b"\n\n"
        await self._out({"type": "http.response.body", "body": text, "more_body": True})

    async def _out(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._streams.stall_s):
                await self._send(message)
        except TimeoutError:
            raise _Gone from None

    async def _end(self, reason: str, problem: dict[str, object] | None) -> None:
        offer = self._offer
        payment = self._streams.cashier.charged(offer.terms, self._channel, self.cost)
        head = orjson.dumps({"reason": reason, "units": self._units, "charged": str(self.cost)})
        evidence = offer.evidence_head + self._input_digest.hex().encode() + b'"}'
        tail = b',"payment":' + orjson.dumps(payment)
        if problem is not None:
            tail += b',"problem":' + orjson.dumps(problem)
        await self._event(b"end", head[:-1] + evidence + tail + b"}")
        await self._out({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
