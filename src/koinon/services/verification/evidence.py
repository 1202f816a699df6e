# SPDX-License-Identifier: Apache-2.0
"""Evidence: an answer with its input and output and its place in a batch, as it goes over HTTP, and asking
those who must show it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

import orjson

from koinon.chain.eip712 import Domain
from koinon.errors import BadInput, IntegrityError, PeerError
from koinon.services.buying.transport import Http
from koinon.services.verification.contract import Batch, PromiseTerms
from koinon.services.verification.details import Details
from koinon.services.verification.record import MAX_DEPTH, SignedAnswer, check_membership

ANSWER_LIMIT: Final = 64 << 20
_WHOLE_S: Final = 20.0


@dataclass(frozen=True)
class Place:
    """Where an answer is: the batch's request, its position and the siblings of its leaf."""

    request: bytes
    position: int
    proof: tuple[bytes, ...]

    def check(self, batch: Batch, answer: bytes) -> None:
        """IntegrityError where the answer with this digest is not there."""
        if not self.position < batch.count:
            raise IntegrityError("The batch has no such answer.", code="verification.membership")
        check_membership(batch.root, self.position, answer, self.proof)

    def to_json(self) -> dict[str, Any]:
        return {
            "request": "0x" + self.request.hex(),
            "position": self.position,
            "proof": ["0x" + sibling.hex() for sibling in self.proof],
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read what `to_json` wrote; BadInput (``verification.evidence``) for anything else."""
        try:
            proof = tuple(_digest(sibling) for sibling in data["proof"][: MAX_DEPTH + 1])
            return cls(_digest(data["request"]), _position(data["position"]), proof)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise _not_evidence() from error


@dataclass(frozen=True)
class Evidence:
    """All that is needed to judge an answer. ``place`` is None while it is in no batch; ``details`` and
    ``file`` may be left out where they are asked for elsewhere."""

    answer: SignedAnswer
    body: bytes
    result: bytes
    place: Place | None = None
    details: bytes = b""
    file: bytes = b""

    def check(self, domain: Domain, terms: PromiseTerms, bond_id: int) -> None:
        """IntegrityError where it is not an answer of this promise, signed, with this input and output."""
        if (self.answer.work_id, self.answer.bond_id) != (terms.work_id, bond_id):
            raise IntegrityError("The answer is another promise's.", code="verification.promise")
        self.answer.check(domain, terms.signer, self.body, self.result)

    def to_json(self) -> dict[str, Any]:
        return {
            "answer": self.answer.to_json(),
            "input": base64.b64encode(self.body).decode(),
            "output": base64.b64encode(self.result).decode(),
            "place": None if self.place is None else self.place.to_json(),
            "details": base64.b64encode(self.details).decode(),
            "file": base64.b64encode(self.file).decode(),
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read what `to_json` wrote; BadInput (``verification.evidence``) for anything else."""
        try:
            return cls(
                SignedAnswer.from_json(data["answer"]),
                _bytes(data["input"]),
                _bytes(data["output"]),
                None if data["place"] is None else Place.from_json(data["place"]),
                _bytes(data["details"]),
                _bytes(data["file"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError, BadInput) as error:
            raise _not_evidence() from error


class Asker:
    """Asks providers and challengers for what they must show; whatever they say instead is a PeerError.

    Parameters
    ----------
    whole_s : float
        For one request from its beginning to its end.
    """

    def __init__(self, whole_s: float = _WHOLE_S) -> None:
        self._http = Http(whole_s, whole_s=whole_s, answer_limit=ANSWER_LIMIT)

    def close(self) -> None:
        self._http.close()

    def details(self, url: str, digest: bytes) -> Details:
        """The document of a promise; IntegrityError where it is another."""
        details = Details.from_bytes(self._get(f"{url}/details/{digest.hex()}"))
        if details.digest != digest:
            raise IntegrityError("These details are not the promise's.", code="verification.details")
        return details

    def file(self, url: str, details: Details) -> bytes:
        """What runs; whoever runs it checks its digest."""
        return self._get(f"{url}/files/{details.runtime.file}")

    def evidence(self, url: str, request: bytes, position: int) -> Evidence:
        """One answer of a batch."""
        return Evidence.from_json(self._json(f"{url}/evidence/{request.hex()}/{position}"))

    def evidence_at(self, uri: str) -> Evidence:
        """What a challenger shows."""
        return Evidence.from_json(self._json(uri))

    def place(self, url: str, answer: bytes) -> Place:
        """Where the answer with this digest is."""
        return Place.from_json(self._json(f"{url}/answers/{answer.hex()}"))

    def _json(self, url: str) -> Any:
        try:
            return orjson.loads(self._get(url))
        except ValueError:
            raise PeerError("What was shown is not JSON.", code="verification.not_shown") from None

    def _get(self, url: str) -> bytes:
        if urlsplit(url).scheme not in ("http", "https"):
            raise PeerError("There is no address to ask.", code="verification.not_shown")
        try:
            response = self._http.request("GET", url)
        except BadInput as error:
            raise PeerError("There is no address to ask.", code="verification.not_shown") from error
        if response.status != 200:
            raise PeerError(
                f"It was not shown: HTTP status {response.status}.", code="verification.not_shown"
            )
        return response.body


def _digest(text: Any) -> bytes:
    found = bytes.fromhex(text.removeprefix("0x"))
    if len(found) != 32:
        raise ValueError("a digest has 32 bytes")
    return found


def _position(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**96:
        raise ValueError("a position is a whole number")
    return value


def _bytes(text: Any) -> bytes:
    return base64.b64decode(text, validate=True)


def _not_evidence() -> BadInput:
    return BadInput("This is not the evidence of an answer.", code="verification.evidence")
