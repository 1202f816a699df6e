# SPDX-License-Identifier: Apache-2.0
"""One call bought by a person: paid once, whatever breaks in between.

A purchase has a number of its own before anything is signed, and that number is the nonce of the payment
(ERC-3009), which the token takes once and never again. So a purchase can be tried again after a lost answer,
a closed browser or a killed node: either it was not paid yet and is paid now, or it was and the gateway
answers it for the payment it has. Two purchases are two numbers.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Final

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.errors import BadInput, KoinonError, PaymentError, PeerError
from koinon.services.buying.client import Buyer
from koinon.services.buying.replies import Answer
from koinon.services.buying.transport import Http
from koinon.services.gateway.onchain import OnChain

NUMBER_BYTES: Final = 32


@dataclass(frozen=True)
class Quote:
    """What a call costs before anyone signs; ``price`` and ``balance`` in the coin's smallest unit."""

    name: str
    price: int
    symbol: str
    decimals: int
    schema: dict[str, Any]
    balance: int

    @property
    def covered(self) -> bool:
        """Whether the account can pay one call."""
        return self.balance >= self.price


def new_number() -> str:
    """The number of a new purchase: 64 hex digits, for the form's hidden field."""
    return secrets.token_hex(NUMBER_BYTES)


def quote(chain: Chain, account: str, url: str) -> Quote:
    """Ask a gateway what a service costs, and the chain what an account has; errors as `Buyer.describe`."""
    with Buyer(chain, _Reader(account), spending_limit=0) as buyer:
        said = buyer.describe(url)
    try:
        price = said["price"]
        return Quote(
            name=str(said["name"]),
            price=int(price["amount"]),
            symbol=str(price["symbol"]),
            decimals=int(price["decimals"]),
            schema=dict(said["schema"]),
            balance=int(chain.coin.call("balanceOf", account)),
        )
    except (KeyError, TypeError, ValueError):
        raise PeerError(
            f"{url} does not say what it costs.", hint="Ask its owner.", code="service.bad_answer"
        ) from None


def buy_call(
    chain: Chain,
    account: Account,
    url: str,
    arguments: dict[str, Any],
    *,
    number: str,
    most: int,
    http: Http | None = None,
) -> Answer:
    """Buy one call with one signature; no channel, and no ETH of the buyer's.

    Parameters
    ----------
    chain : Chain
    account : Account
        Pays; a wallet signs one message.
    url : str
        Where the gateway has the service.
    arguments : dict
    number : str
        The purchase's (see `new_number`); the same again to try the same purchase again.
    most : int
        What the buyer has agreed to, in the coin's smallest unit; a higher price is refused.
    http : Http, optional
        As in `Buyer`.

    Raises
    ------
    PaymentError
        ``payment.spending_limit``: it costs more than was agreed to. ``payment.no_coins``: the account has
        too little. ``payment.paid_unanswered``: paid, and the answer is lost; trying again costs nothing.
        ``payment.spent``: this purchase was answered before.
    BadInput, PeerError
        Nothing was paid.
    """
    nonce = nonce_of(number)
    on_chain = OnChain(chain, account)
    with Buyer(chain, account, spending_limit=most, http=http) as buyer:
        price = int(buyer.describe(url)["price"]["amount"])
        paid_before = on_chain.authorization_used(account.address, nonce)
        if not paid_before and on_chain.balance(account.address) < price:
            raise PaymentError(
                f"{account.address} has too few coins: a call costs {price} units.",
                hint="Get some coins first.",
                code="payment.no_coins",
            )
        try:
            return buyer.call_exact(url, arguments, nonce=nonce)
        except KoinonError as error:
            if not on_chain.authorization_used(account.address, nonce):
                raise
            if isinstance(error, PaymentError):
                raise PaymentError(
                    "This purchase was paid and answered before, or its payment was cancelled.",
                    hint="Start a new one.",
                    code="payment.spent",
                ) from error
            raise PaymentError(
                "It was paid, but the answer did not arrive.",
                hint="Try again with the same purchase: it is not paid a second time.",
                code="payment.paid_unanswered",
            ) from error


def call_by_channel(
    chain: Chain,
    account: Account,
    url: str,
    arguments: dict[str, Any],
    *,
    deposit: int,
    most: int,
    price: int | None = None,
    http: Http | None = None,
) -> Answer:
    """Make a call through a channel, opening or filling it where it holds too little.

    The first call takes two signatures, deposit and voucher; a later one a voucher, and one more that buys
    nothing, by which the gateway says how far the channel was used. A voucher names everything paid through
    the channel so far, and a newer one replaces it: a call that is tried again never adds to it twice.

    ``deposit`` in the coin's smallest unit is what the channel is filled with at a time, ``most`` what may be
    signed away in vouchers, ``price`` what one call may cost; `Buyer.refund` takes back what is left. Errors
    as in `Buyer.call`.
    """
    if deposit <= 0:
        raise BadInput("A deposit is more than nothing.", hint="Give an amount.", code="payment.deposit")
    with Buyer(chain, account, spending_limit=most, deposit=deposit, highest_price=price, http=http) as buyer:
        return buyer.call(url, arguments)


def nonce_of(number: str) -> bytes:
    """The nonce of the payment of a purchase: 32 bytes."""
    try:
        found = bytes.fromhex(number)
    except ValueError:
        found = b""
    if len(found) != NUMBER_BYTES:
        raise BadInput("This is no number of a purchase.", hint="Begin it anew.", code="payment.number")
    return found


class _Reader:
    """An account that only looks."""

    def __init__(self, address: str) -> None:
        self.address = address

    def sign_typed(self, *_: Any) -> bytes:
        raise BadInput("Nothing is signed for a quote.", code="payment.quote")
