# SPDX-License-Identifier: Apache-2.0
"""A2A agent cards of a gateway and of each of its services, readable by clients of A2A 1.0 and 0.3.

Source: A2A specification 1.0, "Agent discovery"; a2a-x402 spec v0.2, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from koinon.services.doors.skill import Skill

X402: Final = "https://github.com/google-agentic-commerce/a2a-x402/blob/main/spec/v0.2"
"""The x402 extension, by the address its specification demands."""

X402_FORMER: Final = "https://github.com/google-a2a/a2a-x402/v0.1"
"""The same as x402's own A2A transport calls it."""

SCHEMAS: Final = "urn:koinon:a2a:schemas:1"
"""Koinon's extension: the JSON schemas of each skill's input and output."""

INPUT_MODES: Final = ["application/json", "text/plain"]
OUTPUT_MODES: Final = ["application/json"]


def card(name: str, description: str, url: str, skills: Sequence[Skill]) -> bytes:
    """The card of an agent with these skills that answers at ``url``."""
    return orjson.dumps(
        {
            "name": name,
            "description": description,
            "version": "1",
            "supportedInterfaces": [
                {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": version}
                for version in ("1.0", "0.3")
            ],
            "capabilities": {
                "streaming": True,
                "pushNotifications": False,
                "extendedAgentCard": False,
                "extensions": _extensions(skills),
            },
            "defaultInputModes": INPUT_MODES,
            "defaultOutputModes": OUTPUT_MODES,
            "skills": [_skill(skill) for skill in skills],
            # what clients of A2A 0.3 read
            "url": url,
            "preferredTransport": "JSONRPC",
            "protocolVersion": "0.3.0",
        }
    )


def _extensions(skills: Sequence[Skill]) -> list[dict[str, Any]]:
    schemas = {
        "uri": SCHEMAS,
        "description": "JSON schemas of what each skill takes and gives.",
        "required": False,
        "params": {
            skill.name: {"input": skill.input_schema, "output": skill.output_schema} for skill in skills
        },
    }
    if not any(skill.price for skill in skills):
        return [schemas]
    paid = "Calls are paid by x402 version 2, schemes exact and batch-settlement."
    return [
        {"uri": X402, "description": paid, "required": all(skill.price for skill in skills)},
        {"uri": X402_FORMER, "description": paid, "required": False},
        schemas,
    ]


def _skill(skill: Skill) -> dict[str, Any]:
    return {
        "id": skill.name,
        "name": skill.title,
        "description": skill.about,
        "tags": ["koinon", *(["paid", "x402"] if skill.price else ["free"])],
        "examples": [orjson.dumps(skill.example).decode()],
        "inputModes": INPUT_MODES,
        "outputModes": OUTPUT_MODES,
    }
