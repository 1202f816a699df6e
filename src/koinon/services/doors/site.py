# SPDX-License-Identifier: Apache-2.0
"""All doors of a gateway by their addresses.

POST /mcp, /services/ID/mcp           MCP: all services as tools, or one
POST /a2a, /services/ID/a2a           A2A: all services as skills of one agent, or one
GET  …/.well-known/agent-card.json    the A2A card, of the gateway and beneath each service's address
GET  /services/ID/.well-known/agent-registration.json   ERC-8004's file of a service with all its doors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import orjson

from koinon.services.doors.a2a import DRAIN_S, A2a
from koinon.services.doors.card import card
from koinon.services.doors.mcp import HANDSHAKE, Mcp
from koinon.services.doors.skill import Application, Skill
from koinon.services.gateway.asgi import JSON, Receive, RequestProblem, Scope, Send, header, respond

CARD: Final = "/.well-known/agent-card.json"
FORMER_CARD: Final = "/.well-known/agent.json"
REGISTRATION: Final = "/.well-known/agent-registration.json"
A2A_VERSION: Final = "1.0"
MCP_VERSION: Final = HANDSHAKE[0]

_ENDS: Final = ("/mcp", "/a2a", CARD, FORMER_CARD, REGISTRATION)


def endpoints(base: str) -> list[dict[str, str]]:
    """ERC-8004's ``services`` of whatever is sold at an address."""
    return [
        {"name": "A2A", "endpoint": f"{base}{CARD}", "version": A2A_VERSION},
        {"name": "MCP", "endpoint": f"{base}/mcp", "version": MCP_VERSION},
    ]


class Described(Protocol):
    """A service as a gateway holds it; ``description`` is the JSON that plain HTTP gives of it."""

    @property
    def description(self) -> bytes: ...


class Doors:
    """Everything beside plain HTTP.

    Parameters
    ----------
    application : callable
        The ASGI application that runs and charges calls by plain HTTP.
    url : str
        How its clients reach it, without a slash at the end.
    shelf : mapping
        Path → service, as the application holds it from moment to moment.
    """

    def __init__(self, application: Application, url: str, shelf: Mapping[str, Described]) -> None:
        self._url = url
        self._shelf = shelf
        self._skills: dict[str, tuple[bytes, Skill]] = {}
        self._mcp = Mcp(application)
        self._a2a = A2a(application)

    def takes(self, path: str) -> bool:
        """Whether an address is a door's."""
        place = self._place(path)
        if place is None:
            return False
        return (place[1] != REGISTRATION) if place[0] == "" else place[0] in self._shelf

    async def close(self, drain_s: float = DRAIN_S) -> None:
        """End what still runs behind a door, after so many seconds in which it may end by itself."""
        await self._a2a.close(drain_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request to an address that `takes` said yes to."""
        base, end = self._place(scope["path"]) or ("", "")
        self._check_origin(scope)
        skills = [self._skill(base)] if base else [self._skill(path) for path in self._shelf]
        if not base:
            skills = [skill for skill in skills if not skill.retired]
        if end == "/mcp":
            await self._mcp(scope, receive, send, skills)
        elif end == "/a2a":
            await self._a2a(scope, receive, send, skills)
        elif scope["method"] not in ("GET", "HEAD"):
            raise RequestProblem(405, "This address is only read.", "Use GET.", "service.method")
        elif end == REGISTRATION:
            await respond(send, 200, [JSON], orjson.dumps(_registration(skills[0])))
        elif base:
            only = skills[0]
            await respond(send, 200, [JSON], card(only.title, only.about, f"{only.url}/a2a", skills))
        else:
            about = "Services that are called for money; every payment goes to the Work's till."
            await respond(send, 200, [JSON], card("Koinon gateway", about, f"{self._url}/a2a", skills))

    def _place(self, path: str) -> tuple[str, str] | None:
        """The service's path, empty for the whole gateway, and which door of it."""
        for end in _ENDS:
            if path.endswith(end):
                return path.removesuffix(end), end
        return None

    def _skill(self, path: str) -> Skill:
        document = self._shelf[path].description
        known = self._skills.get(path)
        if known is None or known[0] is not document:
            known = (document, Skill.from_description(path, document))
            self._skills[path] = known
        return known[1]

    def _check_origin(self, scope: Scope) -> None:
        """Pages of other sites do not call this machine through their visitors' browsers (DNS rebinding)."""
        origin = header(scope, b"origin").decode("latin-1")
        if origin and urlsplit(origin).netloc != urlsplit(self._url).netloc:
            raise RequestProblem(
                403, "Pages of other sites may not call this.", "Call it from a program.", "service.origin"
            )


def _registration(skill: Skill) -> dict[str, Any]:
    registry, _, agent = skill.work.rpartition("/")
    return {
        "type": "https://eips.ethereum.org/EIPS/eip-8004#registration-v1",
        "name": skill.title,
        "description": skill.about,
        "services": [{"name": "web", "endpoint": skill.url}, *endpoints(skill.url)],
        "x402Support": bool(skill.price),
        "active": True,
        "registrations": [{"agentId": int(agent), "agentRegistry": registry}],
    }
