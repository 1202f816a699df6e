# SPDX-License-Identifier: Apache-2.0
"""An owner's line to the leader: HTTPS to a certificate whose fingerprint the opener's chain key signed."""

from __future__ import annotations

import hashlib
import http.client
import ssl
from types import TracebackType
from typing import Final, Protocol, Self
from urllib.parse import urlsplit

import orjson

from koinon.chain.eip712 import Domain
from koinon.errors import BadInput, IntegrityError, PeerError
from koinon.learning.certificates import pinning_context
from koinon.learning.messages import Offer
from koinon.learning.owner_frames import read_offer
from koinon.learning.recipe import Recipe

MAXIMUM_OFFER = 1 << 21


SHORTEST_PATIENCE_S: Final = 600.0
STEPS_OF_A_SUM: Final = 6
"""A private round's five phases, and the one in which a sum is given up."""


def patience_s(recipe: Recipe) -> float:
    """How long a leader may take to answer, in seconds: a deadline for each step of a round, and one more."""
    steps = STEPS_OF_A_SUM if recipe.privacy.private_sum else 1
    return max(SHORTEST_PATIENCE_S, (steps + 1) * recipe.round_deadline_s)


class Transport(Protocol):
    """How an owner reaches whoever aggregates."""

    def offer(self) -> tuple[Offer, Recipe]:
        """The signed invitation and its recipe."""

    def send(self, path: str, frame: bytes, *, answer_limit: int) -> bytes:
        """Hand over a message and wait for the answer."""

    def close(self) -> None:
        """Hang up."""


class HttpsTransport:
    """Keeps one TLS connection; opens it again, with the same certificate only, when it broke.

    Parameters
    ----------
    url : str
        ``https://host:port``.
    opener : str
        The chain address that must have signed the offer.
    timeout_s : float, optional
        The longest wait for an answer. Answers wait for the slowest owner, so by default it is as long as a
        round of the offered recipe can take, and ten minutes at least.
    """

    def __init__(
        self, url: str, opener: str, domain: Domain, run_id: int, *, timeout_s: float | None = None
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or not parts.port:
            raise BadInput(
                f"{url!r} is no address of a leader.", hint="https://host:port", code="learning.url"
            )
        self._host, self._port = parts.hostname, parts.port
        self._opener, self._domain, self._run_id = opener, domain, run_id
        self._patient = timeout_s is None
        self._timeout_s = SHORTEST_PATIENCE_S if timeout_s is None else timeout_s
        self._connection: http.client.HTTPSConnection | None = None
        self._fingerprint: bytes | None = None
        self.invitation = b""
        """The frame of the offer, once it was fetched and checked."""

    def offer(self) -> tuple[Offer, Recipe]:
        """Fetch the offer and check opener, run, recipe digest and that this very connection ends at its
        certificate.

        Raises
        ------
        IntegrityError
            Signed by another, for another certificate, or with another recipe than it says.
        PeerError
            Nobody answers.
        """
        connection = self._connect()
        try:
            frame = self._exchange(connection, "GET", "/offer", b"", MAXIMUM_OFFER)
        except _Broken as error:
            self.close()
            raise self._gone(error) from error
        offer, recipe = read_offer(frame, self._domain, self._opener)
        if offer.run_id != self._run_id:
            raise BadInput(
                f"The leader offers run {offer.run_id}, not {self._run_id}.", code="learning.other_run"
            )
        if offer.certificate != _fingerprint(connection):
            raise IntegrityError(
                "Somebody stands between you and the leader: the opener signed another certificate.",
                hint="Do not send anything. Ask the opener for the right address.",
                code="learning.certificate",
            )
        self._fingerprint, self.invitation = offer.certificate, frame
        if self._patient:
            self._timeout_s = patience_s(recipe)
            if connection.sock is not None:
                connection.sock.settimeout(self._timeout_s)
        return offer, recipe

    def send(self, path: str, frame: bytes, *, answer_limit: int) -> bytes:
        """POST a message; once more on a fresh connection when the old one had gone.

        Raises
        ------
        PeerError
            The leader refuses (with its code and words) or does not answer.
        """
        if self._fingerprint is None:
            raise BadInput("Fetch the offer before sending anything.", code="learning.no_offer")
        try:
            return self._exchange(self._pinned(), "POST", path, frame, answer_limit)
        except _Broken:
            self.close()
            try:
                return self._exchange(self._pinned(), "POST", path, frame, answer_limit)
            except _Broken as error:
                raise self._gone(error) from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connect(self) -> http.client.HTTPSConnection:
        if self._connection is None:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=pinning_context()
            )
            try:
                connection.connect()
            except (OSError, ssl.SSLError) as error:
                connection.close()
                raise self._gone(error) from error
            self._connection = connection
        return self._connection

    def _pinned(self) -> http.client.HTTPSConnection:
        connection = self._connect()
        if _fingerprint(connection) != self._fingerprint:
            self.close()
            raise IntegrityError(
                "The leader's certificate has changed during the run.",
                hint="Do not send anything. Ask the opener what happened.",
                code="learning.certificate",
            )
        return connection

    def _exchange(
        self, connection: http.client.HTTPSConnection, method: str, path: str, frame: bytes, limit: int
    ) -> bytes:
        try:
            connection.request(method, path, body=frame or None)
            response = connection.getresponse()
            body = response.read(limit + 1)
        except TimeoutError as error:
            self.close()
            raise PeerError(
                f"The leader at {self._host}:{self._port} did not answer within {self._timeout_s:g} s.",
                hint="Is the leader still running? Started again, the owner goes on in the same run.",
                code="learning.leader_silent",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise _Broken(str(error)) from error
        if len(body) > limit:
            self.close()
            raise IntegrityError("The leader's answer is too large.", code="learning.message_too_large")
        if response.status != 200:
            raise _refusal(body)
        return body

    def _gone(self, error: Exception) -> PeerError:
        return PeerError(
            f"The leader at {self._host}:{self._port} cannot be reached ({error}).",
            hint="Is it running, and is the address right?",
            code="learning.leader_gone",
        )


class _Broken(Exception):
    """The connection ended before the answer."""


def _fingerprint(connection: http.client.HTTPSConnection) -> bytes:
    line = connection.sock
    certificate = line.getpeercert(binary_form=True) if isinstance(line, ssl.SSLSocket) else None
    return hashlib.sha256(certificate or b"").digest()


def _refusal(body: bytes) -> PeerError:
    try:
        problem = orjson.loads(body)
        return PeerError(str(problem["title"]), hint=str(problem["detail"]), code=str(problem["code"]))
    except (ValueError, KeyError, TypeError):
        return PeerError("The leader refused without a reason.", code="learning.refused")
