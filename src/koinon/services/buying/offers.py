# SPDX-License-Identifier: Apache-2.0
"""What a gateway asks for a call, checked against what the buyer knows by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from koinon.errors import IntegrityError, NotFound, PaymentError
from koinon.services.buying.allowance import Payee
from koinon.services.buying.replies import amount_in, fault_of, header_of, not_a_gateway
from koinon.services.buying.transport import Http
from koinon.services.gateway.onchain import OnChain
from koinon.works.vouchers import MAX_WITHDRAW_DELAY_S


@dataclass(frozen=True)
class Offer:
    """One of a gateway's requirements. ``accepted`` as the gateway wrote it, ``price`` of a call in the
    coin's smallest unit, ``payee`` as the chain says."""

    accepted: dict[str, Any]
    payee: Payee
    price: int


def work_id_in(url: str) -> int:
    """The Work that a service's address names."""
    text = url.rstrip("/").rsplit("/", 1)[-1]
    if not (text.isascii() and text.isdigit() and len(text) <= 78):
        raise NotFound(f"{url} names no Work.", hint="A service's address ends in /services/WORK_ID.")
    return int(text)


class Offers:
    """Asks gateways for their requirements.

    Parameters
    ----------
    on_chain : OnChain
    http : Http
    highest_price : int, optional
        Most that one call may cost.
    """

    def __init__(self, on_chain: OnChain, http: Http, highest_price: int | None = None) -> None:
        self._on_chain = on_chain
        self._http = http
        self._highest_price = highest_price

    def ask(self, url: str, scheme: str) -> Offer:
        """The gateway's requirements for one scheme.

        Raises
        ------
        PaymentError
            It takes no such payments, or another network's, or asks more than was agreed to.
        IntegrityError
            It asks to be paid elsewhere than at the Work's till.
        """
        response = self._http.request("POST", url, b"{}", {"Content-Type": "application/json"})
        if response.status != 402 or "payment-required" not in response.headers:
            raise fault_of(response)
        offers = header_of(response, "payment-required").get("accepts")
        found = [
            offer
            for offer in (offers if isinstance(offers, list) else ())
            if isinstance(offer, dict) and offer.get("scheme") == scheme
        ]
        if not found:
            raise PaymentError(f"The service does not take {scheme} payments.", code="payment.scheme")
        return self.check(url, found[0])

    def check(self, url: str, accepted: dict[str, Any]) -> Offer:
        """An offer, checked; errors as in `ask`."""
        network = f"eip155:{self._on_chain.chain.chain_id}"
        if accepted.get("network") != network or accepted.get("asset") != self._on_chain.coin:
            raise PaymentError(
                "The service asks for another network's money.",
                hint=f"This buyer pays in the coin of {network}.",
                code="payment.network",
            )
        payee = self._payee(url, accepted.get("payTo"))
        price = amount_in(accepted.get("amount"))
        if self._highest_price is not None and price > self._highest_price:
            raise PaymentError(
                f"A call costs {price} units, more than the {self._highest_price} agreed to.",
                hint="Agree to the new price if that is what you want.",
                code="payment.spending_limit",
            )
        timeout = accepted.get("maxTimeoutSeconds")
        if not isinstance(timeout, int) or not 0 < timeout <= MAX_WITHDRAW_DELAY_S:
            raise not_a_gateway()
        return Offer(accepted, payee, price)

    def _payee(self, url: str, pay_to: Any) -> Payee:
        """A gateway's service is a Work: its money must go to that Work's till and nowhere else."""
        work_id = work_id_in(url)
        works = self._on_chain.chain.contract("Works")
        till, owner = works.call_many([("till_of", work_id), ("ownerOf", work_id)])
        if pay_to != till:
            raise IntegrityError(
                f"The service asks to be paid at {pay_to}, but the till of Work {work_id} is {till}.",
                hint="Do not pay; tell the Work's owner.",
                code="payment.wrong_till",
            )
        return Payee(work_id, till, owner)
