# SPDX-License-Identifier: Apache-2.0
"""An agent as stock clients know agents: an A2A card with its skills, and an MCP server with them as tools.

    GET  /agents/ID/.well-known/agent-card.json    the A2A card
    POST /agents/ID/a2a                            A2A 1.0 (and 0.3), JSON-RPC
    POST /agents/ID/mcp                            MCP, streamable HTTP
    POST /agents/ID/skills/NAME                    what both come to: fields of the message → {"result": …}

Their users sign nothing, so what comes this way is a guest's and reaches handlers marked ``skill`` alone.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from koinon.agents.behaviour import Handler
from koinon.agents.manifest import called, place
from koinon.agents.post import Post
from koinon.chain.eip712 import Domain
from koinon.services.doors.a2a import A2a
from koinon.services.doors.card import card
from koinon.services.doors.mcp import Mcp
from koinon.services.doors.skill import Application, Skill
from koinon.services.gateway.asgi import JSON, Receive, RequestProblem, Scope, Send, header, respond

CARD: Final = ".well-known/agent-card.json"
SKILLS: Final = "skills/"
_MCP: Final = "mcp"
_A2A: Final = "a2a"


class Stock:
    """The doors of all agents of a host.

    Parameters
    ----------
    application : callable
        The host's own application, which answers ``/agents/ID/skills/NAME``.
    domain : Domain
        Names the chain and its registry.
    url : str
        Where the host is reached.
    """

    def __init__(self, application: Application, domain: Domain, url: str) -> None:
        self._domain, self._url = domain, url
        self._mcp, self._a2a = Mcp(application), A2a(application)

    @staticmethod
    def takes(rest: str) -> bool:
        """Whether what follows ``/agents/ID/`` is one of these doors."""
        return rest in (CARD, _MCP, _A2A)

    async def close(self) -> None:
        """End what still runs."""
        await self._a2a.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send, post: Post, rest: str) -> None:
        """One request to a door that `takes` said yes to."""
        skills = [self._skill(post, handler) for handler in skills_of(post)]
        if rest == _MCP:
            await self._mcp(scope, receive, send, skills)
        elif rest == _A2A:
            await self._a2a(scope, receive, send, skills)
        elif scope["method"] not in ("GET", "HEAD"):
            raise RequestProblem(405, "A card is only read.", "Use GET.", "agents.method")
        else:
            name, about = called(post.agent)
            base = f"{self._url}{place(post)}"
            await respond(send, 200, [JSON], card(name, about, f"{base}/{_A2A}", skills))

    def _skill(self, post: Post, handler: Handler) -> Skill:
        path = f"{place(post)}/{SKILLS}{handler.schema.name}"
        registry = f"eip155:{self._domain.chain_id}:{self._domain.verifying_contract}"
        return Skill(
            name=handler.schema.name,
            title=handler.schema.name,
            description=handler.summary or f"Send the agent a {handler.schema.name}.",
            path=path,
            url=f"{self._url}{path}",
            price="",
            input_schema=handler.schema.full,
            output_schema=_answers(handler),
            example={},
            work=f"{registry}/{post.address.work_id}",
            work_id=post.address.work_id,
        )


def skills_of(post: Post) -> list[Handler]:
    """What anybody may ask an agent."""
    return [
        handler
        for behaviour in post.agent.behaviours()
        for handler in behaviour.handlers.values()
        if handler.skill
    ]


def check_origin(scope: Scope, url: str) -> None:
    """Pages of other sites do not call this host through their visitors' browsers (DNS rebinding)."""
    origin = header(scope, b"origin").decode("latin-1")
    if origin and urlsplit(origin).netloc != urlsplit(url).netloc:
        raise RequestProblem(
            403, "Pages of other sites may not call this.", "Call it from a program.", "agents.origin"
        )


def _answers(handler: Handler) -> dict[str, Any]:
    """The JSON schema of a skill's answers; empty where there may be several."""
    if not handler.replies:
        return {"type": "object"}
    return dict(handler.replies[0].full) if len(handler.replies) == 1 else {}
