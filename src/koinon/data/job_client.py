# SPDX-License-Identifier: Apache-2.0
"""Talking to a dataset's node: its terms, a quote, handing a job in, asking for it, fetching the result."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from typing import Any, Final

import orjson

from koinon.data.jobs import Asked, Bundle, JobRequest, Quote
from koinon.data.line import Line
from koinon.errors import BadInput, KeyFault, KoinonError, NotFound, PaymentError, PeerError

RESULT_LIMIT: Final = 64 << 20
STAGES: Final = ("waiting", "running", "ended")
LOOK_S: Final = 10.0
"""For asking how a job stands: pages wait for it."""
_FAULTS: Final[dict[int, type[KoinonError]]] = {
    400: BadInput,
    402: PaymentError,
    403: KeyFault,
    404: NotFound,
    413: BadInput,
    422: BadInput,
}


@dataclass(frozen=True)
class JobStatus:
    """What the node says of a job: ``stage`` waiting, running or ended; ``ended`` how; ``why`` it was refused
    before it ran; times in Unix seconds."""

    job_id: int
    work_id: int
    stage: str
    ended: str
    why: str
    accepted_at: float
    started_at: float
    waiting: int


class JobClient:
    """One node, as a buyer reaches it.

    Parameters
    ----------
    url : str
        Where it answers, http or https.
    timeout_s : float
        For a whole exchange, however slowly the other side goes on.
    tls : ssl.SSLContext, optional
        For https; the system's certificates by default.

    Every method raises PeerError where the node does not answer or makes no sense, and what the node says
    (BadInput, NotFound, PaymentError, KeyFault) with the node's own words where it refuses.
    """

    def __init__(self, url: str, *, timeout_s: float = 60.0, tls: ssl.SSLContext | None = None) -> None:
        try:
            self._line = Line(url, tls)
        except ValueError:
            raise BadInput(
                f"{url[:80]!r} is not the address of a dataset's node.",
                hint="It starts with https:// or http://.",
                code="data.node_url",
            ) from None
        self.url, self._timeout_s = url, timeout_s

    def about(self) -> dict[str, Any]:
        """Account, chain and contracts of the node, its datasets, and why it does not compute if it can't."""
        return self._exchange("GET", "/compute")

    def check(self, asked: Asked) -> Quote:
        """What a job would cost and spend; raises the reason where the node would not take it."""
        told = self._exchange(
            "POST",
            "/checks",
            {
                "work_id": str(asked.work_id),
                "buyer": asked.buyer,
                "program": asked.program.to_fields(),
                "schema": asked.schema_text,
                "blocks": asked.blocks,
                "max_seconds": asked.max_seconds,
            },
        )
        try:
            return Quote(
                int(told["price_per_second"]),
                int(told["max_seconds"]),
                float(told["epsilon"]),
                int(told["deadline_s"]),
                int(told["waiting"]),
                told["private"] is True,
                told["granted"] is True,
                {_words(name, 80): float(bound) for name, bound in told["noise"].items()},
            )
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            raise self._nonsense() from None

    def submit(self, request: JobRequest, schema_text: str, program: Bundle) -> JobStatus:
        """Hand a job in; again is harmless."""
        fields = {"request": request.to_fields(), "schema": schema_text, "program": program.to_fields()}
        return self._status(self._exchange("POST", "/jobs", fields))

    def status(self, job_id: int) -> JobStatus:
        """Where a job stands."""
        return self._status(self._exchange("GET", f"/jobs/{job_id}"))

    def result(self, job_id: int) -> bytes:
        """The sealed result."""
        status, content = self._send("GET", f"/jobs/{job_id}/result", None)
        if status != 200:
            raise self._refused(status, content)
        return content

    def _status(self, told: dict[str, Any]) -> JobStatus:
        try:
            if told["stage"] not in STAGES:
                raise self._nonsense()
            return JobStatus(
                int(told["job_id"]),
                int(told["work_id"]),
                str(told["stage"]),
                _words(told["ended"], 40),
                _words(told["why"], 1000),
                float(told["accepted_at"]),
                float(told["started_at"]),
                int(told["waiting"]),
            )
        except (KeyError, OverflowError, TypeError, ValueError):
            raise self._nonsense() from None

    def _exchange(self, method: str, path: str, fields: dict[str, Any] | None = None) -> dict[str, Any]:
        status, content = self._send(method, path, fields)
        if status != 200:
            raise self._refused(status, content)
        try:
            answer = orjson.loads(content)
        except ValueError:
            raise self._nonsense() from None
        if not isinstance(answer, dict):
            raise self._nonsense()
        return answer

    def _send(self, method: str, path: str, fields: dict[str, Any] | None) -> tuple[int, bytes]:
        looks = method == "GET" and not path.endswith("/result")
        timeout_s = min(self._timeout_s, LOOK_S) if looks else self._timeout_s
        try:
            return self._line.send(method, path, fields, timeout_s=timeout_s, limit=RESULT_LIMIT)
        except OverflowError:
            raise self._nonsense() from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise PeerError(
                f"The dataset's node at {self.url} gave no answer ({type(error).__name__}).",
                hint="Try again later; money that is locked comes back after the deadline.",
                code="data.node_silent",
            ) from error

    def _refused(self, status: int, content: bytes) -> KoinonError:
        try:
            told = orjson.loads(content)
        except ValueError:
            return self._nonsense()
        if not isinstance(told, dict):
            return self._nonsense()
        title, hint = _words(told.get("title", f"status {status}"), 500), _words(told.get("detail", ""), 500)
        code = _words(told.get("code", ""), 60) or "data.node_refused"
        return _FAULTS.get(status, PeerError)(title, hint=hint, code=code)

    def _nonsense(self) -> PeerError:
        return PeerError(
            f"The answer of the dataset's node at {self.url} makes no sense.",
            hint="Ask its owner.",
            code="data.node_answer",
        )


def _words(told: Any, most: int) -> str:
    """What a node says, for a terminal or a page: no control characters, and not too long."""
    return "".join(each if each.isprintable() else " " for each in str(told)[:most])
