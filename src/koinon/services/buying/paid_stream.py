# SPDX-License-Identifier: Apache-2.0
"""One stream that is being paid: read part by part, added up, and signed for as it goes.

Whenever what was signed covers less than half a step more, the next voucher is sent beside the stream; a
buyer that stops reading signs no more and owes what was sent. What the gateway says of units and charges is
added up here: one that counts wrongly gets no further signature.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import orjson

from koinon.errors import IntegrityError, KoinonError, PeerError
from koinon.services.buying.paying import PayingChannel
from koinon.services.buying.replies import amount_in, not_a_gateway
from koinon.services.sealing.client import SealedRequest, not_sealed

if TYPE_CHECKING:
    from koinon.services.buying.streaming import StreamingBuyer

LINE_LIMIT: Final = 4 << 20
"""Bytes of one part."""


@dataclass(frozen=True)
class Part:
    """One part of a stream: its JSON value, how many units it took, what they cost in the smallest unit."""

    item: Any
    units: int
    cost: int


@dataclass(frozen=True)
class End:
    """How a stream ended. ``reason`` as in `streams`; ``problem`` where it failed."""

    reason: str
    units: int
    charged: int
    evidence: dict[str, Any]
    problem: dict[str, Any] | None


class Stream:
    """One stream that is being paid. Iterate over its parts; ``end`` says how it ended, None before.

    IntegrityError where the gateway's sums are wrong; PeerError where it falls silent. Whatever happens,
    nothing beyond what was signed can be taken.
    """

    def __init__(
        self,
        buyer: StreamingBuyer,
        url: str,
        channel: PayingChannel,
        *,
        connection: http.client.HTTPConnection,
        answer: http.client.HTTPResponse,
        most: int | None,
        sealed: SealedRequest | None,
    ) -> None:
        self.end: End | None = None
        self.cost = 0
        self.units = 0
        self._buyer = buyer
        self._url = url
        self._channel = channel
        self._connection = connection
        self._answer = answer
        self._most = most
        self._sealed = sealed
        extra = channel.offer.accepted.get("extra")
        price = extra.get("unitPrice") if isinstance(extra, dict) else None
        self._unit_price = channel.offer.price if price is None else amount_in(price)
        self._covered = channel.offer.price
        self._total = channel.charged

    def __iter__(self) -> Iterator[Part]:
        for kind, data in self._events():
            if kind == "part":
                part = self._part(data)
                self._sign_on()
                yield part
            elif kind == "unpaid":
                self._sign_on(asked=True)
            elif kind == "end":
                self._ended(data)
                return
        raise PeerError("The stream broke off.", hint="What was sent is charged.", code="service.no_answer")

    def close(self) -> None:
        """Stop reading: nothing more is signed, and the gateway stops as it notices."""
        if self.end is None:
            self._channel.ended(self._total)
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _part(self, data: dict[str, Any]) -> Part:
        units, total = data.get("units"), amount_in(data.get("charged"))
        if not isinstance(units, int) or units < 0 or "item" not in data:
            raise not_a_gateway()
        cost = units * self._unit_price
        if self.cost + cost > self._covered or total < self._total:
            raise _false_account(self.cost + cost, self._covered)
        self.cost += cost
        self.units += units
        self._total = total
        return Part(data["item"], units, cost)

    def _sign_on(self, *, asked: bool = False) -> None:
        """The next voucher, where it is time for it and it may be signed."""
        step = self._channel.offer.price
        if not asked and self._covered - self.cost > step // 2:
            return
        if self._most is not None:
            step = min(step, self._most - self._covered)
        step = min(step, self._buyer._allowance.left(self._channel.offer.payee))
        if step > 0:
            self._buyer.raise_voucher(self._url, self._channel, step)
            self._covered += step

    def _ended(self, data: dict[str, Any]) -> None:
        charged, problem = amount_in(data.get("charged")), data.get("problem")
        evidence, reason = data.get("evidence"), data.get("reason")
        if not isinstance(evidence, dict) or not isinstance(reason, str):
            raise not_a_gateway()
        if charged != self.cost:
            raise _false_account(charged, self.cost)
        problem = problem if isinstance(problem, dict) else None
        self.end = End(reason, self.units, charged, evidence, problem)
        self._channel.ended(self._total)

    def _events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if self._sealed is None:
            yield from ((kind, _object(data)) for kind, data in self._read())
            return
        for number, (kind, data) in enumerate(self._read()):
            if kind != "sealed":
                raise not_sealed()
            head, _, inner = self._sealed.open_part(number, data).partition(b"\ndata: ")
            yield head.removeprefix(b"event: ").decode("ascii", "replace"), _object(inner)

    def _read(self) -> Iterator[tuple[str, bytes]]:
        kind, data = "", b""
        try:
            while line := self._answer.readline(LINE_LIMIT + 1):
                if len(line) > LINE_LIMIT:
                    raise not_a_gateway()
                if line.startswith(b"event: "):
                    kind = line[7:].strip().decode("ascii", "replace")
                elif line.startswith(b"data: "):
                    data = line[6:]
                elif line in (b"\n", b"\r\n") and data:
                    yield kind, data
                    kind, data = "", b""
        except (OSError, http.client.HTTPException) as error:
            raise no_answer(self._connection.host, error) from error


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise not_a_gateway()
    return found


def _false_account(said: int, counted: int) -> IntegrityError:
    return IntegrityError(
        f"The gateway says that it charged {said} units; {counted} is what it sent or was signed for.",
        hint="It can take no more than what was signed. Do not call it again.",
        code="payment.false_account",
    )


def no_answer(place: str, error: Exception) -> KoinonError:
    """The error for a place that does not answer."""
    return PeerError(
        f"{place} gave no answer ({type(error).__name__}).",
        hint="Check the address, or try again.",
        code="service.no_answer",
    )
