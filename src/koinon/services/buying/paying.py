# SPDX-License-Identifier: Apache-2.0
"""The buyer's side of one channel: which voucher is next, when it needs money, what a gateway says of it."""

from __future__ import annotations

import heapq
import secrets
import threading
import time
from typing import Any, Final

from koinon.chain import keys
from koinon.errors import IntegrityError, PaymentError
from koinon.services.buying.allowance import Allowance
from koinon.services.buying.offers import Offer
from koinon.services.buying.replies import amount_in, header_of, not_a_gateway, reason_of
from koinon.services.buying.transport import Response
from koinon.services.gateway.ledger import BELOW_LEAST_DEPOSIT, EXCEEDS_BALANCE
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.x402 import BATCH
from koinon.works.payments import X402_VERSION, ChannelPayment, DepositAuthorization
from koinon.works.vouchers import MAX_WITHDRAW_DELAY_S, MIN_WITHDRAW_DELAY_S, ChannelConfig
from koinon.works.wire import MalformedPayment, address, hex_bytes

DEPOSIT_CALLS: Final = 1000
_PAUSE_S: Final = 0.05
_STALE: Final = frozenset(
    (
        "invalid_batch_settlement_evm_cumulative_amount_mismatch",
        "invalid_batch_settlement_evm_cumulative_below_claimed",
    )
)


class PayingChannel:
    """One channel, as its payer holds it. Amounts in the coin's smallest unit; safe to share by threads.

    Parameters
    ----------
    on_chain : OnChain
        With the payer's key.
    offer : Offer
    allowance : Allowance
        Whose cap for one use the offer's price must not pass; PaymentError otherwise.
    deposit : int, optional
        What to put in at a time; by default 1,000 calls' worth. At least what the offer's ``minDeposit``
        asks, and never more than the allowance leaves.
    """

    def __init__(
        self, on_chain: OnChain, offer: Offer, allowance: Allowance, deposit: int | None = None
    ) -> None:
        cap = allowance.per_use
        if cap is not None and offer.price > cap:
            raise PaymentError(
                f"A use costs up to {offer.price} units; {cap} are allowed.",
                hint="Only the owner can grant more, by a new mandate.",
                code="mandate.per_call",
            )
        self.offer = offer
        self.funding = threading.Lock()
        self._on_chain = on_chain
        self._digests = on_chain.channels.digests
        self._allowance = allowance
        self._deposit = DEPOSIT_CALLS * offer.price if deposit is None else deposit
        self._least_deposit = _least_deposit(offer.accepted)
        self._config = _config(on_chain.key.address, offer, allowance.salt)
        self.channel_id = self._digests.channel_id(self._config)
        state = on_chain.channels.states([self.channel_id])[0]
        self.balance = state.balance
        self.charged = self._highest = state.claimed
        self._free: list[int] = []
        self._open = 0
        self._lock = threading.Lock()

    def ticket(self) -> tuple[int, bool]:
        """The amount of the next voucher, and whether the channel needs money for it.

        Raises PaymentError where the allowance does not grant it.
        """
        with self._lock:
            if self._free:
                self._allowance.again(self.offer.payee, self.channel_id, self._free[0])
                amount = heapq.heappop(self._free)
            else:
                amount = self._sign(self._step())
            self._open += 1
            return amount, amount > self.balance

    def ahead(self, coins: int) -> tuple[int, bool]:
        """The amount of a voucher for ``coins`` beyond all that was signed so far; else as `ticket`."""
        with self._lock:
            amount = self._sign(coins)
            return amount, amount > self.balance

    def _sign(self, coins: int) -> int:
        self._highest = self._allowance.voucher(self.offer.payee, self.channel_id, self._highest, coins)
        return self._highest

    def _step(self) -> int:
        """By how much the next call's voucher is higher. Where calls are priced by units, what earlier ones
        left of their vouchers covers a part of this one."""
        price = self.offer.price
        extra = self.offer.accepted.get("extra")
        if not isinstance(extra, dict) or "unit" not in extra:
            return price
        return max(1, self.charged + (self._open + 1) * price - self._highest)

    def give_back(self, amount: int) -> None:
        """A voucher of this amount paid for nothing and may pay for another call."""
        with self._lock:
            heapq.heappush(self._free, amount)
            self._open = max(0, self._open - 1)

    def voucher(self, amount: int) -> dict[str, Any]:
        """What is sent with a call: x402's payment."""
        return self._payment("voucher", amount)

    def refund(self) -> dict[str, Any]:
        """What asks the gateway for all that is left."""
        return self._payment("refund", self.charged)

    def question(self) -> dict[str, Any]:
        """A voucher that buys nothing, so that the gateway says how far the channel was used."""
        return self._payment("voucher", self.charged)

    def deposit(self, amount: int) -> dict[str, Any]:
        """What is sent with a call for which the channel holds too little: a voucher and a deposit.

        Raises PaymentError where the account has too little, or the data directory's cap forbids it.
        """
        least = amount - self.balance
        wanted = max(self._deposit, self._least_deposit)
        size = max(least, min(wanted, least + self._allowance.left(self.offer.payee)))
        key = self._on_chain.key
        have = self._on_chain.balance(key.address)
        if have < least:
            raise PaymentError(
                f"{key.address} has {have} units, but the channel needs {least}.",
                hint="Send it coins.",
                code="payment.no_coins",
            )
        size = min(size, have)
        if self._on_chain.chain.guard is not None:
            self._on_chain.chain.guard.sign_away(size)
        authorization = self._on_chain.coin_digests.sign_deposit(
            key,
            self._on_chain.channels.collector,
            self.channel_id,
            size,
            valid_before=int(time.time()) + int(self.offer.accepted["maxTimeoutSeconds"]),
            salt=secrets.randbits(256),
        )
        return self._payment("deposit", amount, authorization)

    def look(self) -> None:
        """Read the balance from the chain again."""
        self.balance = self._on_chain.channels.states([self.channel_id])[0].balance

    def close(self) -> None:
        """After a refund: what the chain says was taken is what was spent."""
        state = self._on_chain.channels.states([self.channel_id])[0]
        if state.open == 0:
            self._allowance.closed(self.channel_id, state.claimed)

    def charge(self, response: Response) -> tuple[int, str]:
        """Read a paid answer's account of the channel: (what this call cost, the transaction it caused).

        Raises
        ------
        IntegrityError
            It states more than was signed. No voucher covers that, so it can never be taken.
        """
        settled = header_of(response, "payment-response")
        report = settled.get("extra")
        report = report if isinstance(report, dict) else {}
        state = report.get("channelState")
        state = state if isinstance(state, dict) else {}
        charged = amount_in(report.get("chargedAmount", "0"))
        total = amount_in(state.get("chargedCumulativeAmount", "0"))
        with self._lock:
            if charged > self.offer.price or not self._is_signed(total):
                raise IntegrityError(
                    f"The gateway says that it charged {charged} units, {total} in all; "
                    f"only {self.offer.price} and {self._highest} were signed.",
                    hint="It can take no more than what was signed. Do not call it again.",
                    code="payment.false_account",
                )
            self.charged = max(self.charged, total)
            self._open = max(0, self._open - 1)
        return charged, str(settled.get("transaction", ""))

    def ended(self, total: int) -> None:
        """A stream is over, and the gateway says that it charged ``total`` in all; IntegrityError where that
        is more than was signed."""
        with self._lock:
            self._open = max(0, self._open - 1)
            if not self._is_signed(total):
                raise IntegrityError(
                    f"The gateway says that it charged {total} units in all; {self._highest} were signed.",
                    hint="It can take no more than what was signed. Do not call it again.",
                    code="payment.false_account",
                )
            self.charged = max(self.charged, total)

    def _is_signed(self, total: int) -> bool:
        """Whether this buyer, or another process under its allowance, signed that much."""
        return total <= self._highest or total <= self._allowance.watermark(self.channel_id)

    def corrected(self, amount: int, response: Response) -> bool:
        """After a refusal: whether the channel was brought up to date and the call may be tried again."""
        if response.status == 402 and reason_of(response) in _STALE:
            return self.take_over(response)
        self.give_back(amount)
        if response.status == 402 and reason_of(response) == BELOW_LEAST_DEPOSIT:
            before, self._least_deposit = self._least_deposit, _least_deposit(_batch_offer(response))
            return self._least_deposit > before
        if response.status == 402 and reason_of(response) == EXCEEDS_BALANCE:
            # Another process filled the channel, and its gateway is just about to know; or emptied it.
            time.sleep(_PAUSE_S)
            self.look()
            return True
        return False

    def take_over(self, response: Response) -> bool:
        """Believe a gateway's account of the channel only as far as this buyer's own signature covers it."""
        extra = _batch_offer(response).get("extra")
        if not isinstance(extra, dict) or not isinstance(extra.get("channelState"), dict):
            return False
        charged, signed = amount_in(extra["channelState"].get("chargedCumulativeAmount")), 0
        voucher = extra.get("voucherState")
        if isinstance(voucher, dict):
            signed = amount_in(voucher.get("signedMaxClaimable"))
            digest = self._digests.voucher(self.channel_id, signed)
            if not keys.verify(digest, _signature(voucher.get("signature")), self._on_chain.key.address):
                return False
        found = self._on_chain.channels.states([self.channel_id])[0]
        if charged > max(signed, found.claimed):
            return False
        with self._lock:
            self.charged = charged
            self.balance = found.balance
            self._highest = max(self._highest, signed, charged)
            self._free = [amount for amount in self._free if amount > max(signed, charged)]
            heapq.heapify(self._free)
        return True

    def _payment(self, kind: str, amount: int, deposit: DepositAuthorization | None = None) -> dict[str, Any]:
        voucher = self._digests.sign(self._on_chain.key, self.channel_id, amount)
        payload = ChannelPayment(kind, self._config, voucher, deposit).to_json()
        return payment_of(self.offer.accepted, payload)


def payment_of(accepted: dict[str, Any], payload: dict[str, Any]) -> dict[str, Any]:
    """x402's PaymentPayload."""
    return {"x402Version": X402_VERSION, "accepted": accepted, "payload": payload}


def _batch_offer(response: Response) -> dict[str, Any]:
    """What a refusal offers for a channel; empty where it offers nothing."""
    offers = header_of(response, "payment-required").get("accepts")
    found = (each for each in (offers if isinstance(offers, list) else ()) if isinstance(each, dict))
    return next((each for each in found if each.get("scheme") == BATCH), {})


def _least_deposit(accepted: dict[str, Any]) -> int:
    """The least deposit that an offer asks for, in the coin's smallest unit; 0 where it asks for none."""
    extra = accepted.get("extra")
    return amount_in(extra["minDeposit"]) if isinstance(extra, dict) and "minDeposit" in extra else 0


def _config(payer: str, offer: Offer, salt: bytes) -> ChannelConfig:
    extra = offer.accepted.get("extra")
    extra = extra if isinstance(extra, dict) else {}
    delay = extra.get("withdrawDelay")
    if not isinstance(delay, int) or delay < MIN_WITHDRAW_DELAY_S:
        raise not_a_gateway()
    if delay > MAX_WITHDRAW_DELAY_S:
        raise PaymentError("The service would hold a deposit too long.", code="payment.withdraw_delay")
    try:
        authorizer = address(extra.get("receiverAuthorizer"), "receiverAuthorizer")
    except MalformedPayment:
        raise not_a_gateway() from None
    return ChannelConfig(
        payer=payer,
        payer_authorizer=payer,
        receiver=offer.payee.till,
        receiver_authorizer=authorizer,
        token=str(offer.accepted["asset"]),
        withdraw_delay_s=delay,
        salt=salt,
    )


def _signature(value: Any) -> bytes:
    try:
        return hex_bytes(value, "signature", 65)
    except MalformedPayment:
        raise not_a_gateway() from None
