# SPDX-License-Identifier: Apache-2.0
"""The words of raw e-mails, by rules simple enough to give the same on every machine.

Of the headers only the subject is read: dates, servers and mailers would tell when and by whom a message was
collected, not what it says.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 20_000
"""Characters of a message that are read."""

_SUBJECT: Final = re.compile(r"^subject:(.*(?:\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)
_ENCODED: Final = re.compile(r"^[A-Za-z0-9+/=]{60,}$", re.MULTILINE)
_INVISIBLE: Final = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^<>]*>", re.IGNORECASE | re.DOTALL)
_SPACE: Final = re.compile(r"\s+")


def visible_text(message: str) -> str:
    """Subject and body: quoted-printable line ends joined, base64 and HTML tags left out, spaces made one."""
    headers, _, body = message.replace("\r\n", "\n").partition("\n\n")
    subject = _SUBJECT.search(headers)
    joined = body.replace("=\n", "").replace("=3D", "=").replace("=20", " ")
    shown = _INVISIBLE.sub(" ", _ENCODED.sub(" ", joined[: 4 * LONGEST]))
    text = f"{subject.group(1) if subject else ''} {shown}".replace("&nbsp;", " ")
    return _SPACE.sub(" ", text).strip()[:LONGEST]
