# SPDX-License-Identifier: Apache-2.0
"""The caller's side of sealed calls: whom to seal to is read from the chain, never from who answers."""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from koinon.chain.address import checksum
from koinon.chain.eip712 import Domain
from koinon.chain.handle import Chain
from koinon.errors import BadInput, IntegrityError, PeerError
from koinon.services.buying.offers import work_id_in
from koinon.services.buying.replies import fault_of, json_of
from koinon.services.buying.transport import Http, Response
from koinon.services.sealing.calls import (
    KEY_BYTES,
    MEDIA_TYPE,
    METADATA_KEY,
    SALT_BYTES,
    CallOpening,
    SealingKey,
    answer_context,
    part_context,
    request_context,
    seal,
    sealing_domain,
    unseal,
)
from koinon.works import wire

BOUND: Final = ("payment-signature", "koinon-prepaid", "koinon-free-call", "idempotency-key")
SKEW_S: Final = 300
"""How far this machine's clock and the gateway's may be apart."""

MARGIN_S: Final = 60


@dataclass(frozen=True)
class SealTo:
    """Whom a Work's calls are sealed to, as the chain says: an account, and the domain it signs in."""

    account: str
    domain: Domain


@dataclass(frozen=True)
class SealedRequest:
    """A call that is sealed, and what opens its answer."""

    body: bytes
    headers: dict[str, str]
    _work_id: int
    _input: bytes = field(repr=False)
    _salt: bytes = field(repr=False)
    _private: X25519PrivateKey = field(repr=False)
    _to: SealTo

    @classmethod
    def make(
        cls, url: str, body: bytes, headers: Mapping[str, str], key: SealingKey, to: SealTo
    ) -> SealedRequest:
        """Sealed to ``key``, for the payment that ``headers`` carry and no other."""
        work_id, salt = work_id_in(url), secrets.token_bytes(SALT_BYTES)
        private = X25519PrivateKey.generate()
        head = {"answerKey": private.public_key().public_bytes_raw().hex(), "salt": salt.hex()}
        said = {name.lower(): value for name, value in headers.items()}
        bound = request_context(work_id, *(said.get(name, "").encode() for name in BOUND))
        kept = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        sealed = key.key + seal(key.key, head, body, bound)
        return cls(sealed, {**kept, "Content-Type": MEDIA_TYPE}, work_id, body, salt, private, to)

    def open(self, outer: Response) -> tuple[Response, CallOpening | None]:
        """A whole answer, opened, and what proves it. IntegrityError where it is not this call's."""
        if outer.headers.get("content-type") != MEDIA_TYPE:
            return _in_the_open(outer), None
        inner, content = unseal(self._private, outer.body, answer_context(self.body))
        status, answered = inner.get("status"), inner.get("headers")
        if not isinstance(status, int) or not isinstance(answered, dict):
            raise not_sealed()
        response = Response(status, {str(name): str(value) for name, value in answered.items()}, content)
        if status != 200:
            return response, None
        try:
            receipt = wire.hex_bytes(inner.get("receipt"), "receipt", 65)
        except wire.MalformedPayment:
            raise not_sealed() from None
        opening = CallOpening(self._work_id, self._salt, self._input, content, receipt)
        opening.check(self._to.domain, self._to.account)
        return response, opening

    def open_part(self, number: int, sealed: bytes) -> bytes:
        """The event that was sealed at this place of a stream, from 0; IntegrityError as in `open`."""
        try:
            content = base64.b64decode(sealed.strip(), validate=True)
        except ValueError:
            raise not_sealed() from None
        return unseal(self._private, content, part_context(self.body, number))[1]


class SealedPosts:
    """Sends sealed calls to gateways, whose keys it asks for and checks.

    Parameters
    ----------
    http : Http
    clock : callable, optional
        Unix seconds.
    """

    def __init__(self, http: Http, clock: Callable[[], float] = time.time) -> None:
        self._http = http
        self._clock = clock
        self._keys: dict[str, SealingKey] = {}
        self._lock = threading.Lock()

    def request(
        self, url: str, body: bytes, headers: Mapping[str, str], to: SealTo
    ) -> tuple[Response, CallOpening | None]:
        """POST a call; its answer, opened, and what proves it. Errors as in `Sealer.request`."""
        asked = self.seal(url, body, headers, to)
        response, opening = asked.open(self._http.request("POST", url, asked.body, asked.headers))
        if response.status == 409 and opening is None:  # the key was changed meanwhile
            self.forget(url)
            again = self.seal(url, body, headers, to)
            if again.body[:KEY_BYTES] != asked.body[:KEY_BYTES]:
                return again.open(self._http.request("POST", url, again.body, again.headers))
        return response, opening

    def seal(self, url: str, body: bytes, headers: Mapping[str, str], to: SealTo) -> SealedRequest:
        """A call, sealed to the gateway's key of the day."""
        return SealedRequest.make(url, body, headers, self._key(url, to), to)

    def forget(self, url: str) -> None:
        """Ask for the key again next time."""
        with self._lock:
            self._keys.pop(url, None)

    def _key(self, url: str, to: SealTo) -> SealingKey:
        with self._lock:
            known = self._keys.get(url)
            if known is None or self._clock() >= known.not_after - MARGIN_S:
                known = self._keys[url] = self._find(url, to)
            return known

    def _find(self, url: str, to: SealTo) -> SealingKey:
        response = self._http.request("GET", url.rstrip("/").rsplit("/", 2)[0] + "/sealing")
        if response.status != 200:
            raise fault_of(response)
        document = json_of(response)
        try:
            key = SealingKey.from_json(
                {name: value for name, value in document.items() if name != "account"}
                if isinstance(document, dict)
                else None
            )
        except wire.MalformedPayment:
            raise PeerError(
                "The gateway says no key to seal to.",
                hint="Nothing was sent. Its Work demands sealed calls; tell its owner.",
                code="service.sealing_key",
            ) from None
        key.check(to.domain, to.account, int(self._clock()), SKEW_S)
        return key


class Sealer:
    """Seals the calls that must be, and opens their answers.

    Parameters
    ----------
    chain : Chain
    http : Http
    private : bool, optional
        True seals every call and refuses Works that name nobody to seal to; False seals none. By default
        calls of Works that name somebody on chain are sealed, and those of others are not. Nothing that a
        gateway, or somebody in between, answers turns sealing off.
    clock : callable, optional
        Unix seconds.
    """

    def __init__(
        self,
        chain: Chain,
        http: Http,
        private: bool | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._chain = chain
        self._http = http
        self._private = private
        self._domain = sealing_domain(chain)
        self._named: dict[int, SealTo | None] = {}
        self.posts = SealedPosts(http, clock)

    def account_of(self, work_id: int) -> str | None:
        """Who a Work's owner named, on chain, to be sealed to; None where nobody."""
        value = self._chain.contract("Works").call("getMetadata", work_id, METADATA_KEY)
        if len(value) != 20 or not any(value):
            return None
        return checksum("0x" + bytes(value).hex())

    def reader(self, url: str) -> SealTo | None:
        """Whom calls of a service must be sealed to; None where they go in the open. BadInput where they must
        be sealed and there is nobody."""
        if self._private is False:
            return None
        work_id = work_id_in(url)
        if work_id not in self._named:
            account = self.account_of(work_id)
            self._named[work_id] = None if account is None else SealTo(account, self._domain)
        found = self._named[work_id]
        if found is None and self._private:
            raise BadInput(
                "This Work names nobody to seal a call to.",
                hint="Its owner does that with `koinon service seal`; or call it without sealing.",
                code="service.not_sealed",
            )
        return found

    def request(
        self, url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[Response, CallOpening | None]:
        """POST a call, sealed where it must be; its answer, opened, and what proves it.

        Raises
        ------
        IntegrityError
            The key is not the named account's, or an answer is not the sealed answer to this call.
        PeerError
            No answer came.
        """
        to = self.reader(url)
        if to is None:
            return self._http.request("POST", url, body, headers), None
        return self.posts.request(url, body, headers, to)


def _in_the_open(response: Response) -> Response:
    """An answer that is not sealed: a refusal may be, for it says nothing of the input. What a server in
    between says went wrong says nothing of what became of the call."""
    if response.status == 200:
        raise not_sealed()
    return Response(response.status, {}, b"") if response.status >= 500 else response


def not_sealed() -> IntegrityError:
    """The error for an answer in the open to a call that was sealed."""
    return IntegrityError(
        "The answer to a sealed call is not sealed.",
        hint="Somebody in between may have made it up. It was not believed.",
        code="service.sealed",
    )
