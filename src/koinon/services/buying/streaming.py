# SPDX-License-Identifier: Apache-2.0
"""Buys streams, and signs ahead for calls without vouchers (see `streams`, `headroom`)."""

from __future__ import annotations

import http.client
import secrets
import ssl
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import orjson

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.services.buying.allowance import Allowance, Limit
from koinon.services.buying.offers import Offers
from koinon.services.buying.paid_stream import Stream, no_answer
from koinon.services.buying.paying import PayingChannel
from koinon.services.buying.prepaid import Prepaid
from koinon.services.buying.replies import fault_of, json_of, not_a_gateway
from koinon.services.buying.transport import Http, Response
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.x402 import BATCH, encode
from koinon.services.sealing.client import SealedRequest, Sealer

ANSWER_LIMIT: Final = 1 << 20
EVENTS: Final = "text/event-stream"


class StreamingBuyer:
    """Pays for streams, and ahead of calls, with one key. For one thread a stream.

    Parameters
    ----------
    chain : Chain
    key : Account
    spending_limit : int
        Most that may ever be signed away, in the coin's smallest unit; ``allowance`` overrides it.
    allowance : Allowance, optional
    deposit : int, optional
        As in `Buyer`.
    timeout_s : float
        For each wait, also for the next part.
    tls : ssl.SSLContext, optional
    private : bool, optional
        Whether streams and prepaid calls are sealed; see `Sealer`.
    """

    def __init__(
        self,
        chain: Chain,
        key: Account,
        *,
        spending_limit: int = 0,
        allowance: Allowance | None = None,
        deposit: int | None = None,
        timeout_s: float = 60.0,
        tls: ssl.SSLContext | None = None,
        private: bool | None = None,
    ) -> None:
        self._on_chain = OnChain(chain, key)
        self._timeout_s = timeout_s
        self._tls = tls
        self._http = Http(timeout_s, tls)
        self._sealer = Sealer(chain, self._http, private)
        self._allowance = Limit(spending_limit) if allowance is None else allowance
        self._offers = Offers(self._on_chain, self._http)
        self._deposit = deposit
        self._channels: dict[str, PayingChannel] = {}

    @property
    def signed(self) -> int:
        """What was signed away so far."""
        return self._allowance.signed

    def stream(self, url: str, arguments: dict[str, Any], *, most: int | None = None) -> Stream:
        """Open a stream; iterate over it and close it.

        ``most`` is what it may cost at most, in the coin's smallest unit; by default what the spending limit
        leaves. Raises PaymentError, BadInput or PeerError where the gateway does not open it.
        """
        cap = self._allowance.per_use
        if cap is not None:
            most = cap if most is None else min(most, cap)
        channel = self.channel(url)
        for _ in range(2):
            amount, deposit_needed = channel.ticket()
            payment = channel.deposit(amount) if deposit_needed else channel.voucher(amount)
            connection, answer, sealed = self._open(url, orjson.dumps(arguments), payment)
            if answer.status == 200 and str(answer.getheader("content-type")).startswith(EVENTS):
                if deposit_needed:
                    channel.look()
                return Stream(
                    self, url, channel, connection=connection, answer=answer, most=most, sealed=sealed
                )
            with_body = {name.lower(): value for name, value in answer.getheaders()}
            response = Response(answer.status, with_body, answer.read(ANSWER_LIMIT))
            connection.close()
            if sealed is not None:
                response, _ = sealed.open(response)
            if not channel.corrected(amount, response):
                if sealed is None or response.status != 409:
                    break
                self._sealer.posts.forget(url)  # the key was changed meanwhile
        raise fault_of(response)

    def sign_ahead(self, url: str, coins: int) -> Prepaid:
        """Sign for ``coins`` more in all and get a token that pays calls without vouchers, from any process.

        Raises PaymentError as `Buyer.call` does, or where the gateway refuses the voucher.
        """
        channel = self.channel(url)
        document = self.raise_voucher(url, channel, coins)
        token, until = document.get("token"), document.get("until")
        if not isinstance(token, str) or not isinstance(until, int):
            raise not_a_gateway()
        return Prepaid(url, token, until, channel.offer.price, self._sealer.reader(url))

    def channel(self, url: str) -> PayingChannel:
        """The channel of a service, brought up to date with the gateway's account of it."""
        if url not in self._channels:
            channel = PayingChannel(
                self._on_chain, self._offers.ask(url, BATCH), self._allowance, self._deposit
            )
            if channel.balance:
                headers = {"PAYMENT-SIGNATURE": encode(channel.question()).decode()}
                headers["Content-Type"] = "application/json"
                channel.take_over(self._http.request("POST", url, b"{}", headers))
            self._channels[url] = channel
        return self._channels[url]

    def raise_voucher(self, url: str, channel: PayingChannel, coins: int) -> dict[str, Any]:
        """Send a voucher for ``coins`` beyond all that was signed; the gateway's answer."""
        amount, deposit_needed = channel.ahead(coins)
        payment = channel.deposit(amount) if deposit_needed else channel.voucher(amount)
        headers = {"PAYMENT-SIGNATURE": encode(payment).decode(), "Content-Type": "application/json"}
        response = self._http.request("POST", url + "/headroom", b"", headers)
        if response.status != 200:
            raise fault_of(response)
        if deposit_needed:
            channel.look()
        document = json_of(response)
        if not isinstance(document, dict):
            raise not_a_gateway()
        return document

    def close(self) -> None:
        """Close connections. Channels stay open; `Buyer.refund` empties one."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(
        self, url: str, body: bytes, payment: dict[str, Any]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse, SealedRequest | None]:
        parts = urlsplit(url)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = self._tls or ssl.create_default_context()
            connection = http.client.HTTPSConnection(parts.netloc, timeout=self._timeout_s, context=context)
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=self._timeout_s)
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            "PAYMENT-SIGNATURE": encode(payment).decode(),
            "Idempotency-Key": secrets.token_hex(16),
        }
        to = self._sealer.reader(url)
        sealed = None if to is None else self._sealer.posts.seal(url, body, headers, to)
        if sealed is not None:
            body, headers = sealed.body, sealed.headers
        try:
            connection.request("POST", parts.path, body, headers)
            return connection, connection.getresponse(), sealed
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise no_answer(parts.netloc, error) from error
