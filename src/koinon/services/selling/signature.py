# SPDX-License-Identifier: Apache-2.0
"""What a service takes and gives, as its buyers see it. Light: the gateway needs this and no validator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from koinon.errors import BadInput

_DEFINITIONS: Final = "#/$defs/"
_DEEPEST: Final = 8
_LONGEST: Final = 8


@dataclass(frozen=True)
class Signature:
    """The public face of a function.

    ``name`` and ``description`` come from the function and its docstring, ``input_schema`` and
    ``output_schema`` are JSON Schemas; where it ``streams``, the latter is of each part.
    """

    name: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    streams: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "description": self.description,
            "input": self.input_schema,
            "output": self.output_schema,
            **({"streams": True} if self.streams else {}),
        }

    def example(self) -> dict[str, Any]:
        """A request body with every required field, to start from."""
        return _fields(self.input_schema, self.input_schema, _DEEPEST)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Signature:
        return cls(
            data["name"], data["description"], data["input"], data["output"], bool(data.get("streams"))
        )


class InvalidInput(BadInput):
    """The request body does not fit the function's input schema; ``problems`` names each place and reason."""

    code = "service.input_schema"

    def __init__(self, problems: list[dict[str, str]]) -> None:
        first = problems[0] if problems else {"at": "", "reason": "not a JSON object"}
        place = f" at '{first['at']}'" if first["at"] else ""
        super().__init__(
            f"The request body does not fit the input schema{place}: {first['reason']}.",
            hint="GET the service's URL to read its input schema.",
        )
        self.problems = problems


def _fields(schema: dict[str, Any], root: dict[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    return {name: _example(properties.get(name, {}), root, depth) for name in schema.get("required", ())}


def _example(schema: dict[str, Any], root: dict[str, Any], depth: int) -> Any:
    """A value that fits by its types; ``root`` holds the definitions, ``depth`` ends recursive ones."""
    if schema.get("examples"):
        return schema["examples"][0]
    if schema.get("enum"):
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    place = str(schema.get("$ref", ""))
    if depth and place.startswith(_DEFINITIONS):
        return _example(root.get("$defs", {}).get(place.removeprefix(_DEFINITIONS), {}), root, depth - 1)
    choices = schema.get("anyOf") or schema.get("oneOf")
    if depth and choices:
        return _example(choices[0], root, depth - 1)
    if depth and schema.get("type") == "object":
        return _fields(schema, root, depth - 1)
    if depth and schema.get("type") == "array" and schema.get("minItems"):
        return [_example(schema.get("items", {}), root, depth - 1)] * min(int(schema["minItems"]), _LONGEST)
    examples = {"number": 1.0, "integer": 1, "string": "text", "boolean": True, "array": [], "null": None}
    return examples.get(schema.get("type", ""), {})
