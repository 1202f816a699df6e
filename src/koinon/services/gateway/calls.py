# SPDX-License-Identifier: Apache-2.0
"""Paid calls: a payment is taken, the service runs, and a call that is repeated gets its answer again.

A key pays once on its channel, whichever vouchers or tokens come with it: who asks the same under it gets the
same answer, while it is being made and for a day after; who asks something else under it is refused.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import orjson

from koinon.services.gateway.asgi import JSON, Headers, Request
from koinon.services.gateway.cashier import Cashier
from koinon.services.gateway.channel import Channel, ChannelRefused
from koinon.services.gateway.free import FreeCalls, FreeRequest
from koinon.services.gateway.headroom import Headroom
from koinon.services.gateway.journal_records import CallRecord, TransferRecord
from koinon.services.gateway.offer import Offer
from koinon.services.gateway.x402 import BatchPayment, TransferPayment, encode

ANSWERS_KEPT: Final = 4096
ANSWER_KEPT_LIMIT: Final = 65_536
RECOMPUTED: Final = 3
"""How often a paid answer that is not kept any more is made again for nothing, while this process lives."""

_Known = tuple[bytes, bytes]


class Answer(NamedTuple):
    """What a paid call got, kept for a retry of the same call."""

    headers: Headers
    body: bytes


class _Making(NamedTuple):
    """An answer that is there or being made, and the digest of what was asked."""

    input_digest: bytes
    answer: asyncio.Future[Answer]


class Calls:
    """The paid and free calls of one gateway.

    Parameters
    ----------
    cashier : Cashier
    free : FreeCalls
    """

    def __init__(self, cashier: Cashier, free: FreeCalls) -> None:
        self.cashier = cashier
        self.free = free
        self._answers: OrderedDict[_Known, _Making] = OrderedDict()
        self._recomputed: Counter[_Known] = Counter()

    async def by_channel(self, offer: Offer, payment: BatchPayment, request: Request) -> Answer:
        """The answer to a call paid by a voucher. Raises Refused, or what the service raises."""
        terms, work_id = offer.terms, offer.service.work_id
        pay = self.cashier.pay_by_deposit if payment.kind == "deposit" else self.cashier.pay_by_voucher
        payer = self.cashier.payer_of(payment)
        offer = offer.of(payer)
        record = CallRecord(request.call_key, request.input_digest) if request.call_key else None

        async def first() -> Answer:
            result, response = await pay(
                terms, work_id, payment, record, lambda: offer.run(payer, request.body)
            )
            return _answer(offer, payer, request, result, response)

        if record is None:
            return await first()
        if not self._is_used((payment.voucher.channel_id, request.call_key)):
            return await self._make((payment.voucher.channel_id, request.call_key), request, first)
        return await self._once(offer, self.cashier.genuine(terms, work_id, payment), request, first)

    async def by_token(self, offer: Offer, channel: Channel, headroom: Headroom, request: Request) -> Answer:
        """The answer to a call on what was signed ahead; its key pays once. Errors as in `by_channel`."""
        payer, record = channel.config.payer, CallRecord(request.call_key, request.input_digest)
        offer = offer.of(payer)

        async def first() -> Answer:
            headroom.check_price(offer.terms)
            result, response = await self.cashier.pay_ahead(
                offer.terms, channel, headroom.limit, record, lambda: offer.run(payer, request.body)
            )
            return _answer(offer, payer, request, result, response)

        return await self._once(offer, channel, request, first)

    async def by_transfer(
        self, offer: Offer, payment: TransferPayment, request: Request
    ) -> tuple[Answer, TransferRecord, str]:
        """The answer to a call paid by an `exact` transfer; once it has left, the record and the
        transaction's hash go to `Transfers.answered`."""
        offer = offer.of(payment.payer)

        async def work() -> bytes:
            return (await offer.run(payment.payer, request.body))[0]

        result, response, record = await self.cashier.transfers.pay(
            offer.terms, offer.service.work_id, payment, request.input_digest, work
        )
        return _answer(offer, payment.payer, request, result, response), record, response["transaction"]

    async def for_nothing(self, offer: Offer, wish: FreeRequest, request: Request) -> Answer:
        """The answer to a free call. Raises NoFreeCall, or what the service raises (nothing is counted)."""
        call = self.free.take(offer.service, wish, request.input_digest)
        offer = offer.of(wish.caller)
        try:
            result, _ = await offer.run(wish.caller, request.body)
        except BaseException:
            self.free.give_back(call)
            raise
        return _answer(offer, wish.caller, request, result, None)

    def _is_used(self, known: _Known) -> bool:
        return known in self._answers or self.cashier.paid_before(*known) is not None

    async def _once(
        self, offer: Offer, channel: Channel, request: Request, first: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """The answer under a key: kept, being made, made again, or made for the first time and paid."""
        known = (channel.channel_id, request.call_key)
        payer = channel.config.payer

        async def again() -> Answer:
            self._recomputed[known] += 1
            result, _ = await offer.run(payer, request.body)
            response = self.cashier.acknowledge(offer.terms, channel)
            return _answer(offer, payer, request, result, response)

        while (making := self._answers.get(known)) is not None:
            if making.input_digest != request.input_digest:
                raise ChannelRefused.key_used(channel)
            await asyncio.wait({making.answer})
            if not making.answer.cancelled():
                return making.answer.result()
        paid = self.cashier.paid_before(*known)
        if paid is None:
            return await self._make(known, request, first)
        if paid.input_digest != request.input_digest or self._recomputed[known] >= RECOMPUTED:
            raise ChannelRefused.key_used(channel)
        return await self._make(known, request, again)

    async def _make(self, known: _Known, request: Request, make: Callable[[], Awaitable[Answer]]) -> Answer:
        """Make an answer, and let those that ask the same meanwhile, and later, have it too."""
        pending: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[known] = _Making(request.input_digest, pending)
        try:
            answer = await make()
        except BaseException:
            del self._answers[known]
            pending.cancel()
            raise
        pending.set_result(answer)
        if len(answer.body) > ANSWER_KEPT_LIMIT:
            del self._answers[known]
        while len(self._answers) > ANSWERS_KEPT and next(iter(self._answers.values())).answer.done():
            self._answers.popitem(last=False)
        while len(self._recomputed) > ANSWERS_KEPT:
            del self._recomputed[next(iter(self._recomputed))]
        return answer


def _answer(
    offer: Offer, payer: str, request: Request, result: bytes, response: dict[str, Any] | None
) -> Answer:
    signed = b'"'
    if offer.pledge is not None:
        signed = b'","signed":' + orjson.dumps(offer.pledge.sign(payer, request.body, result))
    digest = request.input_digest.hex().encode()
    body = b"".join((b'{"result":', result, offer.evidence_head, digest, signed, b"}}"))
    paid = [] if response is None else [(b"payment-response", encode(response))]
    return Answer([JSON, *paid], body)
