# SPDX-License-Identifier: Apache-2.0
"""What a service takes and gives, by name and type, as its gateway describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from koinon.errors import PeerError
from koinon.services.buying.description import read_description
from koinon.services.selling.promises import MOST_UNITS

MOST_FIELDS: Final = 64
_HOPS: Final = 8


@dataclass(frozen=True)
class Capability:
    """A service that can be called.

    Attributes
    ----------
    work_id, url, name, summary
    price : int
        The most a call may cost, in the coin's smallest unit: where units are counted, of as many as one
        call may count.
    quality : float
        0 to 1, by feedback that counts; ½ where there is none.
    takes : mapping of str to JSON Schema
        Inputs by name; those in ``needs`` are required.
    gives : mapping of str to JSON Schema
        Outputs by name: the fields of an object, or one value by the service's own name.
    """

    work_id: int
    url: str
    name: str
    summary: str
    price: int
    quality: float
    takes: Mapping[str, Mapping[str, Any]]
    needs: frozenset[str]
    gives: Mapping[str, Mapping[str, Any]]
    output: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def facts(self, result: Any) -> dict[str, Any]:
        """What a result says, by name. Fields that were not announced are left out."""
        if isinstance(result, dict) and set(self.gives) != {self.name}:
            return {name: value for name, value in result.items() if name in self.gives}
        return {self.name: result}


def read_capability(work_id: int, url: str, document: Any, quality: float = 0.5) -> Capability:
    """Read a gateway's description of a service; PeerError where it is none."""
    try:
        described = read_description(url, document)
        inputs = resolved(described.schema, described.schema)
        takes, needs = _fields(inputs, described.schema), inputs.get("required")
    except ValueError as error:
        raise PeerError(f"{url} describes no service: {error}.", code="agents.description") from error
    output = document["schema"].get("output")
    output = output if isinstance(output, dict) else {}
    given = resolved(output, output)
    named = _fields(given, output) if given.get("type") == "object" else {}
    return Capability(
        work_id,
        url,
        described.name,
        described.description,
        described.price * _most_units(document),
        quality,
        takes,
        frozenset(needs if isinstance(needs, list) else ()) & takes.keys(),
        named or {described.name: given},
        output,
    )


def _most_units(document: Mapping[str, Any]) -> int:
    """How many units a call may count; PeerError where it says nonsense."""
    most = document["price"].get("most_units", 1)
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= MOST_UNITS:
        raise PeerError("A service counts units without a bound.", code="agents.description")
    return most


def resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema behind its ``$ref`` into ``$defs``; the schema itself where the reference leads nowhere."""
    for _ in range(_HOPS):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/$defs/"):
            return schema
        definitions = root.get("$defs")
        found = definitions.get(reference[8:]) if isinstance(definitions, dict) else None
        if not isinstance(found, dict):
            return schema
        schema = found
    return {}


def _fields(schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    if len(properties) > MOST_FIELDS:
        raise ValueError("too many fields")
    return {
        str(name): resolved(each, root) if isinstance(each, dict) else {} for name, each in properties.items()
    }
