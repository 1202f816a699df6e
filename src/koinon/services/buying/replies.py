# SPDX-License-Identifier: Apache-2.0
"""What a gateway answers to a buyer, read as something that may be wrong or a lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from koinon.errors import BadInput, KoinonError, NotFound, PaymentError, PeerError
from koinon.services.buying.transport import Response
from koinon.services.gateway.x402 import decode
from koinon.services.sealing.calls import CallOpening

_UNEXPLAINED: Final = "service.status"


@dataclass(frozen=True)
class Answer:
    """What a paid call returned.

    ``evidence`` as the gateway states it (Work, input digest, card), ``charged`` in the coin's smallest unit,
    ``transaction`` the hash of the transaction this call caused, if any; ``opening`` what proves a sealed
    call to others, should it come to a dispute.
    """

    result: Any
    evidence: dict[str, Any]
    charged: int
    transaction: str = ""
    opening: CallOpening | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """For a JSON document; without the opening, which is for disputes."""
        return {
            "result": self.result,
            "evidence": self.evidence,
            "charged": self.charged,
            "transaction": self.transaction,
            "sealed": self.opening is not None,
        }


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


def header_of(response: Response, name: str) -> dict[str, Any]:
    """The JSON object in a header, empty where there is none; PeerError where it is anything else."""
    header = response.headers.get(name, "")
    if not header:
        return {}
    try:
        found = decode(header.encode())
    except BadInput:
        found = None
    if not isinstance(found, dict):
        raise not_a_gateway()
    return found


def amount_in(value: Any) -> int:
    """An amount that a gateway states as a decimal string; PeerError where it is none."""
    text = value if isinstance(value, str) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= 39):
        raise not_a_gateway()
    return int(text)


def json_of(response: Response) -> Any:
    """The body's JSON; PeerError where it is none."""
    try:
        return orjson.loads(response.body)
    except ValueError:
        raise PeerError("The service's answer is not JSON.", code="service.bad_answer") from None


def answered(response: Response) -> dict[str, Any]:
    """The document of a paid answer: ``result`` and ``evidence``."""
    document = json_of(response)
    if not isinstance(document, dict) or not {"result", "evidence"} <= document.keys():
        raise not_a_gateway()
    return document


def reason_of(response: Response) -> str:
    """x402's word for why a payment was refused; empty where the gateway says none."""
    return str(header_of(response, "payment-required").get("error", ""))


def not_a_gateway() -> PeerError:
    """The error for an answer that no gateway gives."""
    return PeerError("The service's answer is not what a gateway says.", code="service.bad_answer")


def is_refusal(response: Response) -> bool:
    """Whether a gateway says itself that the call failed. What stands in between may fail too, and knows
    nothing of what became of the call."""
    return response.status != 200 and fault_of(response).code != _UNEXPLAINED


def fault_of(response: Response) -> KoinonError:
    """The typed error for a problem answer."""
    try:
        problem = orjson.loads(response.body)
        title, hint, code = str(problem["title"]), str(problem["detail"]), str(problem["code"])
    except (ValueError, KeyError, TypeError):
        title, hint, code = f"The service answered with HTTP status {response.status}.", "", _UNEXPLAINED
    kind: type[KoinonError] = PeerError
    if response.status == 402:
        kind = PaymentError
    elif response.status == 404:
        kind = NotFound
    elif 400 <= response.status < 500:
        kind = BadInput
    return kind(title, hint=hint, code=code)
