# SPDX-License-Identifier: Apache-2.0
"""The door where callers pay: one call, a voucher ahead of calls, a refund; refusals as x402 words them."""

from __future__ import annotations

import hashlib
from typing import Final

import orjson

from koinon.errors import BadInput
from koinon.services.gateway.admission import Busy
from koinon.services.gateway.asgi import (
    JSON,
    PROBLEM,
    Receive,
    Request,
    RequestProblem,
    Scope,
    Send,
    has_left,
    header,
    is_json,
    read_body,
    respond,
    too_large,
)
from koinon.services.gateway.calls import Calls
from koinon.services.gateway.cashier import Cashier
from koinon.services.gateway.channel import ChannelRefused
from koinon.services.gateway.free import NoFreeCall, read_free_call
from koinon.services.gateway.headroom import HeadroomTokens
from koinon.services.gateway.ledger import Refused
from koinon.services.gateway.offer import Offer
from koinon.services.gateway.streams import Streams
from koinon.services.gateway.x402 import BatchPayment, TransferPayment, encode, payment_required

KEY_LIMIT: Final = 64
DRAIN_S: Final = 30.0
"""How long calls that run may go on once the gateway is told to stop."""

PREPAID_HEADER: Final = b"koinon-prepaid"
FREE_HEADER: Final = b"koinon-free-call"


class PayingDoor:
    """Calls, streams and refunds of one gateway's services.

    Parameters
    ----------
    cashier : Cashier
    calls : Calls
    secret : bytes
        Authenticates prepaid tokens; the same after a restart.
    """

    def __init__(self, cashier: Cashier, calls: Calls, secret: bytes) -> None:
        self.cashier = cashier
        self.calls = calls
        self.stopping = False
        self._streams = Streams(cashier)
        self._tokens = HeadroomTokens(secret)

    def drain(self) -> None:
        """Take no new paid calls, and let streams end at their next part; those that run go on."""
        self.stopping = True
        self._streams.stopping.set()

    async def call(self, offer: Offer, scope: Scope, receive: Receive, send: Send) -> None:
        """One call, however it is paid."""
        payment_header = call_key = content_type = length = token = free = b""
        for name, value in scope["headers"]:
            if name == b"payment-signature":
                payment_header = value
            elif name == b"idempotency-key":
                call_key = value
            elif name == b"content-type":
                content_type = value
            elif name == b"content-length":
                length = value
            elif name == PREPAID_HEADER:
                token = value
            elif name == FREE_HEADER:
                free = value
        most = offer.service.limits.body_bytes
        if length and (not length.isdigit() or int(length) > most):
            raise too_large(most)
        body = await read_body(receive, most)
        payment = offer.headers.read(payment_header) if payment_header else None
        if isinstance(payment, BatchPayment) and payment.kind == "refund":
            await self._refund(offer, payment, send)
            return
        offer.refuse_retired()
        if not (payment_header or token or free):
            await respond(send, 402, [PROBLEM, (b"payment-required", offer.unpaid)], _UNPAID)
            return
        if content_type != b"application/json" and not is_json(content_type):
            raise RequestProblem(
                415, "The body is not JSON.", "Send content-type: application/json.", "service.content_type"
            )
        if len(call_key) > KEY_LIMIT:
            raise BadInput("The idempotency key is too long.", hint=f"At most {KEY_LIMIT} bytes.")
        if self.stopping:
            raise Busy("The gateway is stopping.", DRAIN_S)
        request = Request(body, hashlib.sha256(body).digest(), call_key)
        try:
            if payment is None and token:
                headroom = self._tokens.read(token)
                channel = self.cashier.known(headroom.channel_id, offer.service.work_id)
                if offer.streams:
                    self.cashier.check_staying(channel)
                    headroom.check_price(offer.terms)
                    await self._streams.serve(offer, channel, request, receive, send, limit=headroom.limit)
                    return
                if not call_key:
                    raise BadInput(
                        "A call on a prepaid token needs a key of its own.",
                        hint="Send Idempotency-Key, a new one for each call: a repeated call is paid once.",
                        code="payment.no_key",
                    )
                answer = await self.calls.by_token(offer, channel, headroom, request)
                await respond(send, 200, answer.headers, answer.body)
            elif payment is None:
                if offer.streams:
                    raise NoFreeCall("Streams are not given for nothing.", hint="Pay for it.")
                answer = await self.calls.for_nothing(offer, read_free_call(free), request)
                await respond(send, 200, answer.headers, answer.body)
            elif offer.streams and isinstance(payment, BatchPayment):
                channel = await self.cashier.open_stream(offer.terms, offer.service.work_id, payment)
                ticket = payment.voucher.amount
                await self._streams.serve(offer, channel, request, receive, send, ticket=ticket)
            elif isinstance(payment, TransferPayment):
                answer, record, transaction = await self.calls.by_transfer(offer, payment, request)
                if await has_left(receive):
                    return  # not answered: the same payment gets it when it is sent again
                await respond(send, 200, answer.headers, answer.body)
                self.cashier.transfers.answered(record, transaction)
            else:
                answer = await self.calls.by_channel(offer, payment, request)
                await respond(send, 200, answer.headers, answer.body)
        except Refused as refused:
            await self._refuse(offer, refused, send)

    async def sign_ahead(self, offer: Offer, scope: Scope, receive: Receive, send: Send) -> None:
        """A voucher that buys nothing by itself: it covers running streams, and calls by the token."""
        await read_body(receive)
        offer.refuse_retired()
        signed = header(scope, b"payment-signature")
        payment = offer.headers.read(signed) if signed else None
        if not isinstance(payment, BatchPayment) or payment.kind == "refund":
            raise BadInput(
                "This address takes vouchers and deposits.",
                hint="Send a batch-settlement voucher in PAYMENT-SIGNATURE.",
                code="payment.not_a_voucher",
            )
        try:
            channel = await self.cashier.sign_ahead(offer.terms, offer.service.work_id, payment)
        except Refused as refused:
            await self._refuse(offer, refused, send)
            return
        token, until = self._tokens.issue(channel.channel_id, channel.account.signed, offer.terms)
        response = self.cashier.charged(offer.terms, channel, 0)
        document = {"token": token, "until": until, "signed": str(channel.account.signed)}
        document |= {"channelState": channel.state()}
        await respond(send, 200, [JSON, (b"payment-response", encode(response))], orjson.dumps(document))

    async def refund(self, offer: Offer, scope: Scope, receive: Receive, send: Send) -> None:
        """x402's cooperative refund of a channel."""
        await read_body(receive)
        signed = header(scope, b"payment-signature")
        if not signed:
            await respond(send, 402, [PROBLEM, (b"payment-required", offer.unpaid)], _UNPAID)
            return
        payment = offer.headers.read(signed)
        if not isinstance(payment, BatchPayment) or payment.kind != "refund":
            raise BadInput(
                "This address only refunds.", hint="Send a refund payload.", code="payment.not_a_refund"
            )
        await self._refund(offer, payment, send)

    async def _refund(self, offer: Offer, payment: BatchPayment, send: Send) -> None:
        try:
            response = await self.cashier.refund(offer.terms, offer.service.work_id, payment)
        except Refused as refused:
            await self._refuse(offer, refused, send)
            return
        body = orjson.dumps({"refunded": response["amount"], "transaction": response["transaction"]})
        await respond(send, 200, [JSON, (b"payment-response", encode(response))], body)

    async def _refuse(self, offer: Offer, refused: Refused, send: Send) -> None:
        state = voucher = None
        if isinstance(refused, ChannelRefused):
            state, voucher = refused.channel_state, refused.voucher_state
        required = encode(
            payment_required(
                offer.terms,
                offer.url,
                offer.service.description,
                error=refused.reason,
                channel_state=state,
                voucher_state=voucher,
            )
        )
        body = orjson.dumps(refused.problem() | {"reason": refused.reason})
        await respond(send, 402, [PROBLEM, (b"payment-required", required)], body)


_UNPAID: Final = orjson.dumps(
    {
        "type": "urn:koinon:error:payment.required",
        "title": "This call must be paid.",
        "status": 402,
        "detail": "The PAYMENT-REQUIRED header says how (x402 version 2).",
        "code": "payment.required",
    }
)
