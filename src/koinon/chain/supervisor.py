# SPDX-License-Identifier: Apache-2.0
"""Keeping a development chain alive: start, watch, save, restart, stop.

One thread owns the anvil process. It starts it, so that the kernel ends anvil when the thread ends, however
that happens; looks after it once a second (exited? silent? too large?); saves the chain when it has grown;
and restarts it from the newest good copy.
"""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from koinon.chain import anvil, foreign
from koinon.chain.keys import write_private
from koinon.chain.rpc import Rpc
from koinon.errors import ChainError, IntegrityError, NodeUnavailable, WrongNetwork

HOST: Final = "127.0.0.1"
_BACKUPS: Final = 3


@dataclass(frozen=True)
class Watch:
    """How a chain is watched: seconds, bytes of resident memory, counts.

    ``restarts`` is how many in a row, none of which lasted ``steady_s``, are too many.
    """

    start_s: float = 30.0
    stop_s: float = 15.0
    look_every_s: float = 1.0
    answer_s: float = 10.0
    silent_looks: int = 3
    save_every_s: float = 10.0
    memory_limit: int = 3 * 2**30
    restarts: int = 5
    steady_s: float = 60.0


@dataclass(frozen=True)
class Identity:
    """What makes a chain this one and no other. ``genesis_hash`` 0x-hex, ``genesis_time`` Unix seconds."""

    chain_id: int
    genesis_hash: str
    genesis_time: int

    def check(self, rpc: Rpc) -> None:
        """`WrongNetwork` unless the node serves this chain."""
        chain_id, genesis = rpc.batch([("eth_chainId", []), ("eth_getBlockByNumber", ["0x0", False])])
        if int(chain_id, 16) != self.chain_id or genesis is None or genesis["hash"] != self.genesis_hash:
            raise WrongNetwork(
                "Another node answers where this development chain should be.",
                hint="Stop that node, or start the chain on another port.",
                code="chain.devnet_stranger",
            )


class Supervisor:
    """Runs one anvil for one folder."""

    def __init__(self, executable: Path, folder: Path, identity: Identity, port: int, watch: Watch) -> None:
        self._executable = executable
        self._folder = folder
        self._identity = identity
        self._port = port
        self._watch = watch
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="devnet", daemon=True)
        self._child: subprocess.Popen[bytes] | None = None
        self._saved_block = -1
        self.restarts = 0
        self.failure: Exception | None = None

    @property
    def pid(self) -> int | None:
        """The running anvil's process id."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def start(self) -> None:
        """Start and wait until the chain answers and is ours; `ChainError` otherwise."""
        self._thread.start()
        self._ready.wait()
        if self.failure is not None:
            self._thread.join()
            raise self.failure

    def stop(self) -> None:
        """Save and end the chain."""
        self._stopping.set()
        self._thread.join()

    # The thread

    def _run(self) -> None:
        try:
            self._launch()
        except Exception as fault:  # whatever it was, `start` raises it in the caller's thread
            self.failure = fault
            self._end()
            self._ready.set()
            return
        self._ready.set()
        failure: ChainError | None = None
        try:
            self._watch_over()
        except ChainError as fault:
            failure = fault
        finally:
            self._end()
        self.failure = failure

    def _watch_over(self) -> None:
        in_a_row = silent = 0
        started = saved = time.monotonic()
        save_every = self._watch.save_every_s
        with Rpc(self._url, timeout_s=self._watch.answer_s) as rpc:
            while not self._stopping.wait(self._watch.look_every_s):
                now = time.monotonic()
                try:
                    block = int(rpc.call("eth_blockNumber"), 16)
                    silent = 0
                    if block != self._saved_block and now - saved >= save_every:
                        self._save(rpc, block)
                        saved = time.monotonic()
                        save_every = max(self._watch.save_every_s, 20 * (saved - now))
                except ChainError:
                    silent += 1
                if self.pid is not None and silent < self._watch.silent_looks and self._fits():
                    continue
                in_a_row = 1 if now - started >= self._watch.steady_s else in_a_row + 1
                if in_a_row > self._watch.restarts:
                    raise NodeUnavailable(
                        "The development chain keeps failing.",
                        hint=f"Look at {self._folder / 'anvil.log'}.",
                        code="chain.devnet_failing",
                    )
                self._end()
                self._launch()
                self.restarts += 1
                silent, started = 0, time.monotonic()

    @property
    def _url(self) -> str:
        return f"http://{HOST}:{self._port}"

    def _launch(self) -> None:
        state = self._folder / "state.json"
        prepare_state(self._folder)
        with (self._folder / "anvil.log").open("wb") as log:
            self._child = anvil.spawn(self._executable, self._arguments(state), log)
        (self._folder / "anvil.pid").write_text(str(self._child.pid))
        with Rpc(self._url, timeout_s=self._watch.answer_s) as rpc:
            self._await_answer(rpc)
            self._identity.check(rpc)
            latest = int(rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
            # anvil counts time from its genesis block; nothing is mined before it is told what time it is
            rpc.call("evm_setTime", max(int(time.time()), latest))
            rpc.call("evm_setAutomine", True)
            foreign.place_missing(rpc)  # a chain begun before its genesis block had them
            self._saved_block = int(rpc.call("eth_blockNumber"), 16)
        if self.pid is None:
            raise self._died()

    def _arguments(self, state: Path) -> list[str]:
        return [
            *("--host", HOST, "--port", str(self._port)),
            *("--chain-id", str(self._identity.chain_id), "--timestamp", str(self._identity.genesis_time)),
            *("--accounts", "0", "--state", str(state), "--prune-history", "512"),
            *("--no-mining", "--no-cors", "--quiet"),
        ]

    def _await_answer(self, rpc: Rpc) -> None:
        deadline = time.monotonic() + self._watch.start_s
        pause = 0.01
        while True:
            if self.pid is None:
                raise self._died()
            try:
                rpc.call("eth_chainId")
            except NodeUnavailable:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(pause)
                pause = min(0.2, 2 * pause)
            else:
                return

    def _died(self) -> NodeUnavailable:
        lines = (self._folder / "anvil.log").read_text(errors="replace").strip().splitlines()
        why = f" ({lines[-1][:200]})" if lines else ""
        return NodeUnavailable(
            f"The development chain ended as soon as it was started{why}.",
            hint=f"Look at {self._folder / 'anvil.log'}.",
            code="chain.devnet_died",
        )

    def _fits(self) -> bool:
        memory = resident_memory(self.pid) if self.pid is not None else 0
        return memory <= self._watch.memory_limit

    def _save(self, rpc: Rpc, block: int) -> None:
        packed = rpc.call("anvil_dumpState")
        write_private(self._folder / "checkpoint.json", gzip.decompress(bytes.fromhex(packed[2:])))
        self._saved_block = block

    def _end(self) -> None:
        child = self._child
        if child is None:
            return
        child.terminate()
        try:
            child.wait(self._watch.stop_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._child = None


def prepare_state(folder: Path) -> None:
    """Make ``state.json`` the newest good copy of the chain and keep a backup of it.

    Anvil writes ``state.json`` when it ends, the supervisor ``checkpoint.json`` while it runs; either may be
    the newer one, and a file cut short by a crash counts as missing.

    Raises
    ------
    IntegrityError
        No copy is good.
    """
    state, backups = folder / "state.json", folder / "backups"
    present = [path for path in (state, folder / "checkpoint.json") if path.is_file()]
    newest_first = sorted(present, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    newest_first += sorted(backups.glob("state-*.json.gz"), reverse=True)
    for candidate in newest_first:
        content = _good_state(candidate)
        if content is None:
            continue
        if candidate != state:
            write_private(state, content)
        if candidate.parent != backups:
            _back_up(content, backups)
        return
    raise IntegrityError(
        f"Every copy of the development chain in {folder} is damaged.",
        hint="Move the folder away to begin a new chain; accounts and balances there are test money.",
        code="chain.devnet_state",
    )


def end_leftover(folder: Path, patience_s: float) -> None:
    """End an anvil that outlived the process that ran it, waiting first for it to save and end by itself."""
    try:
        pid = int((folder / "anvil.pid").read_text())
    except (OSError, ValueError):
        return
    for force in (None, signal.SIGTERM, signal.SIGKILL):
        if not _runs_here(pid, folder):
            return
        if force is not None:
            os.kill(pid, force)
        deadline = time.monotonic() + patience_s
        while _runs_here(pid, folder) and time.monotonic() < deadline:
            time.sleep(0.02)


def resident_memory(pid: int) -> int:
    """Resident memory of a process in bytes; 0 where the system does not say."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _good_state(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        fields = orjson.loads(content)
    except (OSError, EOFError, ValueError):
        return None
    return content if isinstance(fields, dict) and {"accounts", "blocks"} <= set(fields) else None


def _back_up(content: bytes, backups: Path) -> None:
    backups.mkdir(mode=0o700, exist_ok=True)
    write_private(backups / f"state-{time.time_ns():020d}.json.gz", gzip.compress(content, 1))
    for old in sorted(backups.glob("state-*.json.gz"))[:-_BACKUPS]:
        old.unlink()


def _runs_here(pid: int, folder: Path) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return str(folder / "state.json").encode() in command.split(b"\0")
