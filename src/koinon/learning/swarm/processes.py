# SPDX-License-Identifier: Apache-2.0
"""Peers' processes on this machine. They end with who started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain.child import bound
from koinon.learning.models.custom import TRUSTED
from koinon.learning.swarm.config import PeerConfig

PROGRAM: Final = ("-m", "koinon.learning.swarm.peer")
_STOP_S: Final = 15


class PeerProcess:
    """One peer; what it says goes to ``peer.log`` in its folder. `start` again after it was killed.

    Parameters
    ----------
    program : sequence of str
        What Python runs, with the config's path as its last argument.
    """

    def __init__(
        self, config: PeerConfig, home: Path, account: str, rpc_url: str, program: Sequence[str] = PROGRAM
    ) -> None:
        self.config, self.home, self.account = config, home, account
        self._rpc_url, self._program = rpc_url, program
        self.log = home / "peer.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, or start again."""
        path = self.home / "peer.json"
        self.config.save(path)
        environment = {
            name: text
            for name, text in os.environ.items()
            if name == TRUSTED or not name.startswith("KOINON_")
        }
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "KOINON_RPC_URL": self._rpc_url}
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                bound([sys.executable, *self._program, str(path)]),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self._child is not None and self._child.poll() is None

    @property
    def status(self) -> int | None:
        """How it ended; None while it runs or before it was started."""
        return None if self._child is None else self._child.poll()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._child is not None:
            self._child.send_signal(signal.SIGKILL)
            self._child.wait()

    def leave(self) -> None:
        """Ask it to leave the run."""
        if self._child is not None:
            self._child.send_signal(signal.SIGTERM)

    def stop(self, patience_s: float = _STOP_S) -> None:
        """Let it finish, then make it."""
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(patience_s)
            self.kill()

    def events(self) -> list[dict[str, Any]]:
        """What it told so far; lines that are no events are left out."""
        found = []
        with suppress(OSError):
            for line in self.log.read_bytes().splitlines():
                with suppress(ValueError):
                    found.append(orjson.loads(line))
        return [one for one in found if isinstance(one, dict) and "event" in one]

    def last_words(self) -> str:
        """The end of its log, for people."""
        with suppress(OSError):
            lines = self.log.read_text(errors="replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""
