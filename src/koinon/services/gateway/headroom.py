# SPDX-License-Identifier: Apache-2.0
"""Tokens for what was signed ahead: many calls at once, from several processes, without a voucher each.

A payer signs one voucher far ahead and gets a token; each call carries the token and a key of its own
(``Idempotency-Key``) instead of a voucher. The token names the channel, the cumulative amount up to which it
spends, the price that was agreed to, and when it ends, and is authenticated by the gateway, which keeps
nothing of it. Whoever has the token may spend what it covers on this service and nothing else; once the
service is dearer, the token buys nothing more.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from koinon.services.gateway.ledger import refuse
from koinon.services.gateway.x402 import Terms

LIFE_S: Final = 3_600
_MAC_BYTES: Final = 16
_LENGTH: Final = 32 + 16 + 16 + 16 + 8


class Headroom(NamedTuple):
    """What a token says; ``limit`` is cumulative like a voucher's amount, ``price`` the most that a call, and
    ``unit_price`` what a unit may cost, ``until`` in Unix seconds."""

    channel_id: bytes
    limit: int
    price: int
    unit_price: int
    until: int

    def check_price(self, terms: Terms) -> None:
        """Raises Refused where the service is dearer than was agreed to."""
        if terms.price > self.price or terms.unit_price > self.unit_price:
            raise refuse(
                "headroom_price",
                f"A call costs up to {terms.price} now; the prepaid token was signed for {self.price}.",
                "Sign ahead again if you agree to the new price.",
            )


class HeadroomTokens:
    """Issues and reads tokens.

    Parameters
    ----------
    secret : bytes
        The gateway's; the same after a restart.
    clock : callable
        Unix seconds.
    """

    def __init__(self, secret: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._secret = hashlib.sha256(b"koinon headroom" + secret).digest()
        self._clock = clock

    def issue(self, channel_id: bytes, limit: int, terms: Terms) -> tuple[str, int]:
        """A token for a channel up to a cumulative amount, at these prices, and when it ends."""
        until = int(self._clock()) + LIFE_S
        amounts = (limit, terms.price, terms.unit_price)
        body = channel_id + b"".join(each.to_bytes(16, "big") for each in amounts) + until.to_bytes(8, "big")
        return base64.urlsafe_b64encode(body + self._mac(body)).decode(), until

    def read(self, token: bytes) -> Headroom:
        """Raises Refused for one that this gateway did not issue or that has ended."""
        try:
            found = base64.b64decode(token, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            found = b""
        body, mac = found[:_LENGTH], found[_LENGTH:]
        if len(found) != _LENGTH + _MAC_BYTES or not hmac.compare_digest(mac, self._mac(body)):
            raise refuse("headroom_token", "The prepaid token is not of this gateway.", "Sign ahead again.")
        places = ((32, 48), (48, 64), (64, 80), (80, _LENGTH))
        headroom = Headroom(body[:32], *(int.from_bytes(body[begin:end], "big") for begin, end in places))
        if headroom.until < self._clock():
            raise refuse("headroom_ended", "The prepaid token has ended.", "Sign ahead again.")
        return headroom

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, "sha256")[:_MAC_BYTES]
