# SPDX-License-Identifier: Apache-2.0
"""Looks at what stands already before it is published: which tools there are, what a model takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from koinon.errors import BadInput
from koinon.services.selling.signature import Signature
from koinon.services.targets.address import Address
from koinon.services.targets.mcp import McpServer, choose
from koinon.services.targets.openai import EXAMPLE, signature_of

LOOK_S: Final = 20.0


@dataclass(frozen=True)
class Standing:
    """One thing that can be sold as it stands."""

    address: Address
    name: str
    description: str
    signature: Signature
    example: Mapping[str, Any]


def tools_at(address: Address, names: Sequence[str] = ()) -> list[Standing]:
    """The tools of an MCP server, all or those named; BadInput, PeerError."""
    found = []
    for tool in choose(McpServer(address, timeout_s=LOOK_S).tools(), names):
        signature = tool.signature()
        found.append(
            Standing(
                replace(address, name=tool.name),
                tool.title,
                tool.description or f"The tool {tool.name}.",
                signature,
                signature.example(),
            )
        )
    if not found:
        raise BadInput("The MCP server has no tools.", code="service.endpoint")
    return found


def model_at(address: Address, name: str = "", description: str = "") -> Standing:
    """A model behind an OpenAI-compatible endpoint; BadInput where it has no name or its key cannot be read.
    The endpoint is not asked: a question may cost its owner money."""
    if not address.name:
        raise BadInput(
            "Which model is asked was not said.", hint="Name it with --model.", code="service.endpoint"
        )
    address.secret()
    title = name or address.name
    summary = description or f"Chat completions of {title}."
    return Standing(address, title, summary, signature_of(address, title, summary), EXAMPLE)
