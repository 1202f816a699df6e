# SPDX-License-Identifier: Apache-2.0
"""What an agent says of itself: the messages it takes, in which protocols, and what anybody may ask it."""

from __future__ import annotations

from typing import Any, Final

from koinon.agents.behaviour import Agent, Behaviour, Protocol, protocol_digest
from koinon.agents.post import Post

ROOT: Final = "/agents"


def called(agent: Agent) -> tuple[str, str]:
    """What people call an agent, and what it is for: its class's name and first line."""
    about = (type(agent).__doc__ or "").strip().split("\n")[0]
    return type(agent).__name__, about or f"The agent {type(agent).__name__}."


def place(post: Post) -> str:
    """The path of an agent on its host."""
    return f"{ROOT}/{post.address.work_id or post.address.account}"


def manifest(post: Post, url: str) -> dict[str, Any]:
    """An agent as JSON fields; digests as hex, schemas as JSON Schema."""
    agent = post.agent
    name, about = called(agent)
    return {
        "address": str(post.address),
        "work_id": post.address.work_id,
        "account": post.address.account,
        "name": name,
        "summary": about,
        "url": f"{url}{place(post)}",
        "waiting": post.waiting,
        "handled": post.handled,
        "protocols": [_described(behaviour) for behaviour in agent.behaviours()],
    }


def _described(behaviour: Behaviour) -> dict[str, Any]:
    named = isinstance(behaviour, Protocol)
    return {
        "name": behaviour.name if isinstance(behaviour, Protocol) else "",
        "version": behaviour.version if isinstance(behaviour, Protocol) else "",
        "digest": protocol_digest(behaviour).hex() if named else "",
        "handles": [
            {
                "message": handler.schema.name,
                "digest": handler.schema.digest.hex(),
                "summary": handler.summary,
                "skill": handler.skill,
                "schema": handler.schema.full,
                "replies": [
                    {"message": reply.name, "digest": reply.digest.hex(), "schema": reply.full}
                    for reply in handler.replies
                ],
            }
            for handler in behaviour.handlers.values()
        ],
    }
