# SPDX-License-Identifier: Apache-2.0
"""The people of the tour: each with a data directory, a key and processes of their own."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from koinon.chain.child import bound
from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.errors import PeerError
from koinon.node import OPERATOR, Node
from koinon.settings import Settings

STOP_S = 20
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class Party:
    """Somebody who takes part. ``home`` is a Koinon data directory like anyone's."""

    name: str
    home: Path
    key: Key

    @classmethod
    def settle_in(cls, node: Node, name: str, home: Path) -> Self:
        """A party's data directory with a key, the network's description and the node's content store."""
        settings = Settings.load({}, home=home)
        settings.ensure_home()
        key = Keyring(settings.keys, derivation="pbkdf2", environment={}).open(OPERATOR)
        node.chain.network.save(settings.network)
        if not settings.blocks.exists():  # content is public: one store serves everybody on this machine
            node.store.path.mkdir(parents=True, exist_ok=True)
            settings.blocks.symlink_to(node.store.path, target_is_directory=True)
        return cls(name, home, key)

    @property
    def address(self) -> str:
        return self.key.address

    def account(self) -> dict[str, str]:
        """The fields of a process's configuration that say which network and whose key."""
        ring = Keyring(self.home / "keys")
        return {
            "network": str(self.home / "network.json"),
            "key": str(ring.path(OPERATOR)),
            "password_file": str(ring.password_file),
        }

    def start(self, module: str, *arguments: str, rpc_url: str) -> Process:
        """A process of this party: ``python -m module arguments``."""
        environment = {name: text for name, text in os.environ.items() if not name.startswith("KOINON_")}
        environment |= {"KOINON_HOME": str(self.home), "KOINON_RPC_URL": rpc_url}
        return Process(self.name, [sys.executable, "-m", module, *arguments], environment, self.home)


@dataclass(frozen=True)
class Cast:
    """Who takes part."""

    opener: Party
    gateway: Party
    buyer: Party
    lenders: tuple[Party, ...]


class Process:
    """A child that says what happens as one JSON object a line, and ends with the tour.

    Raises PeerError, with the child's own last words, from `events` when it ends badly.
    """

    def __init__(self, name: str, command: list[str], environment: dict[str, str], home: Path) -> None:
        self.name = name
        self._log = home / "process.log"
        with self._log.open("ab") as log:
            self._start_of_log = log.tell()
            self._child = subprocess.Popen(
                bound(command),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is the tour's to handle
            )
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name=f"read {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def events(self, timeout_s: float = 300, needs: Process | None = None) -> Iterator[dict[str, Any]]:
        """What the child says until it ends; ``timeout_s`` is the longest silence.

        ``needs`` is another child that this one cannot do without: PeerError as soon as that ends.
        """
        while True:
            line = self._next_line(timeout_s, needs)
            if line is None:
                break
            try:
                event = orjson.loads(line)
            except ValueError:
                continue  # a library's own words
            if isinstance(event, dict):
                if event.get("event") == "failed":
                    raise PeerError(f"{self.name}: {event.get('title', 'failed')}", code="tour.party_failed")
                yield event
        if self._child.wait() != 0:
            raise self._ended()

    def wait_for(self, event: str, timeout_s: float = 60) -> dict[str, Any]:
        """The first event of that name; PeerError when the child ends without it."""
        for said in self.events(timeout_s):
            if said.get("event") == event:
                return said
        raise PeerError(f"{self.name}'s process ended before it was {event}.", code="tour.party_failed")

    def result(self, timeout_s: float = 120) -> dict[str, Any]:
        """The last thing a child said that ended well."""
        last: dict[str, Any] = {}
        for last in self.events(timeout_s):  # noqa: B007  (the last one is wanted)
            pass
        return last

    def stop(self) -> None:
        """Ask the child to end, and make it."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._reader.join(STOP_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _read(self) -> None:
        assert self._child.stdout is not None  # noqa: S101  (asked for above)
        with self._child.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)

    def _next_line(self, timeout_s: float, needs: Process | None) -> bytes | None:
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            try:
                return self._lines.get(timeout=max(0.0, min(left, _LOOK_EVERY_S)))
            except queue.Empty:
                if needs is not None and needs._child.poll() is not None:
                    raise needs._ended() from None
                if left <= 0:
                    raise PeerError(
                        f"{self.name} has said nothing for {timeout_s:.0f} s.", code="tour.silent"
                    ) from None

    def _ended(self) -> PeerError:
        status = self._child.returncode
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return PeerError(
            f"{self.name}'s process {how}. {self._last_words()}".rstrip(),
            hint=f"Nothing is lost: run the tour again. The log is {self._log}.",
            code="tour.party_failed",
        )

    def _last_words(self) -> str:
        with self._log.open("rb") as log:
            log.seek(self._start_of_log)
            lines = log.read()[-4000:].decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""
