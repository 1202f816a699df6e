# SPDX-License-Identifier: Apache-2.0
"""Calls without vouchers: by a token for what was signed ahead, or for nothing where a service allows it.

A `Prepaid` may be handed to other processes: it needs no key and no chain. Whoever has its token can spend
what it covers on this one service, so send it over TLS only.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.errors import IntegrityError, PaymentError, PeerError
from koinon.services.buying.offers import work_id_in
from koinon.services.buying.replies import Answer, amount_in, answered, fault_of, header_of, json_of
from koinon.services.buying.transport import Http
from koinon.services.gateway.free import free_domain, sign_free_call
from koinon.services.sealing.client import SealedPosts, Sealer, SealTo
from koinon.works.wire import address

ATTEMPTS: Final = 4
FREE_S: Final = 300


@dataclass(frozen=True)
class Prepaid:
    """What was signed ahead for one service; ``until`` (Unix seconds) the token is good, and ``price`` the
    most that a call may cost by it, in the coin's smallest unit. ``seal_to`` is whom its calls are sealed to,
    where they must be."""

    url: str
    token: str = field(repr=False)
    until: int
    price: int
    seal_to: SealTo | None = None

    def call(self, http: Http, arguments: dict[str, Any], *, number: str = "") -> Answer:
        """One call. ``number`` names it, so that the same call again is paid once; random by default.

        Raises
        ------
        PaymentError
            What was signed ahead is used up, the token has ended, or the service is dearer than agreed to.
        IntegrityError
            The gateway says that it charged more than was agreed to.
        BadInput, PeerError
            As `Buyer.call`; a call without an answer was sent several times and is paid once at most.
        """
        headers = {
            "Content-Type": "application/json",
            "koinon-prepaid": self.token,
            "Idempotency-Key": number or secrets.token_hex(16),
        }
        body = orjson.dumps(arguments)
        posts = SealedPosts(http)
        opening = None
        for attempt in range(1, ATTEMPTS + 1):
            try:
                if self.seal_to is None:
                    response = http.request("POST", self.url, body, headers)
                else:
                    response, opening = posts.request(self.url, body, headers, self.seal_to)
                break
            except PeerError:
                if attempt == ATTEMPTS:
                    raise
                time.sleep(0.05 * 4**attempt)
        if response.status != 200:
            raise fault_of(response)
        document = answered(response)
        extra = header_of(response, "payment-response").get("extra")
        charged = amount_in(extra.get("chargedAmount")) if isinstance(extra, dict) else 0
        if charged > self.price:
            raise IntegrityError(
                f"The gateway says that it charged {charged} units; {self.price} were agreed to.",
                hint="Do not call it again.",
                code="payment.false_account",
            )
        return Answer(document["result"], document["evidence"], charged, opening=opening)


def call_free(
    chain: Chain,
    key: Account,
    http: Http,
    url: str,
    arguments: dict[str, Any],
    *,
    nonce: bytes = b"",
    private: bool | None = None,
) -> Answer:
    """One call for nothing, signed by its caller; a repeated ``nonce`` (32 bytes) is the same call.
    ``private`` as in `Sealer`.

    Raises
    ------
    PaymentError
        The service gives no free calls, or today's are used up.
    """
    described = http.request("GET", url)
    if described.status != 200:
        raise fault_of(described)
    terms = json_of(described).get("free")
    if not isinstance(terms, dict):
        raise PaymentError(
            "This service gives no free calls.", hint="Pay for the call.", code="payment.no_free_call"
        )
    body = orjson.dumps(arguments)
    header = sign_free_call(
        key,
        free_domain(chain.chain_id, chain.network.address("Works")),
        work_id=work_id_in(url),
        gateway=address(terms.get("gateway"), "gateway"),
        input_digest=hashlib.sha256(body).digest(),
        nonce=nonce or secrets.token_bytes(32),
        valid_until=int(time.time()) + FREE_S,
    )
    headers = {"Content-Type": "application/json", "koinon-free-call": header.decode()}
    response, opening = Sealer(chain, http, private).request(url, body, headers)
    if response.status != 200:
        raise fault_of(response)
    document = answered(response)
    return Answer(document["result"], document["evidence"], 0, opening=opening)
