# SPDX-License-Identifier: Apache-2.0
"""Owners' processes on this machine, watched so that a dead one does not hold up a round.

They end with who started them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from koinon.chain.child import bound
from koinon.chain.handle import Chain
from koinon.learning.led_run import LedRun
from koinon.learning.models.custom import TRUSTED
from koinon.learning.owner_config import OwnerConfig

STOP_S = 10


@dataclass(frozen=True)
class LocalOwner:
    """An owner on this machine: its config, its folder, and its address."""

    config: OwnerConfig
    home: Path
    address: str


class Engine(Protocol):
    """What the owners of a run that is led here run on."""

    def __call__(
        self, led: LedRun, owners: Sequence[LocalOwner], chain: Chain | None
    ) -> AbstractContextManager[None]:
        """Have the owners take part as long as the context is open."""


class OwnerProcess:
    """``python -m koinon.learning.owner`` for one owner; what it says goes to ``owner.log`` in its folder.

    Parameters
    ----------
    gone : callable
        Called with the owner's address when the process ends otherwise than well.
    """

    def __init__(
        self, config: OwnerConfig, home: Path, address: str, gone: Callable[[str], None], chain: Chain | None
    ) -> None:
        path = home / "owner.json"
        config.save(path)
        self.address, self._gone = address, gone
        self.log = home / "owner.log"
        environment = {
            name: text
            for name, text in os.environ.items()
            if name == TRUSTED or not name.startswith("KOINON_")
        }
        environment["OPENBLAS_NUM_THREADS"] = "1"  # as many processes as owners share the cores
        if chain is not None:
            environment["KOINON_RPC_URL"] = chain.rpc.url
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(
                bound([sys.executable, "-m", "koinon.learning.owner", str(path)]),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._watcher = threading.Thread(target=self._watch, name=f"watch {address}", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def stop(self, patience_s: float = STOP_S) -> int:
        """Let it finish, then make it; its exit status."""
        try:
            self._child.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._watcher.join(STOP_S)
        return int(self._child.returncode)

    def _watch(self) -> None:
        if self._child.wait() != 0:
            self._gone(self.address)


@contextmanager
def owner_processes(led: LedRun, owners: Sequence[LocalOwner], chain: Chain | None) -> Iterator[None]:
    """A process an owner, which speaks to the leader itself."""
    processes: list[OwnerProcess] = []
    try:
        for owner in owners:
            processes.append(OwnerProcess(owner.config, owner.home, owner.address, led.gone, chain))
        yield
    finally:
        for process in processes:
            process.stop()
