# SPDX-License-Identifier: Apache-2.0
"""Whether JSON has the shape that a schema states, as far as that can be told without a validator.

Types, required fields, fields that must not be there, items of arrays, enumerations; anything else of a
schema is taken as fulfilled. That is enough to keep a wrong call from a stranger's server and a wrong answer
from a buyer, in a process that holds no validator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_DEEPEST: Final = 24
_MOST_PROBLEMS: Final = 10
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def problems(schema: Any, value: Any, at: str = "", depth: int = 0) -> list[dict[str, str]]:
    """Where a value has another shape: ``at`` and ``reason`` of the first ten places."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return []
    wanted = schema.get("type")
    kinds = wanted if isinstance(wanted, list) else [wanted] if isinstance(wanted, str) else []
    if kinds and not any(_is(kind, value) for kind in kinds):
        return [{"at": at, "reason": f"must be {' or '.join(str(kind)[:40] for kind in kinds)}"}]
    choices = schema.get("enum")
    if isinstance(choices, list) and value not in choices:
        return [{"at": at, "reason": "is none of the values it may have"}]
    found: list[dict[str, str]] = []
    if isinstance(value, dict):
        found = _of_object(schema, value, at, depth)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            found += problems(schema.get("items"), item, f"{at}.{number}".lstrip("."), depth + 1)
            if len(found) >= _MOST_PROBLEMS:
                break
    return found[:_MOST_PROBLEMS]


def _of_object(schema: Mapping[str, Any], value: dict[str, Any], at: str, depth: int) -> list[dict[str, str]]:
    fields, needed = schema.get("properties"), schema.get("required")
    known: Mapping[str, Any] = fields if isinstance(fields, Mapping) else {}
    found = [
        {"at": f"{at}.{name}".lstrip("."), "reason": "is missing"}
        for name in (needed if isinstance(needed, list) else [])
        if isinstance(name, str) and name not in value
    ]
    for name, part in value.items():
        place = f"{at}.{name}".lstrip(".")[:200]
        if name in known:
            found += problems(known[name], part, place, depth + 1)
        elif schema.get("additionalProperties") is False and "patternProperties" not in schema:
            found.append({"at": place, "reason": "is not known"})
        if len(found) >= _MOST_PROBLEMS:
            break
    return found


def _is(kind: Any, value: Any) -> bool:
    if isinstance(value, bool):
        return bool(kind == "boolean")
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    types = _TYPES.get(kind) if isinstance(kind, str) else None
    return types is None or isinstance(value, types)
