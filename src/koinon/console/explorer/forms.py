# SPDX-License-Identifier: Apache-2.0
"""Values of contract functions as people type them into a form, one text field an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from koinon.chain.address import checksum
from koinon.errors import BadInput

LONGEST: Final = 10_000
"""Characters of one argument."""


def read_arguments(inputs: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> list[Any]:
    """The values that texts mean, by an ABI's inputs.

    Whole numbers in decimal or 0x-hex, ``true`` or ``false``, addresses, 0x-hex bytes, text as it stands;
    arrays and structs as JSON. Raises BadInput, naming the argument.
    """
    return [
        _read(str(entry.get("name") or position), entry, text)
        for position, (entry, text) in enumerate(zip(inputs, texts, strict=True))
    ]


def _read(name: str, entry: Mapping[str, Any], text: str) -> Any:
    if len(text) > LONGEST:
        raise BadInput(f"{name} is longer than {LONGEST} characters.", code="explorer.argument")
    kind = str(entry["type"])
    given: Any = text
    if kind.endswith("]") or kind == "tuple":
        try:
            given = orjson.loads(text)
        except ValueError:
            raise _wrong(name, kind, "Write it as JSON, numbers above 2^53 in quotes.") from None
    try:
        return _value(kind, entry.get("components", ()), given)
    except (BadInput, ValueError, TypeError, KeyError):
        raise _wrong(name, kind, _EXAMPLES.get(_family(kind), "")) from None


def _value(kind: str, components: Sequence[Mapping[str, Any]], given: Any) -> Any:
    if kind.endswith("]"):
        element = kind.rpartition("[")[0]
        if not isinstance(given, list):
            raise TypeError
        return [_value(element, components, each) for each in given]
    if kind == "tuple":
        values = list(given.values()) if isinstance(given, dict) else given
        if isinstance(given, dict):
            values = [given[component["name"]] for component in components]
        return tuple(
            _value(str(component["type"]), component.get("components", ()), each)
            for component, each in zip(components, values, strict=True)
        )
    if kind == "bool":
        if given in (True, "true", "1"):
            return True
        if given in (False, "false", "0"):
            return False
        raise ValueError
    if "int" in kind:
        return given if isinstance(given, int) else int(str(given).replace(",", "").strip(), 0)
    if kind == "address":
        return checksum(str(given).strip())
    if kind.startswith("bytes"):
        text = str(given).strip()
        return bytes.fromhex(text.removeprefix("0x"))
    return str(given)


_EXAMPLES: Final = {
    "int": "A whole number, like 1000000 or 0x1f.",
    "bool": "true or false.",
    "address": "0x followed by 40 hex digits.",
    "bytes": "0x followed by hex digits.",
}


def _family(kind: str) -> str:
    return "int" if "int" in kind else "bytes" if kind.startswith("bytes") else kind


def _wrong(name: str, kind: str, hint: str) -> BadInput:
    return BadInput(f"{name} is not a {kind}.", hint=hint, code="explorer.argument")
