# SPDX-License-Identifier: Apache-2.0
"""Finding the folder of a development chain that runs on this machine, by the port it answers on.

Whoever sends on such a chain keeps transactions in its folder (see `devnet_outbox`). A gateway or an owner's
process knows the chain's address only; the running anvil's command line names the folder.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import orjson

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_STATE: Final = "--load-state"


def folder_of(rpc_url: str, genesis_hash: str) -> Path | None:
    """The folder of the development chain with this genesis block at this address, if this user's process
    here may write there."""
    parts = urlsplit(rpc_url)
    if parts.hostname not in _LOOPBACK or parts.port is None:
        return None
    for words in _commands():
        if _option(words, "--port") == str(parts.port) and (state := _option(words, _STATE)):
            folder = Path(state).parent
            if _genesis(folder) == genesis_hash and os.access(folder, os.W_OK):
                return folder
    return None


def _commands() -> Iterator[list[str]]:
    """The command lines of running processes."""
    if Path("/proc/self/cmdline").exists():
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    yield (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                except OSError:
                    continue  # it has ended
        return
    try:
        listed = subprocess.run(
            ["ps", "-axww", "-o", "command="], capture_output=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    for line in listed.stdout.decode(errors="replace").splitlines():
        yield line.split(" ")


def _option(words: list[str], name: str) -> str | None:
    if name not in words[:-1]:
        return None
    return words[words.index(name) + 1]


def _genesis(folder: Path) -> str | None:
    try:
        return str(orjson.loads((folder / "devnet.json").read_bytes())["genesis_hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
