# SPDX-License-Identifier: Apache-2.0
"""A2A messages: what a client says, read, and what it is told, in 1.0's JSON and in 0.3's.

Source: A2A specification 1.0, "Protocol data model"; specification 0.3.0, section 6.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from koinon.services.doors.jsonrpc import INVALID_PARAMS, RpcError, write_json
from koinon.services.doors.skill import Skill, plain_numbers

SKILL: Final = "koinon.skill"
"""Metadata that names the skill where an agent has several."""

CONTENT_TYPE: Final = -32005
_LONGEST_ID: Final = 128


@dataclass(frozen=True)
class Said:
    """A client's message. ``task_id`` and ``context_id`` are empty where it names none."""

    message_id: str
    task_id: str
    context_id: str
    parts: Sequence[Mapping[str, Any]]
    metadata: Mapping[str, Any]
    raw: Mapping[str, Any]


def read_message(params: Mapping[str, Any]) -> Said:
    """The message of SendMessage's parameters; RpcError where it is none."""
    message = params.get("message")
    if not isinstance(message, dict):
        raise RpcError(INVALID_PARAMS, "The parameters hold no message.")
    parts, metadata = _given(message, "parts", []), _given(message, "metadata", {})
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise RpcError(INVALID_PARAMS, "The message's parts are no list of objects.")
    if message.get("role") not in ("ROLE_USER", "user"):
        raise RpcError(INVALID_PARAMS, "The message is not the user's.")
    wider = _given(params, "metadata", {})
    if not isinstance(metadata, dict) or not isinstance(wider, dict):
        raise RpcError(INVALID_PARAMS, "The metadata are no object.")
    return Said(
        message_id=_id(message, "messageId"),
        task_id=_id(message, "taskId", needed=False),
        context_id=_id(message, "contextId", needed=False),
        parts=parts,
        metadata={**wider, **metadata},
        raw=message,
    )


def choose(said: Said, skills: Sequence[Skill]) -> Skill:
    """The skill that a message is for; RpcError where it is not clear."""
    wanted = said.metadata.get(SKILL)
    if wanted is None and len(skills) == 1:
        return skills[0]
    for skill in skills:
        if wanted is not None and wanted in (skill.name, skill.work, str(skill.work_id)):
            return skill
    raise RpcError(
        INVALID_PARAMS,
        f"The message is for no skill of this agent: name one in its metadata under {SKILL!r}.",
    )


def read_input(said: Said, skill: Skill) -> bytes:
    """The service's input: a data part, or JSON as text, or the text for a service that takes one text."""
    for part in said.parts:
        data = part.get("data")
        if isinstance(data, dict):
            return write_json(plain_numbers(data))
    text = "\n".join(part["text"] for part in said.parts if isinstance(part.get("text"), str))
    if not text:
        raise RpcError(CONTENT_TYPE, "The message has neither a data part with an object nor a text part.")
    try:
        found = orjson.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return write_json(found)
    properties = skill.input_schema.get("properties") or {}
    needed = skill.input_schema.get("required") or list(properties)
    if len(needed) == 1 and properties.get(needed[0], {}).get("type") == "string":
        return orjson.dumps({needed[0]: text})
    raise RpcError(
        CONTENT_TYPE,
        f"{skill.title} takes a JSON object: send it as a data part, like "
        f"{orjson.dumps(skill.example).decode()[:500]}.",
    )


def at_once(params: Mapping[str, Any]) -> bool:
    """Whether the client would rather have the task as it is than wait for its end."""
    found = params.get("configuration")
    options = found if isinstance(found, dict) else {}
    return options.get("returnImmediately") is True or options.get("blocking") is False


def history_of(params: Mapping[str, Any]) -> int | None:
    """The most messages of a task's history that the client wants; None for all."""
    found = params.get("configuration")
    length = found.get("historyLength") if isinstance(found, dict) else params.get("historyLength")
    return int(length) if isinstance(length, int | float) and not isinstance(length, bool) else None


def reply(
    task_id: str, context_id: str, text: str, metadata: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A message of the agent's."""
    message: dict[str, Any] = {
        "messageId": secrets.token_hex(16),
        "taskId": task_id,
        "contextId": context_id,
        "role": "ROLE_AGENT",
        "parts": [{"text": text}],
    }
    if metadata:
        message["metadata"] = metadata
    return message


def to_legacy(result: Mapping[str, Any]) -> dict[str, Any]:
    """A task, or an event of one, as clients of 0.3 read it."""
    if "task" in result:
        return {"kind": "task", **_legacy_task(result["task"])}
    if "statusUpdate" in result:
        update = result["statusUpdate"]
        status = _legacy_status(update["status"])
        final = status["state"] not in ("submitted", "working")
        return {"kind": "status-update", **update, "status": status, "final": final}
    update = result["artifactUpdate"]
    return {"kind": "artifact-update", **update, "artifact": _legacy_parts(update["artifact"])}


def _legacy_task(task: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **task,
        "status": _legacy_status(task["status"]),
        "artifacts": [_legacy_parts(artifact) for artifact in task["artifacts"]],
        "history": [_legacy_message(message) for message in task.get("history", ())],
    }


def _legacy_status(status: Mapping[str, Any]) -> dict[str, Any]:
    state = status["state"].removeprefix("TASK_STATE_").lower().replace("_", "-")
    found = {**status, "state": state}
    if "message" in status:
        found["message"] = _legacy_message(status["message"])
    return found


def _legacy_message(message: Mapping[str, Any]) -> dict[str, Any]:
    role = "agent" if message["role"] in ("ROLE_AGENT", "agent") else "user"
    return {**_legacy_parts(message), "kind": "message", "role": role}


def _legacy_parts(holder: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **holder,
        "parts": [{"kind": "data" if "data" in part else "text", **part} for part in holder["parts"]],
    }


def _given(holder: Mapping[str, Any], name: str, default: Any) -> Any:
    """A field, or what stands for it where it is absent or null."""
    found = holder.get(name)
    return default if found is None else found


def _id(message: Mapping[str, Any], name: str, *, needed: bool = True) -> str:
    found = _given(message, name, "")
    if not isinstance(found, str) or len(found) > _LONGEST_ID or (needed and not found):
        raise RpcError(
            INVALID_PARAMS, f"The message's {name} is missing or no text of {_LONGEST_ID} characters."
        )
    return found
