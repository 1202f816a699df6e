# SPDX-License-Identifier: Apache-2.0
"""What a service takes and gives, as its buyers see it. Light: the gateway needs this and no validator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from koinon.errors import BadInput


@dataclass(frozen=True)
class Signature:
    """The public face of a function.

    ``name`` and ``description`` come from the function and its docstring, ``input_schema`` and
    ``output_schema`` are JSON Schemas.
    """

    name: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "description": self.description,
            "input": self.input_schema,
            "output": self.output_schema,
        }

    def example(self) -> dict[str, Any]:
        """A request body with every required field, to start from."""
        properties = self.input_schema.get("properties", {})
        return {name: _example(properties[name]) for name in self.input_schema.get("required", ())}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Signature:
        return cls(data["name"], data["description"], data["input"], data["output"])


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


def _example(schema: dict[str, Any]) -> Any:
    if schema.get("examples"):
        return schema["examples"][0]
    examples = {"number": 1.0, "integer": 1, "string": "text", "boolean": True, "array": [], "null": None}
    return examples.get(schema.get("type", ""), {})
