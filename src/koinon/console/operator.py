# SPDX-License-Identifier: Apache-2.0
"""The operator's way in: a code that the node prints, good once, for an hour.

The code stands behind the ``#`` of the link, so that it is in no log and no ``Referer``; the page's script
puts it into the form, and who has no script types it in.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import Final

from koinon.console.records import Records
from koinon.errors import KeyFault
from koinon.settings import Settings
from koinon.web.language import PREFIXES

LASTS_S: Final = 3_600
_LETTERS: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_GROUPS: Final = 5


@dataclass(frozen=True)
class OperatorLink:
    """What `koinon up` prints: the link, and the code alone for a browser without scripts."""

    url: str = field(repr=False)
    code: str = field(repr=False)


def operator_link(settings: Settings, base_url: str) -> OperatorLink:
    """A new link into the console at ``base_url``. Any process that may read the data directory can make
    one."""
    records = Records(settings.home)
    try:
        code = new_code(records)
    finally:
        records.close()
    return OperatorLink(f"{base_url.rstrip('/')}{PREFIXES[settings.language]}/login/operator#{code}", code)


def new_code(records: Records, now: float | None = None) -> str:
    """A code of 25 letters, some 120 bits; only its digest is kept."""
    now = time.time() if now is None else now
    code = "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(_GROUPS))
    records.change("DELETE FROM operator_code WHERE expires_at < ?", now)
    records.insert("operator_code", ("digest", "expires_at"), _digest(code), now + LASTS_S)
    return code


def use_code(records: Records, code: str, now: float | None = None) -> None:
    """Use a code up; `KeyFault` where it is none, was used, or is too old."""
    now = time.time() if now is None else now
    if not records.change(
        "DELETE FROM operator_code WHERE digest = ? AND expires_at >= ?", _digest(code), now
    ):
        raise KeyFault(
            "This code is wrong, was used already, or is too old.",
            hint="Print a new link on the machine that runs the node: koinon up",
            code="login.operator",
        )


def _digest(code: str) -> bytes:
    return hashlib.sha256("".join(code.upper().split()).replace("-", "").encode()).digest()
