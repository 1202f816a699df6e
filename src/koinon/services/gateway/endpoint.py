# SPDX-License-Identifier: Apache-2.0
"""Sells an HTTP endpoint that stands already: JSON in by POST, JSON out, asked in the gateway's name.

The endpoint sees the caller's JSON and nothing of who pays. Redirects are not followed, an answer has a time
and a size limit, and only status 200 with JSON counts as an answer; for anything else nobody is charged.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from koinon.errors import BadInput, PeerError
from koinon.services.buying.transport import Http, Response
from koinon.services.gateway.metering import Measured
from koinon.services.selling.signature import InvalidInput, Signature

UNITS_HEADER: Final = "koinon-units"
ANSWER_LIMIT: Final = 4 << 20
"""Bytes of an answer."""

_HEADERS: Final = {"content-type": "application/json", "accept": "application/json"}


def check_address(url: str) -> str:
    """The endpoint's address; `BadInput` unless it is http or https, without credentials or fragment."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an IPv6 address without its end
        usable = False
    if not usable or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise BadInput(
            f"{url[:200]!r} is not the address of an endpoint.",
            hint="Give an http:// or https:// URL that takes JSON by POST.",
            code="service.endpoint",
        )
    if parts.username is not None or parts.password is not None:
        raise BadInput(
            "The endpoint's address carries a password, which everyone would see.",
            hint="Let the endpoint accept this machine without one.",
            code="service.endpoint",
        )
    return url


class Endpoint:
    """Asks one endpoint. As `executor.Runner`.

    Parameters
    ----------
    url : str
    name, description : str
        For buyers.
    example : dict
        A body that works, from which the input schema names the fields.
    count : int
        Calls at once.
    timeout_s : float
        Seconds one call may take.
    """

    def __init__(
        self,
        url: str,
        name: str,
        description: str,
        *,
        example: dict[str, Any],
        count: int = 8,
        timeout_s: float = 30.0,
    ) -> None:
        self._url = check_address(url)
        self._timeout_s = timeout_s
        self._http = Http(timeout_s, whole_s=timeout_s, answer_limit=ANSWER_LIMIT)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="endpoint")
        self.signature = Signature(name, description, _schema(example), {})

    async def call(self, body: bytes) -> bytes:
        return (await self.measure(body)).body

    async def measure(self, body: bytes) -> Measured:
        """As `call`, with the units that the answer's header Koinon-Units names, if it has one."""
        if not _is_object(body):
            raise InvalidInput([])
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await loop.run_in_executor(self._threads, self._ask, body)
        except TimeoutError:
            raise PeerError(
                f"The endpoint gave no answer within {self._timeout_s:g} s.",
                hint="Try again later; nothing was charged.",
                code="service.timeout",
            ) from None
        if response.status != 200:
            raise PeerError(
                f"The endpoint behind this service answered with HTTP status {response.status}.",
                hint="Nothing was charged; check the input, or tell the service's owner.",
                code="service.endpoint_failed",
            )
        try:
            orjson.loads(response.body)
        except ValueError:
            raise PeerError(
                "The endpoint behind this service answered with something that is not JSON.",
                hint="Nothing was charged; tell the service's owner.",
                code="service.endpoint_failed",
            ) from None
        said = response.headers.get(UNITS_HEADER, "")
        units = int(said) if said.isascii() and said.isdigit() and len(said) <= 10 else None
        return Measured(response.body, units)

    def _ask(self, body: bytes) -> Response:
        try:
            return self._http.request("POST", self._url, body, _HEADERS)
        except PeerError as fault:  # it names the address, which is nobody's business but the owner's
            long = fault.code == "service.bad_answer"
            raise PeerError(
                "The endpoint behind this service gave an answer that is too long."
                if long
                else "The endpoint behind this service gave no answer.",
                hint="Nothing was charged; try again later, or tell the service's owner.",
                code="service.endpoint_failed",
            ) from fault

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._http.close()


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(orjson.loads(body), dict)
    except ValueError:
        return False


def _schema(example: dict[str, Any]) -> dict[str, Any]:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    properties = {
        name: {"examples": [value], **({"type": kinds[type(value)]} if type(value) in kinds else {})}
        for name, value in example.items()
    }
    return {"type": "object", "properties": properties, "required": [], "additionalProperties": True}
