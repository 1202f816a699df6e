# SPDX-License-Identifier: Apache-2.0
"""Processes of verification as a test starts, hears and kills them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from koinon.chain.keys import Key

PASSWORD = "only for tests"
PATIENCE_S = 120.0


@dataclass
class Process:
    """``python -m MODULE CONFIG`` and the JSON lines it says."""

    module: str
    folder: Path
    key: Key
    network_file: Path
    options: dict[str, Any] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)

    def start(self) -> Process:
        self.folder.mkdir(parents=True, exist_ok=True)
        key_file, password_file = self.folder / "key.json", self.folder / "password"
        if not key_file.exists():
            self.key.save(key_file, PASSWORD, derivation="pbkdf2")
            password_file.write_text(PASSWORD)
        config = {
            "network": str(self.network_file),
            "key": str(key_file),
            "password_file": str(password_file),
            **self.options,
        }
        path = self.folder / "config.json"
        path.write_text(json.dumps(config))
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", self.module, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self._ears = threading.Thread(target=self._listen, args=(self.process,), daemon=True)
        self._ears.start()
        return self

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.said.append(json.loads(line))

    def heard(self, event: str) -> list[dict[str, Any]]:
        return [each for each in list(self.said) if each["event"] == event]

    def wait_for(self, event: str) -> dict[str, Any]:
        wait_until(lambda: bool(self.heard(event)), lambda: f"{self.module} said {self.said}")
        return self.heard(event)[-1]

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self._end()

    def close(self) -> None:
        """Whatever became of it, nothing of it is left."""
        if self.process.poll() is None:
            self.process.kill()
        self._end()

    def stop(self) -> None:
        """SIGTERM, and a clean end."""
        if self.process.poll() is None:
            self.process.terminate()
        assert self._end() == 0, self.said

    def _end(self) -> int:
        status = self.process.wait(60)
        self._ears.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


def wait_until(condition: Callable[[], bool], otherwise: Callable[[], str] = lambda: "") -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"it did not come to that: {otherwise()}"
        time.sleep(0.1)
