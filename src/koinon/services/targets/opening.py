# SPDX-License-Identifier: Apache-2.0
"""What runs a service that stands already, from the gateway's list of services."""

from __future__ import annotations

from koinon.services.gateway.endpoint import Endpoint
from koinon.services.gateway.executor import Runner
from koinon.services.gateway.registry import Service
from koinon.services.selling.signature import Signature
from koinon.services.targets.address import MCP, is_target, parse
from koinon.services.targets.mcp import McpTool
from koinon.services.targets.openai import ChatModel


def open_target(service: Service) -> Runner:
    """The runner of a service of kind ``endpoint``; BadInput where its target or key is wrong."""
    if not is_target(service.target):
        return Endpoint(
            service.target,
            service.name,
            service.description,
            example=service.example,
            timeout_s=service.timeout_s,
        )
    address = parse(service.target)
    if address.kind == MCP:
        return McpTool(address, Signature.from_dict(service.schema), timeout_s=service.timeout_s)
    return ChatModel(address, service.name, service.description, timeout_s=service.timeout_s)
