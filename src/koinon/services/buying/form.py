# SPDX-License-Identifier: Apache-2.0
"""A service's inputs as fields of a form, read from its JSON Schema, and the form read back.

Numbers, texts, yes or no, choices, lists of these (a line each), objects in objects, and files where the
schema speaks of bytes. What no field can hold is typed as JSON. A schema may be a stranger's: depth, number
and lengths have ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import orjson

Kind = Literal["number", "integer", "text", "boolean", "choice", "list", "file", "object", "json"]

PREFIX: Final = "input_"
DEEPEST: Final = 4
MOST_FIELDS: Final = 60
LONGEST: Final = 2_000
LONG_TEXT: Final = 200
"""From so many characters on a text has several lines."""

_PLAIN: Final[Mapping[str, Kind]] = {
    "number": "number",
    "integer": "integer",
    "string": "text",
    "boolean": "boolean",
}


@dataclass(frozen=True)
class Field:
    """One input.

    Parameters
    ----------
    name : str
        Of the form's field; objects within objects are joined by dots.
    label, hint : str
        The input's own name, and what its publisher says of it.
    kind : str
        What it holds; ``of`` of a list what its lines hold, of a file ``"text"`` where its bytes are sent as
        they are and ``"file"`` where they are sent in base64.
    required : bool
    example : str
        What stands in it at first.
    least, most : float, optional
        Bounds of a number, or of a text's length.
    above, below : bool
        Whether that bound itself is excluded.
    pattern : str
        A regular expression that a text must fit.
    choices : tuple of (text, value)
        What a choice may be.
    fields : tuple of Field
        Of an object.
    fault : str
        What was wrong with what somebody wrote into it.
    """

    name: str
    label: str
    kind: Kind
    required: bool
    hint: str = ""
    example: str = ""
    least: float | None = None
    most: float | None = None
    above: bool = False
    below: bool = False
    pattern: str = ""
    of: Kind = "text"
    choices: tuple[tuple[str, Any], ...] = ()
    fields: tuple[Field, ...] = ()
    fault: str = ""


def form_of(schema: Mapping[str, Any], example: Mapping[str, Any]) -> tuple[Field, ...] | None:
    """A field for each input; None where the whole body is better typed as JSON."""
    reader = _Reader(schema)
    fields = reader.fields(schema, example, PREFIX, 0)
    return fields if fields and reader.count <= MOST_FIELDS else None


def filled(
    fields: tuple[Field, ...], given: Mapping[str, str], faults: Mapping[str, str]
) -> tuple[Field, ...]:
    """The form as somebody has sent it in, with what was wrong, by the name of its field."""
    return tuple(
        replace(
            field,
            example=given.get(field.name, "") if field.kind != "file" else "",
            fields=filled(field.fields, given, faults),
            fault=faults.get(field.name, ""),
        )
        for field in fields
    )


def has_file(fields: tuple[Field, ...]) -> bool:
    """Whether a file is among the inputs."""
    return any(field.kind == "file" or has_file(field.fields) for field in fields)


class _Reader:
    """Reads one schema, with the definitions it refers to."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.definitions = {
            f"#/{place}/{name}": entry
            for place in ("$defs", "definitions")
            for name, entry in _object(root.get(place)).items()
        }
        self.count = 0

    def fields(
        self, schema: Mapping[str, Any], example: Any, prefix: str, depth: int
    ) -> tuple[Field, ...] | None:
        properties = _object(schema.get("properties"))
        if not properties or len(properties) > MOST_FIELDS or schema.get("additionalProperties") is True:
            return None
        required = schema.get("required")
        needed = required if isinstance(required, list) else []
        given = _object(example)
        found = []
        for name, entry in properties.items():
            if len(name) > 100:
                return None
            shown = given.get(name, _object(entry).get("default"))
            found.append(self.field(f"{prefix}{name}", name, _object(entry), shown, name in needed, depth))
        return tuple(found)

    def field(  # noqa: PLR0917  one place reads them all
        self, name: str, label: str, entry: Mapping[str, Any], example: Any, required: bool, depth: int
    ) -> Field:
        self.count += 1
        schema = self.resolve(entry)
        hint = _text(schema.get("description")) or _text(entry.get("description"))
        common: dict[str, Any] = {"name": name, "label": label, "required": required, "hint": hint}
        choices = _choices(schema)
        if choices:
            text = next((text for text, value in choices if value == example), "")
            return Field(kind="choice", choices=choices, example=text, **common)
        kind = schema.get("type")
        if kind == "string" and _is_bytes(schema):
            as_text = schema.get("format") == "binary" and "contentEncoding" not in schema
            return Field(kind="file", of="text" if as_text else "file", **common)
        if kind == "object" and depth < DEEPEST:
            inner = self.fields(schema, example, f"{name}.", depth + 1)
            if inner:
                return Field(kind="object", fields=inner, **common)
        if kind == "array":
            of = self.resolve(_object(schema.get("items"))).get("type")
            lines = [_shown(each) for each in example] if isinstance(example, list) else []
            if isinstance(of, str) and of in ("number", "integer", "string"):
                return Field(kind="list", of=_PLAIN[of], example="\n".join(lines)[:LONGEST], **common)
        if isinstance(kind, str) and kind in _PLAIN:
            return _plain_field(_PLAIN[kind], schema, example, common)
        return Field(kind="json", example=_json(example), **common)

    def resolve(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        """Behind references, and without the ``null`` of what may be left out."""
        for _ in range(DEEPEST):
            if isinstance(entry.get("$ref"), str):
                entry = _object(self.definitions.get(entry["$ref"]))
                continue
            options = entry.get("anyOf", entry.get("oneOf", entry.get("allOf")))
            if not isinstance(options, list):
                return entry
            left = [_object(option) for option in options if not isinstance(option, dict) or option != _NULL]
            if len(left) != 1:
                return entry
            entry = left[0]
        return entry


_NULL: Final = {"type": "null"}


def _plain_field(kind: Any, schema: Mapping[str, Any], example: Any, common: Mapping[str, Any]) -> Field:
    number = kind in ("number", "integer")
    least, most = ("minimum", "maximum") if number else ("minLength", "maxLength")
    over, under = _figure(schema.get("exclusiveMinimum")), _figure(schema.get("exclusiveMaximum"))
    return Field(
        kind=kind,
        example="" if example is None else _shown(example)[:LONGEST],
        least=over if number and over is not None else _figure(schema.get(least)),
        most=under if number and under is not None else _figure(schema.get(most)),
        above=number and over is not None,
        below=number and under is not None,
        pattern=_text(schema.get("pattern"))[:200],
        **common,
    )


def _choices(schema: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list) or not 0 < len(values) <= MOST_FIELDS:
        return ()
    return tuple((_shown(value)[:LONG_TEXT], value) for value in values)


def _is_bytes(schema: Mapping[str, Any]) -> bool:
    encoding, form = schema.get("contentEncoding"), schema.get("format")
    return encoding in ("base64", "base64url") or form in ("binary", "byte", "base64", "base64url")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    try:
        return "" if value is None else orjson.dumps(value).decode()[:LONGEST]
    except TypeError:
        return ""


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value[:LONG_TEXT] if isinstance(value, str) else ""


def _figure(value: Any) -> float | None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if fits else None
