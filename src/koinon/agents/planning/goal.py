# SPDX-License-Identifier: Apache-2.0
"""What is known, and what is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from koinon.errors import BadInput

_TYPES: Final = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
MOST_FACTS: Final = 64


@dataclass(frozen=True)
class Goal:
    """Known facts and wanted ones.

    Parameters
    ----------
    known : mapping of str to JSON value
    wanted : mapping of str to JSON Schema
        ``{}`` where any type will do.
    words : str
        What the search for services begins with; by default the wanted names.
    """

    known: Mapping[str, Any]
    wanted: Mapping[str, Mapping[str, Any]]
    words: str = ""

    schemas: Mapping[str, Mapping[str, Any]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.wanted or len(self.known) + len(self.wanted) > MOST_FACTS:
            raise BadInput(
                f"A goal wants something, and names at most {MOST_FACTS} facts in all.", code="agents.goal"
            )
        object.__setattr__(self, "schemas", {name: schema_of(value) for name, value in self.known.items()})


def schema_of(value: Any) -> dict[str, Any]:
    """The JSON Schema of a value that is known: its type, no more."""
    kind = _TYPES.get(type(value))
    return {"type": kind} if kind else {}
