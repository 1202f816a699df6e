# SPDX-License-Identifier: Apache-2.0
"""The agents of a data directory: what each is made from, and whether their host runs."""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.agents.address import Address
from koinon.agents.host import HOST_FILE, MAILBOXES
from koinon.chain.keys import write_private
from koinon.errors import NotFound

ROOM: Final = "agents"
_PLACE: Final = "place"


@dataclass(frozen=True)
class KeptAgent:
    """An agent published from here. ``target`` as `load_agent` takes it, ``key`` the name of its account's
    key, ``url`` where its Work says that it answers."""

    work_id: int
    account: str
    name: str
    target: str
    key: str
    url: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> Address:
        """Its address."""
        return Address(self.work_id, self.account)

    def save(self, folder: Path) -> None:
        """Keep it, readable by its owner only."""
        write_private(folder / f"{self.work_id}.json", orjson.dumps(asdict(self)))


def kept_agents(folder: Path) -> list[KeptAgent]:
    """Every agent kept in a folder, by its Work's id."""
    found = [file for file in folder.glob("*.json") if file.stem.isdigit()]
    return sorted((KeptAgent(**orjson.loads(file.read_bytes())) for file in found), key=lambda x: x.work_id)


def kept_agent(folder: Path, work_id: int) -> KeptAgent:
    """One of them; NotFound where it is not here."""
    for each in kept_agents(folder):
        if each.work_id == work_id:
            return each
    raise NotFound(
        f"Agent {work_id} is not in this data directory.",
        hint="See which are: koinon agent list",
        code="agents.not_here",
    )


def running_host(folder: Path) -> dict[str, Any] | None:
    """``url`` and ``pid`` of the process that runs the agents of a folder; None where none does."""
    try:
        with (folder / MAILBOXES).with_suffix(".lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            found = orjson.loads((folder / HOST_FILE).read_bytes())
        except (OSError, ValueError):
            return None
        return dict(found)
    except OSError:
        return None
    return None


def expect_host(folder: Path, url: str) -> None:
    """Say where the agents of a folder are going to be reached."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(folder / _PLACE, url.encode())


def expected_host(folder: Path) -> str:
    """Where they are reached, as was said last; '' where nobody said it."""
    try:
        return (folder / _PLACE).read_text()
    except OSError:
        return ""
