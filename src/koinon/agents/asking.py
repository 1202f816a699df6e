# SPDX-License-Identifier: Apache-2.0
"""Sending by hand: what an agent takes, what its host answers, and a reply that nobody's host waits for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson

from koinon.agents.address import Address
from koinon.agents.behaviour import PLAIN
from koinon.agents.flow import reply_to
from koinon.errors import BadInput, NotFound, PeerError
from koinon.services.buying.transport import Http

REPLY_S: Final = 30.0
"""How long a reply of an agent of this data directory is waited for, in seconds."""

_LOOK_S: Final = 0.1
NO_WAY: Final = (
    "It may answer, but no reply can come here: you are no agent with a host. Send it from an agent of yours."
)
SILENT: Final = f"It has not answered within {REPLY_S:.0f} s; a later answer stands among its messages."


@dataclass(frozen=True)
class Told:
    """What came of a message: ``answer`` (its type and fields) where there is one, the signed envelope's id
    where it was none of a skill, and a ``note`` where an answer is not to be had."""

    message_id: str = ""
    answer_type: str = ""
    answer: Mapping[str, Any] | None = None
    note: str = ""


def await_reply(folder: Path, session: UUID, me: Address, identity: bytes) -> Told:
    """The reply to what ``me`` sent an agent of a folder, once it is among that host's messages."""
    end = time.monotonic() + REPLY_S
    while time.monotonic() < end:
        found = reply_to(folder, session, me)
        if found is not None:
            return Told(identity.hex(), found[0], orjson.loads(found[1]))
        time.sleep(_LOOK_S)
    return Told(identity.hex(), note=SILENT)


def handling(manifest: Mapping[str, Any], name: str) -> tuple[bytes, Mapping[str, Any]]:
    try:
        for protocol in manifest["protocols"]:
            for handled in protocol["handles"]:
                if handled["message"] == name:
                    return bytes.fromhex(protocol["digest"]) or PLAIN, handled
    except (KeyError, TypeError, ValueError):
        raise PeerError(
            "What the agent's host says of it makes no sense.", code="agents.bad_answer"
        ) from None
    raise NotFound(
        f"The agent takes no message {name}.",
        hint="See what it takes: koinon agent show ID",
        code="agents.not_understood",
    )


def read_json(http: Http, url: str) -> dict[str, Any]:
    answer = http.request("GET", url)
    return read_answer(answer.status, answer.body)


def read_answer(status: int, body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except ValueError:
        found = None
    if status == 200 and isinstance(found, dict):
        return found
    if isinstance(found, dict) and "title" in found:
        raise PeerError(str(found["title"]), hint=str(found.get("detail", "")), code="agents.refused")
    raise PeerError(f"The agent's host answered with HTTP status {status}.", code="agents.bad_answer")


def read_fields(text: str) -> dict[str, Any]:
    """The fields of a message as typed in a shell; BadInput where they are no JSON object."""
    try:
        fields = orjson.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise BadInput(
            f"{text} is not a JSON object.", hint="""Write it like '{"amount": 5}'.""", code="agents.fields"
        )
    return fields
