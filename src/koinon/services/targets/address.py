# SPDX-License-Identifier: Apache-2.0
"""Where a service that stands already is asked, as the gateway's list of services keeps it.

    mcp+https://host/mcp#tool=NAME&key=env:VARIABLE
    openai+https://host/v1#model=NAME&key=file:/path&most_tokens=1024&streams=1

The key itself is never in it: only the name of the environment variable or file that holds it.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode

from koinon.errors import BadInput
from koinon.services.gateway.endpoint import check_address

MCP: Final = "mcp+"
OPENAI: Final = "openai+"
MOST_TOKENS: Final = 4_096
_LONGEST_KEY: Final = 8_192


@dataclass(frozen=True)
class Address:
    """One target. ``url`` is asked; ``name`` is the tool or the model there; ``key`` says where its key lies,
    empty for none. ``most_tokens`` bounds a question to a model and its answer together, which may come in
    parts (``streams``)."""

    kind: str
    url: str
    name: str = ""
    key: str = ""
    most_tokens: int = MOST_TOKENS
    streams: bool = False

    def __str__(self) -> str:
        fields = {"tool" if self.kind == MCP else "model": self.name, "key": self.key}
        if self.kind == OPENAI:
            fields |= {"most_tokens": str(self.most_tokens), "streams": "1" if self.streams else ""}
        return f"{self.kind}{self.url}#{urlencode({name: value for name, value in fields.items() if value})}"

    def secret(self) -> str:
        """The key, empty where none is needed; BadInput where it cannot be read, without its content."""
        if not self.key:
            return ""
        where, _, name = self.key.partition(":")
        found = os.environ.get(name, "") if where == "env" else _read(Path(name))
        found = found.strip()
        if (
            not found
            or len(found) > _LONGEST_KEY
            or not found.isascii()
            or not found.isprintable()
            or " " in found
        ):
            raise BadInput(
                f"{'The variable' if where == 'env' else 'The file'} {name} holds no key.",
                hint="Put the key there, on one line, and nothing else.",
                code="service.key",
            )
        return found


def is_target(text: str) -> bool:
    """Whether a target is one of these."""
    return text.startswith((MCP, OPENAI))


def parse(text: str) -> Address:
    """Read what `str` wrote, or what a person typed; BadInput for anything else."""
    kind = MCP if text.startswith(MCP) else OPENAI
    url, _, fragment = text.removeprefix(kind).partition("#")
    fields = dict(parse_qsl(fragment))
    most = fields.get("most_tokens", str(MOST_TOKENS))
    if not most.isascii() or not most.isdigit() or not 0 < int(most[:10]) <= 10_000_000:
        raise BadInput("The most tokens of an answer are no number.", code="service.endpoint")
    return Address(
        kind=kind,
        url=check_address(url),
        name=fields.get("tool" if kind == MCP else "model", ""),
        key=check_key(fields.get("key", "")),
        most_tokens=int(most),
        streams=fields.get("streams") == "1",
    )


def check_key(key: str) -> str:
    """Where a key lies; BadInput where it names no place: it may well be the key itself."""
    if key and not (key.startswith(("env:", "file:")) and len(key.partition(":")[2]) > 0):
        raise BadInput(
            "A key is named by the variable or the file that holds it, and never given itself.",
            hint="Write env:VARIABLE or file:/path/to/key.",
            code="service.key",
        )
    return key


def _read(path: Path) -> str:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise BadInput(
                f"Others on this machine may read the key in {path}.",
                hint=f"Run: chmod 600 {path}",
                code="service.key",
            )
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST_KEY + 2)
    except OSError as error:
        raise BadInput(
            f"The key in {path} cannot be read ({error.strerror}).",
            hint="Name a file that the gateway's account may read.",
            code="service.key",
        ) from None
