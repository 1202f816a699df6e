# SPDX-License-Identifier: Apache-2.0
"""The lean buyer: calls services and pays them by cumulative vouchers on prepaid channels.

The first call to a service carries a signed deposit; the gateway brings it on chain, so a buyer needs coins
and no ETH. Each later call carries one voucher. Several calls may be in flight on a channel: each voucher's
amount is the ticket of one call. A call that got no answer is repeated with the same voucher and the same
key, so it is paid once. Nothing beyond the allowance is ever signed.
"""

from __future__ import annotations

import hashlib
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import orjson

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.errors import BadInput, KoinonError, PeerError
from koinon.services.buying.allowance import Allowance, Limit
from koinon.services.buying.offers import Offers
from koinon.services.buying.paying import PayingChannel, payment_of
from koinon.services.buying.replies import Answer, Bill, answered, fault_of, header_of, is_refusal, json_of
from koinon.services.buying.transport import Http, Response
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.x402 import BATCH, EXACT, encode
from koinon.services.sealing.calls import CallOpening
from koinon.services.sealing.client import Sealer

ATTEMPTS: Final = 4
_Reply = tuple[Response, CallOpening | None]
_Sent = TypeVar("_Sent")


class Buyer:
    """Pays for calls with one key.

    Parameters
    ----------
    chain : Chain
    key : Account
        Owns the coins; needs no ETH.
    spending_limit : int, optional
        Most that may ever be signed away, in the coin's smallest unit; not with ``allowance``.
    allowance : Allowance, optional
        What may be signed away, where it is more than one number: an owner's mandate (`MandateSpending`).
    deposit : int, optional
        What to put into a channel at a time; by default 1,000 calls' worth. Never more than the limit leaves.
    attempts : int
        How often a call without an answer is sent, always with the same voucher.
    timeout_s : float
        For one attempt.
    tls : ssl.SSLContext, optional
    http : Http, optional
        Asks in the buyer's name, and is closed with it; with ``timeout_s`` and ``tls`` by default.
    highest_price : int, optional
        Most that one call may cost; by default what the spending limit leaves.
    private : bool, optional
        Whether calls are sealed, so that only the provider can read them; by default those of Works that name
        on chain to whom (see `Sealer`).
    """

    def __init__(
        self,
        chain: Chain,
        key: Account,
        *,
        spending_limit: int | None = None,
        allowance: Allowance | None = None,
        deposit: int | None = None,
        attempts: int = ATTEMPTS,
        timeout_s: float = 60.0,
        tls: ssl.SSLContext | None = None,
        http: Http | None = None,
        highest_price: int | None = None,
        private: bool | None = None,
    ) -> None:
        if (spending_limit is None) == (allowance is None):
            raise BadInput("A buyer has a spending limit or an allowance.", code="payment.allowance")
        self.key = key
        self._chain = chain
        self._on_chain = OnChain(chain, key)
        self._http = http or Http(timeout_s, tls)
        self._allowance = Limit(spending_limit or 0) if allowance is None else allowance
        self._sealer = Sealer(chain, self._http, private)
        self._offers = Offers(self._on_chain, self._http, highest_price)
        self._deposit = deposit
        self._attempts = attempts
        self._channels: dict[str, PayingChannel] = {}
        self._lock = threading.Lock()

    @property
    def signed(self) -> int:
        """What was signed away so far: the most all gateways together could ever claim."""
        return self._allowance.signed

    def describe(self, url: str) -> dict[str, Any]:
        """What a service is, what it takes and gives, and its price."""
        response = self._http.request("GET", url)
        if response.status != 200:
            raise fault_of(response)
        document = json_of(response)
        if not isinstance(document, dict) or "price" not in document:
            raise PeerError(f"{url} is not a service.", hint="GET /services lists what a gateway offers.")
        return document

    def call(self, url: str, arguments: dict[str, Any], *, number: str | None = None) -> Answer:
        """One call, paid by voucher.

        ``number`` (see `purchase.new_number`) names the call: tried again with the number it was first tried
        with, it is sent with the payment it was first sent with, and never paid twice. Under a mandate this
        holds for whichever process tries.

        Raises
        ------
        PaymentError
            The allowance, the balance or the gateway forbids it.
        BadInput
            The arguments do not fit the service's schema; nothing was charged.
        PeerError
            No answer, or the service failed; nothing was charged, or a repeated call will be free.
        IntegrityError
            The gateway lies about what it charged, or about where it is paid.
        """
        number = secrets.token_hex(32) if number is None else number
        body = orjson.dumps(arguments)
        channel = self._channel(url)
        kept = self._allowance.kept(number)
        if kept is not None:
            return self._finish(channel, number, *self._send(url, body, kept, number))
        for _ in range(3):
            amount, deposit_needed = channel.ticket()
            if deposit_needed:
                with channel.funding:
                    short = amount > channel.balance
                    payment = channel.deposit(amount) if short else channel.voucher(amount)
                    response, opening = self._pay(url, body, payment, number)
                    if short and response.status == 200:
                        channel.look()
            else:
                response, opening = self._pay(url, body, channel.voucher(amount), number)
            if not is_refusal(response) or not channel.corrected(amount, response):
                break
        return self._finish(channel, number, response, opening)

    def _pay(self, url: str, body: bytes, payment: dict[str, Any], number: str) -> _Reply:
        self._allowance.keep(number, payment)
        return self._send(url, body, payment, number)

    def _finish(
        self, channel: PayingChannel, number: str, response: Response, opening: CallOpening | None
    ) -> Answer:
        """Read an answer, whatever it is; unless it leaves open what became of the call, the call is done."""
        if response.status != 200:
            if is_refusal(response):
                self._allowance.forget(number)
            raise fault_of(response)
        document = answered(response)
        charged, transaction = channel.charge(response)
        self._allowance.forget(number, charged)
        return Answer(document["result"], document["evidence"], charged, transaction, opening)

    def call_many(
        self,
        url: str,
        calls: Iterable[dict[str, Any]],
        *,
        in_flight: int = 8,
        on_answer: Callable[[int], None] | None = None,
    ) -> Bill:
        """Many calls to one service, ``in_flight`` at a time on one channel; answers in the calls' order.

        A call that fails leaves None in its place and its error in ``failures``; ``on_answer`` is told 1 for
        each finished call.
        """
        arguments = list(calls)
        bill = Bill([None] * len(arguments))
        if not arguments:
            return bill
        started = time.monotonic()
        self._channel(url)
        numbers = iter(range(len(arguments)))
        lock = threading.Lock()

        def work() -> None:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                try:
                    bill.answers[number] = self.call(url, arguments[number])
                except KoinonError as error:
                    bill.failures.append(error)
                if on_answer is not None:
                    on_answer(1)

        with ThreadPoolExecutor(in_flight, thread_name_prefix="buyer") as threads:
            for finished in [threads.submit(work) for _ in range(in_flight)]:
                finished.result()
        bill.seconds = time.monotonic() - started
        return bill

    def call_exact(self, url: str, arguments: dict[str, Any], *, nonce: bytes | None = None) -> Answer:
        """One call paid by an x402 `exact` transfer: no channel, one transaction on chain for each call.

        ``nonce`` (32 bytes, random when not given) is the authorization's: the token takes each once, so a
        call that is tried again with the nonce it was first tried with is never paid twice.
        """
        offer = self._offers.ask(url, EXACT)
        accepted, price = offer.accepted, offer.price
        nonce = secrets.token_bytes(32) if nonce is None else nonce
        valid_before = int(time.time()) + int(accepted["maxTimeoutSeconds"])
        self._allowance.transfer(offer.payee, price, nonce, valid_before)
        if self._chain.guard is not None:
            self._chain.guard.sign_away(price)
        authorization = {
            "from": self.key.address,
            "to": accepted["payTo"],
            "value": str(price),
            "validAfter": "0",
            "validBefore": str(valid_before),
            "nonce": "0x" + nonce.hex(),
        }
        signature = self._on_chain.coin_digests.sign_transfer(
            self.key, accepted["payTo"], price, valid_before=valid_before, nonce=nonce
        )
        payload = {"authorization": authorization, "signature": "0x" + signature.hex()}
        paid, body = payment_of(accepted, payload), orjson.dumps(arguments)
        response, opening = self._send(url, body, paid, nonce.hex())
        if response.status != 200:
            raise fault_of(response)
        document = answered(response)
        settled = header_of(response, "payment-response")
        self._allowance.transferred(nonce)
        self._allowance.forget(nonce.hex(), price)
        transaction = str(settled.get("transaction", ""))
        return Answer(document["result"], document["evidence"], price, transaction, opening)

    def refund(self, url: str) -> int:
        """Ask the gateway to give back what the channel still holds; what came back, in the coin's unit."""
        channel = self._channel(url)
        for _ in range(2):
            response = self._ask(url + "/refund", b"", channel.refund())
            if response.status == 200:
                with self._lock:
                    self._channels.pop(url, None)
                channel.close()
                return int(json_of(response)["refunded"])
            if not channel.take_over(response):
                break
        raise fault_of(response)

    def close(self) -> None:
        """Close connections. Channels stay open; `refund` empties one."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _channel(self, url: str) -> PayingChannel:
        with self._lock:
            if url not in self._channels:
                self._channels[url] = self._open_channel(url)
            return self._channels[url]

    def _open_channel(self, url: str) -> PayingChannel:
        """The channel for a service. One from an earlier run goes on where it stands: a voucher that buys
        nothing makes the gateway say how far it was used, before anything new is signed."""
        offer = self._offers.ask(url, BATCH)
        channel = PayingChannel(self._on_chain, offer, self._allowance, self._deposit)
        if channel.balance:
            channel.take_over(self._ask(url, b"{}", channel.question()))
        return channel

    def _send(self, url: str, body: bytes, payment: Mapping[str, Any], number: str) -> _Reply:
        """Send until an answer comes; every attempt carries the same payment and the same key. The key is the
        number's digest: who sees it cannot tell the number."""
        headers = _headers(payment)
        headers["Idempotency-Key"] = hashlib.sha256(number.encode()).hexdigest()[:32]
        return self._try(lambda: self._sealer.request(url, body, headers))

    def _ask(self, url: str, body: bytes, payment: Mapping[str, Any]) -> Response:
        """The same for what is no call: it carries no input."""
        return self._try(lambda: self._http.request("POST", url, body, _headers(payment)))

    def _try(self, send: Callable[[], _Sent]) -> _Sent:
        for attempt in range(1, self._attempts + 1):
            try:
                return send()
            except PeerError:
                if attempt == self._attempts:
                    raise
                time.sleep(min(2.0, 0.05 * 4**attempt))
        raise PeerError("No attempt was allowed.", code="service.no_answer")


def _headers(payment: Mapping[str, Any]) -> dict[str, str]:
    return {"Content-Type": "application/json", "PAYMENT-SIGNATURE": encode(payment).decode()}
