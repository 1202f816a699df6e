# SPDX-License-Identifier: Apache-2.0
"""Owners' processes on this machine, watched so that a dead one does not hold up a round.

They end with who started them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from koinon.chain.child import bound
from koinon.chain.handle import Chain
from koinon.learning.owner import OwnerConfig

STOP_S = 10


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
        environment = {name: text for name, text in os.environ.items() if not name.startswith("KOINON_")}
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
