# SPDX-License-Identifier: Apache-2.0
"""Sign-In with Ethereum (EIP-4361): the message to the byte, a strict reader, and one-use nonces.

The node writes the whole message, and takes back only what it wrote itself: same domain, address, chain,
nonce and times. A message that was signed for another site, another chain or another visit is refused.
"""

from __future__ import annotations

import re
import secrets
import string
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from koinon.chain.address import checksum
from koinon.errors import BadInput, KeyFault, KoinonError

LASTS_S: Final = 300
"""How long one may take to sign."""
NONCES: Final = 10_000
STATEMENT: Final = "Come in to this Koinon node. Signing costs nothing and moves no money."
_ALPHABET: Final = string.ascii_letters + string.digits
_TIME: Final = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})"
_MESSAGE: Final = re.compile(
    r"(?P<domain>[A-Za-z0-9.\-:\[\]]{1,255}) wants you to sign in with your Ethereum account:\n"
    r"(?P<address>0x[0-9A-Fa-f]{40})\n\n"
    r"(?:(?P<statement>[\x20-\x7e]{1,500})\n)?\n"
    r"URI: (?P<uri>https?://[\x21-\x7e]{1,500})\n"
    r"Version: 1\n"
    r"Chain ID: (?P<chain_id>0|[1-9]\d{0,18})\n"
    r"Nonce: (?P<nonce>[A-Za-z0-9]{8,64})\n"
    rf"Issued At: (?P<issued_at>{_TIME})"
    rf"(?:\nExpiration Time: (?P<expires_at>{_TIME}))?"
    rf"(?:\nNot Before: (?P<not_before>{_TIME}))?"
    r"(?:\nRequest ID: (?P<request_id>[A-Za-z0-9\-._~!$&'()*+,;=:@%]{0,255}))?",
    re.ASCII,
)


@dataclass(frozen=True)
class SignIn:
    """A sign-in message. Times are RFC 3339 texts, as signed; ``address`` is EIP-55."""

    domain: str
    address: str
    uri: str
    chain_id: int
    nonce: str
    issued_at: str
    statement: str | None = None
    expires_at: str | None = None
    not_before: str | None = None
    request_id: str | None = None

    def to_text(self) -> str:
        """The message, as EIP-4361's ABNF has it."""
        lines = [
            f"{self.domain} wants you to sign in with your Ethereum account:",
            self.address,
            "",
            *([self.statement] if self.statement is not None else []),
            "",
            f"URI: {self.uri}",
            "Version: 1",
            f"Chain ID: {self.chain_id}",
            f"Nonce: {self.nonce}",
            f"Issued At: {self.issued_at}",
        ]
        optional = (
            ("Expiration Time", self.expires_at),
            ("Not Before", self.not_before),
            ("Request ID", self.request_id),
        )
        return "\n".join([*lines, *(f"{name}: {value}" for name, value in optional if value is not None)])

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a message.

        Raises
        ------
        BadInput
            It is not a sign-in message of version 1, or the address fails its own checksum.
        """
        found = _MESSAGE.fullmatch(text) if len(text) <= 4_096 else None
        if found is None:
            raise malformed("This is not a sign-in message (EIP-4361, version 1).")
        fields: dict[str, Any] = found.groupdict()
        if checksum(fields["address"].lower()) != fields["address"]:
            raise malformed("The address in the message is not written with its checksum (EIP-55).")
        for name in ("issued_at", "expires_at", "not_before"):
            if fields[name] is not None:
                seconds(fields[name])
        return cls(**{**fields, "chain_id": int(fields["chain_id"])})

    def check(self, *, domain: str, uri: str, chain_id: int, now: float) -> None:
        """Make sure that the message was meant for this site and this moment.

        Raises
        ------
        KeyFault
            Another domain, address of the page or chain; expired, not valid yet, or without an end.
        """
        if self.domain != domain or not (self.uri == uri or self.uri.startswith(uri + "/")):
            raise refused(
                f"The message was signed for {self.domain}, and this is {domain}.",
                "Somebody may be trying to use your signature elsewhere. Sign only messages that name the "
                "site you are on.",
                "login.domain",
            )
        if self.chain_id != chain_id:
            raise refused(
                f"The message names chain {self.chain_id}, and this network is chain {chain_id}.",
                "Switch your wallet to this network and sign again.",
                "login.chain",
            )
        if self.expires_at is None or seconds(self.expires_at) <= now:
            raise refused("The message has expired.", "Sign a new one.", "login.expired")
        if self.not_before is not None and seconds(self.not_before) > now:
            raise refused("The message is not valid yet.", "Set the clock right.", "login.not_yet")
        if seconds(self.issued_at) > now + 60:
            raise refused("The message comes from the future.", "Set the clock right.", "login.not_yet")


class Nonces:
    """What was asked to be signed and has not come back yet; each once, for one visit, for a while.

    Parameters
    ----------
    clock : callable
        Unix seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._open: OrderedDict[str, tuple[str, str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def ask(self, visit: str, *, domain: str, uri: str, address: str, chain_id: int) -> SignIn:
        """A new message for one visit to sign."""
        now = self.clock()
        message = SignIn(
            domain=domain,
            address=checksum(address),
            uri=uri,
            chain_id=chain_id,
            nonce="".join(secrets.choice(_ALPHABET) for _ in range(24)),
            issued_at=_text(now),
            statement=STATEMENT,
            expires_at=_text(now + LASTS_S),
        )
        with self._lock:
            self._open[message.nonce] = (visit, message.to_text(), now + LASTS_S)
            while len(self._open) > NONCES:
                self._open.popitem(last=False)
        return message

    def take(self, visit: str, message: SignIn) -> None:
        """Use a nonce up.

        Raises
        ------
        KeyFault
            It was never given out, was used, belongs to another visit, or the message was altered.
        """
        with self._lock:
            known = self._open.pop(message.nonce, None)
        if known is None or known[0] != visit or known[2] <= self.clock() or known[1] != message.to_text():
            raise refused(
                "This message was not asked for here, or was used already.",
                "Sign in again: every message is good once, for a few minutes, in one browser.",
                "login.nonce",
            )


def seconds(text: str) -> float:
    """Unix seconds of an RFC 3339 time; `BadInput` for one that no calendar has."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        raise malformed("The message has a time that does not exist.") from None


def malformed(sentence: str) -> BadInput:
    """A message that cannot be read."""
    return BadInput(sentence, hint="Sign in again from the login page.", code="login.message")


def refused(sentence: str, hint: str, code: str) -> KoinonError:
    """A message that is not accepted."""
    return KeyFault(sentence, hint=hint, code=code)


def _text(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
