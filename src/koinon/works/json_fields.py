# SPDX-License-Identifier: Apache-2.0
"""Reading a JSON object field by field, with errors that name the path of what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from koinon.errors import BadInput

_Part = TypeVar("_Part")


class JsonFields:
    """The fields of one object.

    Parameters
    ----------
    fields : Any
        What the JSON parser gave; `BadInput` when it is no object.
    path : str
        Where the object stands in the file; '' at its top.
    """

    def __init__(self, fields: Any, path: str) -> None:
        if not isinstance(fields, dict):
            raise malformed(f"The registration file's {path or 'content'} is not an object.")
        self.fields: Mapping[str, Any] = fields
        self.path = path

    def wrong(self, name: str, expected: str) -> BadInput:
        """The error for a field."""
        where = f"{self.path}.{name}" if self.path else name
        return malformed(f"The registration file's {where} is not {expected}.")

    def text(self, name: str, default: str | None = None) -> str:
        """A text; ``default`` where the field is missing."""
        value = self.fields.get(name, default)
        if not isinstance(value, str):
            raise self.wrong(name, "a text")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; empty where the field is missing."""
        value = self.fields.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(name, "a list of texts")
        return tuple(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self.fields.get(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def integer(self, name: str) -> int:
        """A whole number."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(name, "a whole number")
        return value

    def number(self, name: str) -> float:
        """A number."""
        value = as_number(self.fields.get(name))
        if value is None:
            raise self.wrong(name, "a number")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """An object as it is."""
        value = self.fields.get(name)
        if not isinstance(value, dict):
            raise self.wrong(name, "an object")
        return value

    def child(self, name: str) -> JsonFields:
        """An object to read field by field."""
        return JsonFields(self.fields.get(name), f"{self.path}.{name}" if self.path else name)

    def each(self, name: str, read: Callable[[JsonFields], _Part]) -> tuple[_Part, ...]:
        """A list of objects, each read by ``read``; empty where the field is missing."""
        value = self.fields.get(name, [])
        if not isinstance(value, list):
            raise self.wrong(name, "a list")
        where = f"{self.path}.{name}" if self.path else name
        return tuple(read(JsonFields(item, f"{where}[{index}]")) for index, item in enumerate(value))


def as_number(value: Any) -> float | None:
    """A JSON number as it is (a whole number stays one); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value


def malformed(
    message: str, hint: str = "Compare with ERC-8004's registration-v1 and the card of another Work."
) -> BadInput:
    """The error for everything that is wrong in a registration file."""
    return BadInput(message, hint=hint, code="works.registration")
