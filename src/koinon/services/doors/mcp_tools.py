# SPDX-License-Identifier: Apache-2.0
"""Skills as MCP's tools, and outcomes as their results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from koinon.services.doors.outcome import Outcome
from koinon.services.doors.skill import Skill

RECEIPT: Final = "x402/payment-response"
EVIDENCE: Final = "koinon/evidence"


def tool_of(skill: Skill) -> dict[str, Any]:
    """A skill as tools/list names it."""
    tool: dict[str, Any] = {
        "name": skill.name,
        "title": skill.title,
        "description": skill.about,
        "inputSchema": {"type": "object", **skill.input_schema},
        "_meta": {"koinon/work": skill.work, "koinon/url": skill.url, "koinon/price": skill.price},
    }
    if skill.output_schema:
        tool["outputSchema"] = output_schema(skill.output_schema, streams=skill.streams)
    return tool


def output_schema(schema: Mapping[str, Any], *, streams: bool = False) -> dict[str, Any]:
    """The schema of structured content, which is an object: any other result, and the list of the parts of a
    streamed one, lie in its ``result``."""
    if schema.get("type") == "object" and not streams:
        return dict(schema)
    inner = dict(schema)
    wrapped: dict[str, Any] = {"type": "object", "required": ["result"]}
    for name in ("$defs", "definitions"):
        if name in inner:
            wrapped[name] = inner.pop(name)
    wrapped["properties"] = {"result": {"type": "array", "items": inner} if streams else inner}
    return wrapped


def result_of(skill: Skill, outcome: Outcome) -> dict[str, Any]:
    """The result of a tool's call that was answered."""
    document, result = outcome.document, outcome.result
    plain = isinstance(result, dict) and skill.output_schema.get("type", "object") == "object"
    meta: dict[str, Any] = {EVIDENCE: document.get("evidence", {})}
    if outcome.ended:
        meta["koinon/ended"] = outcome.ended
    if (receipt := outcome.payment_response) is not None:
        meta[RECEIPT] = receipt
    return {
        "content": [{"type": "text", "text": orjson.dumps(result).decode()}],
        "structuredContent": result if plain else {"result": result},
        "isError": bool(outcome.ended),
        "_meta": meta,
    }


def failure_of(outcome: Outcome) -> dict[str, Any]:
    """The result of one that was not, in words that a model can act on."""
    problem = outcome.document
    text = outcome.reason
    for place in problem.get("problems", ()):
        text += f" {place.get('at', '')}: {place.get('reason', '')}."
    return {
        "content": [{"type": "text", "text": text}],
        "isError": True,
        "_meta": {"koinon/problem": problem},
    }
