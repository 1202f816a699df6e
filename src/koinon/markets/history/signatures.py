# SPDX-License-Identifier: Apache-2.0
"""Events written as Solidity writes them, read into entries of a JSON ABI."""

from __future__ import annotations

from typing import Any

from koinon.errors import BadInput


def event_entry(text: str) -> dict[str, Any]:
    """``Transfer(address indexed from, address indexed to, uint256 value)`` as an ABI entry.

    Structs are written as tuples: ``Created(bytes32 indexed id, (address token, uint256 cap) terms)``.

    Raises
    ------
    BadInput
        The text is not an event.
    """
    name, open_bracket, rest = text.strip().partition("(")
    if not name.isidentifier() or not open_bracket or not rest.endswith(")"):
        raise BadInput(f"{text!r} is not an event.", code="history.signature")
    return {"type": "event", "name": name, "anonymous": False, "inputs": _fields(rest[:-1], text)}


def _fields(text: str, whole: str) -> list[dict[str, Any]]:
    return [_field(part.strip(), whole) for part in _split(text) if part.strip()]


def _field(text: str, whole: str) -> dict[str, Any]:
    components: list[dict[str, Any]] | None = None
    if text.startswith("("):
        inner, _, rest = text[1:].rpartition(")")
        components, text = _fields(inner, whole), "tuple" + rest
    words = text.split()
    indexed = "indexed" in words[1:-1] or words[-1] == "indexed"
    words = [word for word in words if word != "indexed"]
    if len(words) != 2:
        raise BadInput(f"{whole!r}: {text!r} is not a field.", code="history.signature")
    entry: dict[str, Any] = {"type": words[0], "name": words[1], "indexed": indexed}
    if components is not None:
        entry["components"] = components
    return entry


def _split(text: str) -> list[str]:
    """At the commas that are in no brackets."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]
