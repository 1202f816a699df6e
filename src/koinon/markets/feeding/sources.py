# SPDX-License-Identifier: Apache-2.0
"""Where a feeder's price comes from: a file, a URL, or a service that is paid for each answer.

A source is a callable that gives the price now, in whole quote tokens for one whole base token. What it reads
is a number, or JSON in which ``field`` names one: ``price``, or ``data.0.last`` for one that lies deeper.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from koinon.errors import BadInput, PeerError

Source = Callable[[], Decimal]

MOST_BYTES: Final = 1 << 20
TIMEOUT_S: Final = 10.0


class Answered(Protocol):
    """What a paid call returned; `koinon.services.buying.replies.Answer` is one."""

    @property
    def result(self) -> Any: ...


class Buys(Protocol):
    """Who pays for calls; `koinon.services.buying.client.Buyer` is one."""

    def call(self, url: str, arguments: dict[str, Any], *, number: str | None = None) -> Answered: ...


def of_file(path: Path, field: str = "") -> Source:
    """A file that something else keeps up to date; read anew each time. BadInput while it tells no price."""

    def ask() -> Decimal:
        try:
            with path.open("rb") as file:
                content = file.read(MOST_BYTES)
        except OSError as fault:
            raise BadInput(
                f"{path} cannot be read ({fault.strerror or fault}).", code="markets.price_source"
            ) from None
        return read_price(content, field, str(path))

    return ask


def of_url(url: str, field: str = "", *, timeout_s: float = TIMEOUT_S) -> Source:
    """What a web address answers to GET; PeerError where it does not, BadInput where that is no price."""
    if not url.lower().startswith(("http://", "https://")):
        raise BadInput(f"{url} is no web address.", hint="Begin with https://", code="markets.price_source")
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310  (checked above)

    def ask() -> Decimal:
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310  (checked above)
                content = answer.read(MOST_BYTES)
        except (OSError, ValueError) as fault:
            reason = getattr(fault, "reason", None) or fault
            raise PeerError(f"{url} gave no price: {reason}.", code="markets.price_source") from None
        return read_price(content, field, url)

    return ask


def of_service(buyer: Buys, url: str, arguments: Mapping[str, Any], field: str = "") -> Source:
    """A service Work, paid for each answer; errors as in `Buyer.call`."""

    def ask() -> Decimal:
        return price_in(buyer.call(url, dict(arguments)).result, field, url)

    return ask


def read_price(content: bytes, field: str, where: str) -> Decimal:
    """The price in what a file or a web address says; BadInput where there is none."""
    try:
        orjson.loads(content)  # refuses what is nested so deeply that the next line could end the process
        document = json.loads(content, parse_float=Decimal)
    except ValueError:
        raise _none(where, field) from None
    return price_in(document, field, where)


def price_in(document: Any, field: str, where: str) -> Decimal:
    """The price in a JSON document, exactly as it is written there; BadInput where there is none."""
    found = document
    for name in field.split(".") if field else ():
        try:
            found = found[int(name)] if isinstance(found, list) else found[name]
        except (KeyError, IndexError, TypeError, ValueError):
            raise _none(where, field) from None
    if isinstance(found, dict) and not field:
        found = found.get("price")
    if isinstance(found, bool) or not isinstance(found, int | float | str | Decimal):
        raise _none(where, field)
    try:
        price = Decimal(str(found))
    except InvalidOperation:
        raise _none(where, field) from None
    if not price.is_finite() or price <= 0:
        raise _none(where, field)
    return price


def _none(where: str, field: str) -> BadInput:
    return BadInput(
        f"{where} tells no price above 0" + (f" at {field!r}." if field else "."),
        hint='It must hold a number, or JSON like {"price": "2000.5"}; name another field by --field.',
        code="markets.price_source",
    )
