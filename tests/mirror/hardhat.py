# SPDX-License-Identifier: Apache-2.0
"""A hardhat node (a second EVM, written in Rust) on loopback, for as long as the context lasts."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import Any

from koinon.chain.child import bound
from koinon.chain.rpc import Rpc
from koinon.errors import SetupError

SCRIPT = Path(__file__).with_name("node.mjs")
START_TIMEOUT_S = 60.0
IDLE_S = 2.0
ADDRESS = re.compile(rb"http://127\.0\.0\.1:\d+")


class Connection(Rpc):
    """Like `Rpc`, but opens anew after a pause: the node hangs up on who says nothing for five seconds, and
    compiling a contract takes longer."""

    _last_used = 0.0

    def call(self, method: str, *parameters: Any) -> Any:
        self._hang_up_when_stale()
        return super().call(method, *parameters)

    def batch(self, requests: Sequence[tuple[str, Sequence[Any]]], *, raise_errors: bool = True) -> list[Any]:
        self._hang_up_when_stale()
        return super().batch(requests, raise_errors=raise_errors)

    def _hang_up_when_stale(self) -> None:
        if monotonic() - self._last_used > IDLE_S:
            self.close()
        self._last_used = monotonic()


@contextmanager
def hardhat(*, chain_id: int, hardfork: str, timestamp: int) -> Iterator[Rpc]:
    """A connection to a new node whose first block has this time (Unix seconds).

    Raises
    ------
    SetupError
        There is no Node.js here, or hardhat does not start.
    """
    node = shutil.which("node")
    if node is None:
        raise SetupError("Node.js was not found.", hint="Install it, then run make setup-dev.")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "package.json").write_text('{"type": "module"}', encoding="utf-8")
        process = subprocess.Popen(
            bound([node, str(SCRIPT), folder, str(chain_id), hardfork, str(timestamp)]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
        try:
            with Connection(_address(process), timeout_s=120) as rpc:
                yield rpc
        finally:
            process.kill()
            process.communicate()


def _address(process: subprocess.Popen[bytes]) -> str:
    """Where the node says that it listens."""
    if process.stdout is None:
        raise AssertionError("the node's output is a pipe")
    said, ends = b"", monotonic() + START_TIMEOUT_S
    with DefaultSelector() as selector:
        selector.register(process.stdout, EVENT_READ)
        while monotonic() < ends and selector.select(max(0.0, ends - monotonic())):
            chunk = process.stdout.read(65_536)
            if not chunk:
                break
            said += chunk
            if match := ADDRESS.search(said):
                return match[0].decode()
    raise SetupError(
        f"The hardhat node did not start: {said.decode(errors='replace')[:2000]}",
        hint="Run make setup-dev; hardhat's own part for this machine may be missing.",
    )
