# SPDX-License-Identifier: Apache-2.0
"""How a model in the gateway is asked: ``{"features": {name: number, …}}``, or the numbers in order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from koinon.services.selling.signature import InvalidInput


def read_row(body: bytes, names: Sequence[str]) -> list[float]:
    """The numbers of a JSON body, one for each feature in their order; InvalidInput where it is none."""
    try:
        document = orjson.loads(body)
    except ValueError:
        raise InvalidInput([{"at": "", "reason": "The body is not JSON"}]) from None
    given = document.get("features") if isinstance(document, dict) and len(document) == 1 else None
    if isinstance(given, Mapping):
        if given.keys() != set(names):
            wrong = sorted(map(str, set(names).symmetric_difference(given)))[:5]
            raise InvalidInput([{"at": "features", "reason": f"missing or unknown: {', '.join(wrong)}"}])
        row: list[Any] = [given[name] for name in names]
    elif isinstance(given, list):
        row = given
    else:
        raise InvalidInput([{"at": "", "reason": "the one field must be 'features', an object or an array"}])
    if len(row) != len(names):
        raise InvalidInput([{"at": "features", "reason": f"{len(row)} numbers instead of {len(names)}"}])
    for name, value in zip(names, row, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InvalidInput([{"at": f"features.{name}", "reason": "not a finite number"}])
    return [float(value) for value in row]


def input_schema(names: Sequence[str]) -> dict[str, Any]:
    """The JSON Schema of such a body."""
    number = {"type": "number"}
    count = len(names)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["features"],
        "properties": {
            "features": {
                "anyOf": [
                    {
                        "type": "object",
                        "additionalProperties": False,
                        "required": list(names),
                        "properties": dict.fromkeys(names, number),
                    },
                    {"type": "array", "items": number, "minItems": count, "maxItems": count},
                ]
            }
        },
    }


def answer_schema(classes: Sequence[str]) -> dict[str, Any]:
    """The JSON Schema of an answer that names a class."""
    share = {"type": "number", "minimum": 0, "maximum": 1}
    return {
        "type": "object",
        "required": ["label", "probability", "probabilities"],
        "properties": {
            "label": {"type": "string", "enum": list(classes)},
            "probability": {**share, "description": "of the second class of two, else of the label"},
            "probabilities": {"type": "object", "properties": dict.fromkeys(classes, share)},
        },
    }
