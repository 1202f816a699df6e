# SPDX-License-Identifier: Apache-2.0
"""Keeping a development chain alive: start, watch, save, restart, stop.

One thread owns the anvil process. It starts it, so that the kernel ends anvil when the thread ends, however
that happens; looks after it five times a second (exited? silent? too large?); keeps in the outbox what was
mined; saves the chain when it has grown; and restarts it from the newest good copy, with the blocks after
that copy mined again (`replay`).

On a full disk the chain goes on, but nothing on it is acknowledged: `Supervisor.trouble` says so, senders get
`SetupError`, and all goes on once there is room.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain import anvil, foreign
from koinon.chain.devnet_outbox import DevnetOutbox
from koinon.chain.keys import write_private
from koinon.chain.replay import HOST, replay
from koinon.chain.rpc import BATCH, Rpc, RpcError
from koinon.chain.saved_state import back_up, is_due, is_held, kept_since, last_block, prepare_state
from koinon.chain.sqlite_outbox import FILE_NAME, chain_name
from koinon.errors import ChainError, NodeUnavailable, SetupError, WrongNetwork

__all__ = ["HOST", "Identity", "Supervisor", "Watch", "end_leftover", "outbox_of", "resident_memory"]

_SETTLED_S: Final = 0.05
"""Longer than anvil needs from changing its accounts to counting the block."""


@dataclass(frozen=True)
class Watch:
    """How a chain is watched: seconds, bytes of resident memory, counts.

    ``save_s`` is how long anvil may take to copy a chain, ``start_s_per_mb`` how much longer than ``start_s``
    it may take to read one of so many megabytes: a long history is hundreds of them.

    ``restarts`` is how many in a row, none of which lasted ``steady_s``, are too many.
    """

    start_s: float = 30.0
    stop_s: float = 15.0
    look_every_s: float = 0.2
    answer_s: float = 10.0
    save_s: float = 600.0
    start_s_per_mb: float = 0.5
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


def outbox_of(folder: Path, identity: Identity) -> DevnetOutbox:
    """The outbox of the development chain in this folder, for all its processes."""
    return DevnetOutbox(folder / FILE_NAME, chain_name(identity.chain_id, identity.genesis_hash))


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
        self.outbox = outbox_of(folder, identity)
        self.restarts = 0
        self.failure: Exception | None = None
        self.trouble: SetupError | None = None

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
        failure: Exception | None = None
        try:
            self._watch_over()
        except Exception as fault:  # whoever waits for the chain is told, whatever it was
            failure = fault
        finally:
            self._end(save=failure is None)
            self.outbox.close()
        self.failure = failure

    def _watch_over(self) -> None:
        in_a_row = silent = 0
        unsaved = False
        started = saved = time.monotonic()
        save_every = self._watch.save_every_s
        with Rpc(self._url, timeout_s=self._watch.answer_s) as rpc:
            while not self._stopping.wait(self._watch.look_every_s):
                now = time.monotonic()
                try:
                    block = self._with_room(lambda: self.outbox.follow(rpc))
                    silent = 0
                    due = block is not None and block != self._saved_block and now - saved >= save_every
                    if due and not is_held(self._folder):
                        unsaved = self._with_room(lambda: self._save(rpc)) is None
                        saved = time.monotonic()
                        save_every = max(self._watch.save_every_s, 20 * (saved - now))
                    if block is not None and not unsaved:
                        self.trouble = None
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

    def _with_room(self, work: Callable[[], int]) -> int | None:
        """Do what needs room on the disk; where there is none, say so and let the chain go on."""
        try:
            return work()
        except SetupError as fault:
            self.trouble = fault
        except OSError as error:
            self.trouble = SetupError(
                f"The development chain in {self._folder} cannot be saved ({error.strerror or error}).",
                hint="Make room on the disk; nothing is acknowledged meanwhile.",
                code="chain.devnet_disk",
            )
        return None

    @property
    def _url(self) -> str:
        return f"http://{HOST}:{self._port}"

    def _patience_s(self) -> float:
        """How long anvil may take to read its chain."""
        size = (self._folder / "state.json").stat().st_size
        return self._watch.start_s + self._watch.start_s_per_mb * size / 1e6

    def _launch(self) -> None:
        self._prepare()
        log_path = self._folder / "anvil.log"
        with log_path.open("wb") as log:
            self._child = anvil.spawn(self._executable, [*self._arguments(), "--port", str(self._port)], log)
        (self._folder / "anvil.pid").write_text(str(self._child.pid))
        with Rpc(self._url, timeout_s=self._watch.answer_s) as rpc:
            anvil.await_answer(rpc, self._child, log_path, self._patience_s())
            self._identity.check(rpc)
            latest = rpc.call("eth_getBlockByNumber", "latest", False)
            self.outbox.begin(latest)
            # anvil counts time from its genesis block; nothing is mined before it is told what time it is
            rpc.call("evm_setTime", max(int(time.time()), int(latest["timestamp"], 16)))
            rpc.call("evm_setAutomine", True)
            foreign.place_missing(rpc)  # a chain begun before its genesis block had them
            self._saved_block = int(latest["number"], 16)
            self._send_waiting(rpc)
        if self.pid is None:
            raise anvil.died(log_path)

    def _prepare(self) -> None:
        """Make ``state.json`` the whole chain: the newest good copy, and what the outbox has of later."""
        first = self.outbox.first()
        number = prepare_state(self._folder, lambda at: first is None or at >= first)
        blocks = self.outbox.after(number)
        if not blocks:
            return
        started = time.monotonic()
        done = replay(
            self._executable,
            self._arguments(),
            blocks,
            self._folder / "anvil.log",
            start_s=self._patience_s(),
            answer_s=self._watch.save_s,
        )
        for name in ("checkpoint.json", "state.json"):
            write_private(self._folder / name, done.state)
        if done.changed:
            self.outbox.renamed(done.changed)
        self._tell(
            {
                "at": int(time.time()),
                "from_block": number + 1,
                "blocks": done.blocks,
                "transactions": done.transactions,
                "refused": done.refused,
                "changed_blocks": sorted(done.changed),
                "seconds": round(time.monotonic() - started, 3),
            }
        )

    def _tell(self, event: dict[str, Any]) -> None:
        with (self._folder / "recoveries.jsonl").open("ab") as file:
            file.write(orjson.dumps(event) + b"\n")

    def _send_waiting(self, rpc: Rpc) -> None:
        """Send what was recorded and never seen mined, in the order it was recorded."""
        waiting = self.outbox.waiting()
        never = []
        for start in range(0, len(waiting), BATCH):
            part = waiting[start : start + BATCH]
            answers = rpc.batch(
                [("eth_sendRawTransaction", ["0x" + raw.hex()]) for raw in part], raise_errors=False
            )
            never += [
                raw
                for raw, answer in zip(part, answers, strict=True)
                if isinstance(answer, RpcError) and "nonce too low" in answer.message.lower()
            ]
        if never:
            self.outbox.follow(rpc)  # unless it is that they were mined just now
            self.outbox.drop(never)

    def _arguments(self) -> list[str]:
        return [
            *("--host", HOST),
            *("--chain-id", str(self._identity.chain_id), "--timestamp", str(self._identity.genesis_time)),
            *("--accounts", "0", "--load-state", str(self._folder / "state.json")),
            *("--prune-history", "512", "--no-mining", "--no-cors", "--quiet"),
        ]

    def _fits(self) -> bool:
        memory = resident_memory(self.pid) if self.pid is not None else 0
        return memory <= self._watch.memory_limit

    def _save(self, rpc: Rpc) -> int:
        """Write a copy of the chain; the number of its last block."""
        content = self._dump(rpc)
        number = last_block(content)
        self.outbox.reach(number, rpc)
        write_private(self._folder / "checkpoint.json", content)
        self._saved_block = number
        backups = self._folder / "backups"
        if is_due(backups):
            back_up(content, number, backups)
        self.outbox.saved(min(number, kept_since(backups)))
        return number

    def _dump(self, rpc: Rpc) -> bytes:
        """Anvil reads its blocks first and its accounts afterwards: a copy is one moment's only if nothing
        was mined meanwhile, which is made sure of by mining nothing where it does not come by luck."""
        paused = False
        try:
            while True:
                with Rpc(self._url, timeout_s=self._watch.save_s) as patient:
                    content = gzip.decompress(bytes.fromhex(patient.call("anvil_dumpState")[2:]))
                time.sleep(_SETTLED_S)
                if last_block(content) == int(rpc.call("eth_blockNumber"), 16):
                    return content
                paused = True
                rpc.call("evm_setAutomine", False)
                time.sleep(_SETTLED_S)
        finally:
            if paused:
                rpc.call("evm_setAutomine", True)

    def _end(self, *, save: bool = False) -> None:
        child = self._child
        if child is None:
            return
        if save and child.poll() is None:
            with (
                contextlib.suppress(ChainError, SetupError, OSError),  # then it is mined again at the start
                Rpc(self._url, timeout_s=self._watch.answer_s) as rpc,
            ):
                if self.outbox.follow(rpc) != self._saved_block:
                    self._save(rpc)
        child.terminate()
        try:
            child.wait(self._watch.stop_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._child = None


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


def _runs_here(pid: int, folder: Path) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return str(folder / "state.json").encode() in command.split(b"\0")
