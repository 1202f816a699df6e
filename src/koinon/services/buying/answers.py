# SPDX-License-Identifier: Apache-2.0
"""What somebody wrote into a service's form, as the body of a call; what is wrong is said of its input."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from koinon.errors import BadInput
from koinon.services.buying.form import Field
from koinon.web import gettext

MOST_LINES: Final = 10_000
LONGEST_JSON: Final = 200_000
_YES: Final = ("true", "yes", "1")
_NO: Final = ("false", "no", "0")


class WrongInput(BadInput):
    """One input of a form is wrong; ``field`` is its name in the form."""

    code = "service.arguments"

    def __init__(self, message: str, *, field: str, hint: str = "", code: str | None = None) -> None:
        super().__init__(message, hint=hint, code=code)
        self.field = field


def read_form(fields: Sequence[Field], given: Mapping[str, str]) -> dict[str, Any]:
    """The body of a call; `WrongInput` names the first input that is wrong."""
    body = {}
    for field in fields:
        found = _read(field, given)
        if found is not _LEFT_OUT:
            body[field.label] = found
    return body


def _read(field: Field, given: Mapping[str, str]) -> Any:
    if field.kind == "object":
        inner = read_form(field.fields, given) if field.required or _touched(field, given) else {}
        return inner if inner or field.required else _LEFT_OUT
    text = given.get(field.name, "")
    if not text.strip() and not (field.kind == "text" and field.required and not field.least):
        if field.required:
            raise _wrong(field, gettext("%(name)s is missing.", name=field.label))
        return _LEFT_OUT
    match field.kind:
        case "number" | "integer":
            return _number(field, text)
        case "boolean":
            return _yes_or_no(field, text)
        case "choice":
            return _choice(field, text)
        case "list":
            return _lines(field, text)
        case "json":
            return _json(field, text)
        case _:
            return _text(field, text)


def _touched(field: Field, given: Mapping[str, str]) -> bool:
    return any(
        _touched(inner, given) if inner.kind == "object" else given.get(inner.name, "").strip()
        for inner in field.fields
    )


def _number(field: Field, text: str, *, kind: str = "") -> float | int:
    kind = kind or field.kind
    try:
        found: float | int = float(text) if kind == "number" else int(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found) or (kind == "integer" and not -(2**63) <= found < 2**64):
        raise _wrong(
            field,
            gettext("%(name)s is not a number.", name=field.label)
            if kind == "number"
            else gettext("%(name)s is not a whole number.", name=field.label),
        )
    too_small = field.least is not None and (found <= field.least if field.above else found < field.least)
    if too_small:
        words = (
            gettext("%(name)s must be more than %(least)s.", name=field.label, least=_short(field.least))
            if field.above
            else gettext("%(name)s must be at least %(least)s.", name=field.label, least=_short(field.least))
        )
        raise _wrong(field, words)
    too_large = field.most is not None and (found >= field.most if field.below else found > field.most)
    if too_large:
        words = (
            gettext("%(name)s must be less than %(most)s.", name=field.label, most=_short(field.most))
            if field.below
            else gettext("%(name)s must be at most %(most)s.", name=field.label, most=_short(field.most))
        )
        raise _wrong(field, words)
    return found


def _yes_or_no(field: Field, text: str) -> bool:
    if text.strip().lower() not in (*_YES, *_NO):
        raise _wrong(field, gettext("%(name)s is yes or no.", name=field.label))
    return text.strip().lower() in _YES


def _choice(field: Field, text: str) -> Any:
    for shown, value in field.choices:
        if shown == text:
            return value
    raise _wrong(field, gettext("%(name)s is not one of the choices.", name=field.label))


def _lines(field: Field, text: str) -> list[Any]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_LINES:
        raise _wrong(
            field, gettext("%(name)s has more than %(most)s lines.", name=field.label, most=f"{MOST_LINES:,}")
        )
    return [line if field.of == "text" else _number(field, line, kind=field.of) for line in lines]


def _json(field: Field, text: str) -> Any:
    try:
        return orjson.loads(text) if len(text) <= LONGEST_JSON else orjson.loads("")
    except ValueError:
        raise _wrong(field, gettext("%(name)s is not JSON.", name=field.label)) from None


def _text(field: Field, text: str) -> str:
    if field.kind == "file":
        return text
    if field.least is not None and len(text) < field.least:
        least = _short(field.least)
        raise _wrong(
            field, gettext("%(name)s needs at least %(least)s characters.", name=field.label, least=least)
        )
    if field.most is not None and len(text) > field.most:
        most = _short(field.most)
        raise _wrong(field, gettext("%(name)s has at most %(most)s characters.", name=field.label, most=most))
    return text


def _short(figure: float | None) -> str:
    return f"{figure:g}" if figure is not None else ""


def _wrong(field: Field, words: str) -> WrongInput:
    return WrongInput(words, field=field.name, hint=gettext("Go back and correct it."))


_LEFT_OUT: Final = object()
