# SPDX-License-Identifier: Apache-2.0
"""What was found at a source, before it becomes a Work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from koinon.errors import BadInput
from koinon.works.registration import Service

Kind = Literal["erc8004", "erc721", "http", "mcp", "a2a", "snet", "model"]
KINDS: Final = ("erc8004", "erc721", "http", "mcp", "a2a", "snet", "model")
TOPIC: Final = "adopted"
"""Of the registration file's ``koinon.about``, and the key on chain of keccak256 of the source."""

LONGEST: Final = 4_000
MOST_SERVICES: Final = 64


@dataclass(frozen=True)
class Found:
    """A thing elsewhere.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    source : str
        Its name for good: ``eip155:<chain>:<registry>/<id>``, a URL, or ``sha256:<digest>`` of a file.
    name, description : str
        As it says itself.
    services : tuple of Service
        Where it is reached; it stays there.
    registrations : tuple of (agent id, registry)
        Where it is registered already.
    details : mapping
        More of what it says: prices, groups, skills.
    """

    kind: Kind
    source: str
    name: str
    description: str
    services: tuple[Service, ...] = ()
    registrations: tuple[tuple[int, str], ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The host that answers for it, ``scheme://name[:port]``; "" where none does."""
        parts = urlsplit(self.source)
        return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else ""


def text(value: Any, default: str = "") -> str:
    """A text of a stranger's document, cut where it is too long; the default for anything else."""
    return value.strip()[:LONGEST] if isinstance(value, str) and value.strip() else default


def web_address(value: Any) -> str:
    """An http or https address of a stranger's document, or ""."""
    if not isinstance(value, str) or len(value) > 2_000 or not value.isascii() or not value.isprintable():
        return ""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        return ""
    return value if usable and " " not in value else ""


def malformed(what: str, reason: str) -> BadInput:
    """The error for a source that is not what it must be."""
    return BadInput(
        f"{what[:200]} cannot be adopted: {reason}.",
        hint="See docs/how-to/adopt-what-you-have.md for what each kind needs.",
        code="service.adopt_source",
    )
