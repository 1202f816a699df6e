# SPDX-License-Identifier: Apache-2.0
"""The options of ``koinon service publish`` for what stands already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from koinon.errors import BadInput
from koinon.services.gateway.metering import TOKEN
from koinon.services.targets.address import MCP, MOST_TOKENS, OPENAI, Address, check_key, is_target, parse
from koinon.services.targets.publishing import Standing, model_at, tools_at

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--mcp", default="", metavar="URL", help="Sell the tools of this MCP server, each by itself."
    ),
    click.option("--tool", "tools", multiple=True, help="Only this tool of the MCP server. Repeat it."),
    click.option(
        "--openai", default="", metavar="URL", help="Sell a model of this OpenAI-compatible endpoint."
    ),
    click.option("--model", default="", help="Which model is asked there."),
    click.option("--key", default="", help="Where the key for it lies: env:VARIABLE or file:PATH."),
    click.option(
        "--per",
        type=click.Choice(["call", TOKEN]),
        default="call",
        show_default=True,
        help="What a model's price is for.",
    ),
    click.option(
        "--most-tokens",
        default=MOST_TOKENS,
        show_default=True,
        help="Of a question to a model and its answer together.",
    ),
    click.option("--stream", is_flag=True, help="A model answers in parts, and is paid as it does."),
)


@dataclass(frozen=True)
class Asked:
    """What is to be published, and by what unit it is priced."""

    standing: tuple[Standing, ...]
    unit: str = ""
    most_units: int = 1


def standing_options(command: Command) -> Command:
    """Adds the options to a command, in this order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_options(
    target: str,
    *,
    name: str,
    description: str,
    mcp: str,
    tools: tuple[str, ...],
    openai: str,
    model: str,
    key: str,
    per: str,
    most_tokens: int,
    stream: bool,
) -> Asked | None:
    """What the options ask for; None where they ask for a function or an endpoint. BadInput, PeerError."""
    given = [part for part in (target, mcp, openai) if part]
    if len(given) != 1:
        raise BadInput(
            "Publish one thing at a time.",
            hint="Give app.py:function or a URL, or --mcp URL, or --openai URL with --model.",
            code="service.endpoint",
        )
    if mcp:
        address = parse(f"{MCP}{mcp}")
    elif openai:
        address = parse(f"{OPENAI}{openai}")
    elif is_target(target):
        address = parse(target)
    else:
        return None
    place = check_key(key) or address.key
    if address.kind == MCP:
        only = tools or ((address.name,) if address.name else ())
        return Asked(tuple(tools_at(Address(MCP, address.url, key=place), only)))
    address = Address(OPENAI, address.url, model or address.name, place, most_tokens, stream)
    found = (model_at(address, name, description),)
    return Asked(found, TOKEN, most_tokens) if per == TOKEN else Asked(found)
