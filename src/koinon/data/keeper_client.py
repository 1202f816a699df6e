# SPDX-License-Identifier: Apache-2.0
"""Talking to keepers: leaving a share with one, asking one for it."""

from __future__ import annotations

import http.client
import ssl
import time
from typing import Any, Final

import orjson

from koinon.chain.account import Account
from koinon.chain.eip712 import Domain
from koinon.data.keepers import Release, ShareRequest
from koinon.data.line import Line
from koinon.data.sealed import Keeper, SealedContent, read_share, share_context
from koinon.data.sealed_box import BoxKey
from koinon.errors import BadInput, IntegrityError, KoinonError, PaymentError, PeerError
from koinon.shamir import Share

ANSWER_LIMIT: Final = 64 << 10
REQUEST_S: Final = 300
"""For how long a request is good."""


class KeeperClient:
    """One keeper, as an owner or a buyer reaches it.

    Parameters
    ----------
    url : str
        Where it answers, http or https.
    timeout_s : float
        For a whole exchange, however slowly the other side goes on.
    tls : ssl.SSLContext, optional
        For https; the system's certificates by default.
    """

    def __init__(self, url: str, *, timeout_s: float = 10.0, tls: ssl.SSLContext | None = None) -> None:
        try:
            self._line = Line(url, tls)
        except ValueError:
            raise BadInput(
                f"{url[:80]!r} is not the address of a keeper.",
                hint="It starts with https:// or http://.",
                code="data.keeper_url",
            ) from None
        self.url, self._timeout_s = url, timeout_s

    def keeper(self) -> Keeper:
        """Who keeps here, as it says itself."""
        fields = self._exchange("GET", "/keeper", None)
        try:
            return Keeper(fields["account"], bytes.fromhex(fields["sealing_key"]), self.url)
        except (KeyError, TypeError, ValueError):
            raise self._nonsense() from None

    def deposit(self, described: SealedContent, sealed_share: bytes) -> None:
        """Leave the keeper its share; doing it again changes nothing. Errors as the keeper says."""
        content = orjson.loads(described.to_json())
        self._exchange("POST", "/deposits", {"content": content, "share": sealed_share.hex()})

    def ask(
        self,
        grantee: Account,
        described: SealedContent,
        keeper: Keeper,
        *,
        content_id: bytes,
        domain: Domain,
        box: BoxKey,
    ) -> Share:
        """The keeper's share, checked against the owner's commitment.

        Raises
        ------
        PaymentError
            The keeper sees no running grant.
        IntegrityError
            The keeper's answer is not signed by it, does not open, or is not its share: it lies.
        PeerError
            No answer, no sense in it, or a refusal.
        """
        request = ShareRequest.sign(
            grantee,
            domain,
            keeper=keeper.account,
            work_id=described.work_id,
            content_id=content_id,
            sealing_key=box.public,
            deadline=int(time.time()) + REQUEST_S,
        )
        release = self.release(request, domain)
        context = share_context(content_id, grantee.address)
        share = read_share(box.open(release.sealed_share, context), described)
        if described.keepers[share.index - 1] != keeper:
            raise IntegrityError("The keeper gave another keeper's share.", code="data.other_share")
        return share

    def release(self, request: ShareRequest, domain: Domain) -> Release:
        """What the keeper answers to a signed request, with its signature; errors as in `ask`."""
        fields = self._exchange("POST", "/shares", request.to_fields())
        try:
            release = Release(
                request, bytes.fromhex(fields["sealed_share"]), bytes.fromhex(fields["signature"])
            )
        except (KeyError, TypeError, ValueError):
            raise self._nonsense() from None
        release.check(domain)
        return release

    def _exchange(self, method: str, path: str, fields: dict[str, Any] | None) -> Any:
        status, body = self._send(method, path, fields)
        try:
            answer = orjson.loads(body)
        except ValueError:
            raise self._nonsense() from None
        if status == 200 and isinstance(answer, dict):
            return answer
        raise self._refused(status, answer)

    def _send(self, method: str, path: str, fields: dict[str, Any] | None) -> tuple[int, bytes]:
        try:
            return self._line.send(method, path, fields, timeout_s=self._timeout_s, limit=ANSWER_LIMIT)
        except OverflowError:
            raise self._nonsense() from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise PeerError(
                f"The keeper at {self.url} gave no answer ({type(error).__name__}).",
                hint="Ask another keeper, or try again.",
                code="data.keeper_silent",
            ) from error

    def _refused(self, status: int, answer: Any) -> KoinonError:
        said = answer if isinstance(answer, dict) else {}
        title, code = str(said.get("title", f"status {status}"))[:200], str(said.get("code", ""))
        if code == "data.not_granted":
            return PaymentError(title, hint=str(said.get("detail", ""))[:200], code="data.not_granted")
        return PeerError(
            f"The keeper at {self.url} refused: {title}",
            hint=str(said.get("detail", ""))[:200],
            code="data.keeper_refused",
        )

    def _nonsense(self) -> PeerError:
        return PeerError(
            f"The answer of the keeper at {self.url} makes no sense.",
            hint="Ask another keeper.",
            code="data.keeper_answer",
        )
