# SPDX-License-Identifier: Apache-2.0
"""The lean buyer: calls services and pays them by cumulative vouchers on prepaid channels.

The first call to a service carries a signed deposit; the gateway brings it on chain, so a buyer needs coins
and no ETH. Each later call carries one voucher. Several calls may be in flight on a channel: each voucher's
amount is the ticket of one call. A call that got no answer is repeated with the same voucher and the same
key, so it is paid once. Nothing beyond the spending limit is ever signed.
"""

from __future__ import annotations

import heapq
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import orjson

from koinon.chain import keys
from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.errors import BadInput, IntegrityError, KoinonError, NotFound, PaymentError, PeerError
from koinon.services.onchain import OnChain
from koinon.services.transport import Http, Response
from koinon.services.x402 import BATCH, EXACT, decode, encode
from koinon.works.payments import X402_VERSION, ChannelPayment, DepositAuthorization
from koinon.works.vouchers import MAX_WITHDRAW_DELAY_S, ChannelConfig

ATTEMPTS: Final = 4
DEPOSIT_CALLS: Final = 1000
_STALE: Final = frozenset(
    (
        "invalid_batch_settlement_evm_cumulative_amount_mismatch",
        "invalid_batch_settlement_evm_cumulative_below_claimed",
    )
)


@dataclass(frozen=True)
class Answer:
    """What a paid call returned.

    ``evidence`` as the gateway states it (Work, input digest, card), ``charged`` in the coin's smallest unit,
    ``transaction`` the hash of the transaction this call caused, if any.
    """

    result: Any
    evidence: dict[str, Any]
    charged: int
    transaction: str = ""


@dataclass
class Bill:
    """Many calls: how many were answered, what they cost, and what went wrong with the others."""

    answers: list[Answer | None]
    failures: list[KoinonError] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def calls(self) -> int:
        return sum(answer is not None for answer in self.answers)

    @property
    def paid(self) -> int:
        """In the coin's smallest unit."""
        return sum(answer.charged for answer in self.answers if answer is not None)


class _Spending:
    """The limit, shared by all channels: the sum of everything signed."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.signed = 0
        self._lock = threading.Lock()

    def sign(self, amount: int) -> None:
        with self._lock:
            if self.signed + amount > self.limit:
                raise PaymentError(
                    f"This call would go beyond the spending limit of {self.limit} units.",
                    hint="Raise the limit if that is what you want.",
                    code="payment.spending_limit",
                )
            self.signed += amount

    def left(self) -> int:
        with self._lock:
            return self.limit - self.signed


@dataclass
class _Channel:
    """The buyer's side of one channel. Amounts in the coin's smallest unit; guarded by ``lock``."""

    config: ChannelConfig
    channel_id: bytes
    accepted: dict[str, Any]
    balance: int
    highest: int
    charged: int
    free: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    funding: threading.Lock = field(default_factory=threading.Lock)


class Buyer:
    """Pays for calls with one key.

    Parameters
    ----------
    chain : Chain
    key : Account
        Owns the coins; needs no ETH.
    spending_limit : int
        Most that may ever be signed away, in the coin's smallest unit.
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
    """

    def __init__(
        self,
        chain: Chain,
        key: Account,
        *,
        spending_limit: int,
        deposit: int | None = None,
        attempts: int = ATTEMPTS,
        timeout_s: float = 60.0,
        tls: ssl.SSLContext | None = None,
        http: Http | None = None,
        highest_price: int | None = None,
    ) -> None:
        self.key = key
        self._chain = chain
        self._on_chain = OnChain(chain, key)
        self._digests = self._on_chain.channels.digests
        self._http = http or Http(timeout_s, tls)
        self._spending = _Spending(spending_limit)
        self._deposit = deposit
        self._highest_price = highest_price
        self._attempts = attempts
        self._channels: dict[str, _Channel] = {}
        self._lock = threading.Lock()

    @property
    def signed(self) -> int:
        """What was signed away so far: the most all gateways together could ever claim."""
        return self._spending.signed

    def describe(self, url: str) -> dict[str, Any]:
        """What a service is, what it takes and gives, and its price."""
        response = self._http.request("GET", url)
        if response.status != 200:
            raise _fault(response)
        document = _json(response)
        if not isinstance(document, dict) or "price" not in document:
            raise PeerError(f"{url} is not a service.", hint="GET /services lists what a gateway offers.")
        return document

    def call(self, url: str, arguments: dict[str, Any]) -> Answer:
        """One call, paid by voucher.

        Raises
        ------
        PaymentError
            The spending limit, the balance or the gateway forbids it.
        BadInput
            The arguments do not fit the service's schema; nothing was charged.
        PeerError
            No answer, or the service failed; nothing was charged, or a repeated call will be free.
        """
        body = orjson.dumps(arguments)
        channel = self._channel(url)
        for _ in range(3):
            amount, deposit_needed = self._ticket(channel)
            if deposit_needed:
                with channel.funding:
                    short = amount > channel.balance
                    response = self._send(url, body, self._payload(channel, amount, fund=short))
                    if short and response.status == 200:
                        channel.balance = self._on_chain.channels.states([channel.channel_id])[0].balance
            else:
                response = self._send(url, body, self._payload(channel, amount))
            if response.status == 200:
                return self._answer(channel, response)
            if not self._corrected(channel, amount, response):
                break
        raise _fault(response)

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
        accepted = self._offer(url, EXACT)
        price = int(accepted["amount"])
        self._spending.sign(price)
        self._ask_guard(price)
        nonce = secrets.token_bytes(32) if nonce is None else nonce
        valid_before = int(time.time()) + int(accepted["maxTimeoutSeconds"])
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
        response = self._send(url, orjson.dumps(arguments), _payment(accepted, payload))
        if response.status != 200:
            raise _fault(response)
        document = _answered(response)
        settled = decode(response.headers.get("payment-response", "").encode())
        return Answer(document["result"], document["evidence"], price, str(settled.get("transaction", "")))

    def refund(self, url: str) -> int:
        """Ask the gateway to give back what the channel still holds; what came back, in the coin's unit."""
        channel = self._channel(url)
        with channel.lock:
            for _ in range(2):
                payload = self._channel_payload("refund", channel, channel.charged)
                response = self._send(url + "/refund", b"", _payment(channel.accepted, payload))
                if response.status == 200:
                    with self._lock:
                        self._channels.pop(url, None)
                    return int(_json(response)["refunded"])
                if not self._take_over_state(channel, response):
                    break
        raise _fault(response)

    def close(self) -> None:
        """Close connections. Channels stay open; `refund` empties one."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Opening a channel

    def _channel(self, url: str) -> _Channel:
        with self._lock:
            if url not in self._channels:
                self._channels[url] = self._open_channel(url)
            return self._channels[url]

    def _open_channel(self, url: str) -> _Channel:
        """The channel for a service. One from an earlier run goes on where it stands: a voucher that buys
        nothing makes the gateway say how far it was used, before anything new is signed."""
        channel = self._describe_channel(self._offer(url, BATCH))
        if channel.balance:
            payload = self._channel_payload("voucher", channel, channel.charged)
            with channel.lock:
                self._take_over_state(channel, self._send(url, b"{}", _payment(channel.accepted, payload)))
        return channel

    def _offer(self, url: str, scheme: str) -> dict[str, Any]:
        """The gateway's requirements for one scheme, checked against what this buyer knows by itself."""
        response = self._http.request("POST", url, b"{}", {"Content-Type": "application/json"})
        header = response.headers.get("payment-required")
        if response.status != 402 or header is None:
            raise _fault(response)
        required = decode(header.encode())
        offers = [offer for offer in required.get("accepts", ()) if offer.get("scheme") == scheme]
        if not offers:
            raise PaymentError(f"The service does not take {scheme} payments.", code="payment.scheme")
        accepted: dict[str, Any] = offers[0]
        network = f"eip155:{self._chain.chain_id}"
        if accepted["network"] != network or accepted["asset"] != self._on_chain.coin:
            raise PaymentError(
                "The service asks for another network's money.",
                hint=f"This buyer pays in the coin of {network}.",
                code="payment.network",
            )
        self._check_till(url, accepted["payTo"])
        if self._highest_price is not None and int(accepted["amount"]) > self._highest_price:
            raise PaymentError(
                f"A call costs {accepted['amount']} units, more than the {self._highest_price} agreed to.",
                hint="Agree to the new price if that is what you want.",
                code="payment.spending_limit",
            )
        return accepted

    def _check_till(self, url: str, pay_to: str) -> None:
        """A gateway's service is a Work: its money must go to that Work's till and nowhere else."""
        work_id = url.rstrip("/").rsplit("/", 1)[-1]
        if not work_id.isdigit():
            raise NotFound(f"{url} names no Work.", hint="A service's address ends in /services/WORK_ID.")
        till = self._chain.contract("Works").call("till_of", int(work_id))
        if pay_to != till:
            raise IntegrityError(
                f"The service asks to be paid at {pay_to}, but the till of Work {work_id} is {till}.",
                hint="Do not pay; tell the Work's owner.",
                code="payment.wrong_till",
            )

    def _describe_channel(self, accepted: dict[str, Any]) -> _Channel:
        delay = int(accepted["extra"]["withdrawDelay"])
        if delay > MAX_WITHDRAW_DELAY_S:
            raise PaymentError("The service would hold a deposit too long.", code="payment.withdraw_delay")
        config = ChannelConfig(
            payer=self.key.address,
            payer_authorizer=self.key.address,
            receiver=accepted["payTo"],
            receiver_authorizer=accepted["extra"]["receiverAuthorizer"],
            token=accepted["asset"],
            withdraw_delay_s=delay,
        )
        channel_id = self._digests.channel_id(config)
        state = self._on_chain.channels.states([channel_id])[0]
        return _Channel(config, channel_id, accepted, state.balance, state.claimed, state.claimed)

    # Paying

    def _ticket(self, channel: _Channel) -> tuple[int, bool]:
        """The amount of the next voucher, and whether the channel needs money for it."""
        price = int(channel.accepted["amount"])
        with channel.lock:
            if channel.free:
                amount = heapq.heappop(channel.free)
            else:
                self._spending.sign(price)
                amount = channel.highest = channel.highest + price
            return amount, amount > channel.balance

    def _ask_guard(self, coins: int) -> None:
        """Where money is real, what leaves the account counts towards the data directory's cap."""
        if self._chain.guard is not None:
            self._chain.guard.sign_away(coins)

    def _payload(self, channel: _Channel, amount: int, *, fund: bool = False) -> dict[str, Any]:
        if not fund:
            return _payment(channel.accepted, self._channel_payload("voucher", channel, amount))
        price = int(channel.accepted["amount"])
        least = amount - channel.balance
        wanted = DEPOSIT_CALLS * price if self._deposit is None else self._deposit
        size = max(least, min(wanted, least + self._spending.left()))
        have = self._on_chain.balance(self.key.address)
        if have < least:
            raise PaymentError(
                f"{self.key.address} has {have} units, but the channel needs {least}.",
                hint="Send it coins.",
                code="payment.no_coins",
            )
        size = min(size, have)
        self._ask_guard(size)
        deposit = self._on_chain.coin_digests.sign_deposit(
            self.key,
            self._on_chain.channels.collector,
            channel.channel_id,
            size,
            valid_before=int(time.time()) + int(channel.accepted["maxTimeoutSeconds"]),
            salt=secrets.randbits(256),
        )
        return _payment(channel.accepted, self._channel_payload("deposit", channel, amount, deposit))

    def _channel_payload(
        self, kind: str, channel: _Channel, amount: int, deposit: DepositAuthorization | None = None
    ) -> dict[str, Any]:
        voucher = self._digests.sign(self.key, channel.channel_id, amount)
        return ChannelPayment(kind, channel.config, voucher, deposit).to_json()

    def _send(self, url: str, body: bytes, payment: dict[str, Any]) -> Response:
        """Send until an answer comes; every attempt carries the same payment and the same key."""
        headers = {
            "Content-Type": "application/json",
            "PAYMENT-SIGNATURE": encode(payment).decode(),
            "Idempotency-Key": secrets.token_hex(16),
        }
        for attempt in range(1, self._attempts + 1):
            try:
                return self._http.request("POST", url, body, headers)
            except PeerError:
                if attempt == self._attempts:
                    raise
                time.sleep(min(2.0, 0.05 * 4**attempt))
        raise PeerError("No attempt was allowed.", code="service.no_answer")

    def _answer(self, channel: _Channel, response: Response) -> Answer:
        settled = decode(response.headers.get("payment-response", "").encode())
        document = _answered(response)
        report: dict[str, Any] = settled.get("extra", {})
        charged = int(report.get("chargedAmount", "0"))
        with channel.lock:
            reported = int(report.get("channelState", {}).get("chargedCumulativeAmount", "0"))
            channel.charged = max(channel.charged, min(reported, channel.highest))
        return Answer(document["result"], document["evidence"], charged, str(settled.get("transaction", "")))

    def _corrected(self, channel: _Channel, amount: int, response: Response) -> bool:
        """After a refusal: whether the channel was brought up to date and the call may be tried again."""
        if response.status == 402 and _reason(response) in _STALE:
            with channel.lock:
                return self._take_over_state(channel, response)
        with channel.lock:
            heapq.heappush(channel.free, amount)  # it paid for nothing and may pay for another call
        return False

    def _take_over_state(self, channel: _Channel, response: Response) -> bool:
        """Believe a gateway's account of the channel only as far as this buyer's own signature covers it."""
        header = response.headers.get("payment-required")
        offers = decode(header.encode()).get("accepts", []) if header else []
        extra: dict[str, Any] = next((offer["extra"] for offer in offers if offer.get("scheme") == BATCH), {})
        state, voucher = extra.get("channelState"), extra.get("voucherState")
        if not isinstance(state, dict):
            return False
        charged, signed = int(state["chargedCumulativeAmount"]), 0
        if isinstance(voucher, dict):
            signed = int(voucher["signedMaxClaimable"])
            digest = self._digests.voucher(channel.channel_id, signed)
            if not keys.verify(digest, bytes.fromhex(voucher["signature"][2:]), self.key.address):
                return False
        found = self._on_chain.channels.states([channel.channel_id])[0]
        if charged > max(signed, found.claimed):
            return False
        channel.charged = charged
        channel.balance = found.balance
        channel.highest = max(channel.highest, signed, charged)
        channel.free = [amount for amount in channel.free if amount > max(signed, charged)]
        heapq.heapify(channel.free)
        return True


def _payment(accepted: dict[str, Any], payload: dict[str, Any]) -> dict[str, Any]:
    return {"x402Version": X402_VERSION, "accepted": accepted, "payload": payload}


def _json(response: Response) -> Any:
    try:
        return orjson.loads(response.body)
    except ValueError:
        raise PeerError("The service's answer is not JSON.", code="service.bad_answer") from None


def _answered(response: Response) -> dict[str, Any]:
    """The document of a paid answer: ``result`` and ``evidence``."""
    document = _json(response)
    if not isinstance(document, dict) or not {"result", "evidence"} <= document.keys():
        raise PeerError("The service's answer is not what a gateway says.", code="service.bad_answer")
    return document


def _reason(response: Response) -> str:
    header = response.headers.get("payment-required")
    return str(decode(header.encode()).get("error", "")) if header else ""


def _fault(response: Response) -> KoinonError:
    """The typed error for a problem answer."""
    try:
        problem = orjson.loads(response.body)
        title, hint, code = str(problem["title"]), str(problem["detail"]), str(problem["code"])
    except (ValueError, KeyError, TypeError):
        title, hint, code = f"The service answered with HTTP status {response.status}.", "", "service.status"
    kind: type[KoinonError] = PeerError
    if response.status == 402:
        kind = PaymentError
    elif response.status == 404:
        kind = NotFound
    elif 400 <= response.status < 500:
        kind = BadInput
    return kind(title, hint=hint, code=code)
