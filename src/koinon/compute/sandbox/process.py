# SPDX-License-Identifier: Apache-2.0
"""Starts one sandboxed process, reads what it says within caps, and sees to it that it and all of its end."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BLOCK: Final = 1 << 16
_LOOK_EVERY_S: Final = 0.05
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Ended:
    """What came of a process.

    ``stopped`` is why the host ended it: ``""`` where it ended by itself, else ``wall``, ``memory`` or
    ``output``. ``result`` and ``log`` are what it wrote. ``cpu_s`` is of all its processes that somebody
    waited for, and of the others as last seen; ``peak_bytes`` of all together, 0 if never looked at.
    """

    stopped: str
    result: bytes
    log: bytes
    cpu_s: float
    wall_s: float
    peak_bytes: int


@dataclass(frozen=True)
class Caps:
    """``memory_bytes`` is of all processes together, looked up while they run; 0 where a cgroup does it."""

    wall_s: float
    result_bytes: int
    log_bytes: int
    memory_bytes: int


@dataclass(frozen=True)
class Descriptors:
    """What the command gets: for its result, its number, the filter to read, and the word to go on."""

    result: int
    info: int
    filter: int
    go: int


def run_to_end(
    command: Callable[[Descriptors], Sequence[str]], filter_: bytes, admit: Callable[[int], None], caps: Caps
) -> Ended:
    """Run a command until it ends or meets a cap. On return, and on any exception, nothing of it lives.

    Parameters
    ----------
    command : callable
        Gives the command line for these descriptors; ``info`` is for ``bwrap --info-fd``.
    admit : callable
        Called with the number of process 1 of the sandbox; when it returns, that process gets a byte on
        ``go`` and only then starts the program.
    """
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        result, result_in = _pipe(stack)
        info, info_in = _pipe(stack)
        log, log_in = _pipe(stack)
        go_out, go = os.pipe()
        stack.callback(os.close, go)
        given = Descriptors(result_in, info_in, _readable(stack, filter_), go_out)
        try:
            process = subprocess.Popen(
                command(given),
                stdin=subprocess.DEVNULL,
                stdout=log_in,
                stderr=log_in,
                pass_fds=(given.result, given.info, given.filter, given.go),
                env={},
                cwd="/",
            )
        finally:
            for each in (result_in, info_in, log_in, go_out):
                os.close(each)
        watch = _Watch(
            process.pid, started, caps, (result, log, info), lambda first: _let_in(first, admit, go)
        )
        try:
            watch.until_it_ends()
        finally:
            usage = watch.end()
            process.returncode = 0  # waited for already, by its number
        return Ended(
            watch.stopped,
            bytes(watch.read[result]),
            bytes(watch.read[log]),
            max(usage.ru_utime + usage.ru_stime, watch.cpu_s),
            time.monotonic() - started,
            watch.peak_bytes,
        )


class _Watch:
    """Reads the three pipes of one process, and ends it when a cap is met."""

    def __init__(
        self,
        pid: int,
        started: float,
        caps: Caps,
        pipes: tuple[int, int, int],
        let_in: Callable[[int], None],
    ) -> None:
        self.pid, self.caps, self.stopped = pid, caps, ""
        self.cpu_s, self.peak_bytes = 0.0, 0
        self._result, log, self._info = pipes
        self._let_in = let_in
        self._deadline, self._look_again = started + caps.wall_s, started + _LOOK_EVERY_S
        self._first: int | None = None  # a descriptor of process 1 of the sandbox
        self._first_pid = 0
        self._most = {self._result: caps.result_bytes, log: caps.log_bytes, self._info: _BLOCK}
        self.read = {each: bytearray() for each in self._most}

    def until_it_ends(self) -> None:
        with selectors.DefaultSelector() as selector:
            for each in self._most:
                os.set_blocking(each, False)
                selector.register(each, selectors.EVENT_READ)
            while selector.get_map():
                wait_until = min(
                    self._deadline, self._look_again if self.caps.memory_bytes else self._deadline
                )
                for key, _events in selector.select(max(0.0, wait_until - time.monotonic())):
                    if not self._take(key.fd):
                        selector.unregister(key.fd)
                self._check()
                if self.stopped:
                    return

    def _take(self, pipe: int) -> bool:
        """Read what is there; False at the end."""
        block = os.read(pipe, _BLOCK)
        kept = self.read[pipe]
        if pipe == self._result and len(kept) + len(block) > self._most[pipe]:
            self.stopped = "output"
        kept += block[: max(0, self._most[pipe] - len(kept))]
        if pipe == self._info and self._first is None:
            self._find_first()
        return bool(block)

    def _find_first(self) -> None:
        """Process 1 of the sandbox, once bubblewrap has told its number."""
        try:
            self._first_pid = int(json.loads(self.read[self._info])["child-pid"])
            self._first = os.pidfd_open(self._first_pid)
        except (ValueError, KeyError, ProcessLookupError):
            return
        self._let_in(self._first_pid)

    def _check(self) -> None:
        now = time.monotonic()
        if self.caps.memory_bytes and now >= self._look_again:
            self._look_again = now + _LOOK_EVERY_S
            self._look()
        if now >= self._deadline and not self.stopped:
            self.stopped = "wall"

    def _look(self) -> None:
        if self._first is None:
            return
        used, cpu_s = usage_of_tree(self._first_pid)
        self.peak_bytes, self.cpu_s = max(self.peak_bytes, used), max(self.cpu_s, cpu_s)
        if used > self.caps.memory_bytes:
            self.stopped = self.stopped or "memory"

    def end(self) -> resource.struct_rusage:
        """Kill what is left and wait; a namespace's first process is gone only after all others."""
        if self.caps.memory_bytes and self.stopped:
            self._look()  # the kernel counts the killed for nobody
        if self._first is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
            os.close(self._first)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # not waited for yet, so the number is still its own
        _pid, _status, usage = os.wait4(self.pid, 0)
        return usage


def _let_in(first: int, admit: Callable[[int], None], go: int) -> None:
    admit(first)
    with contextlib.suppress(BrokenPipeError):  # it ended already
        os.write(go, b"!")


def usage_of_tree(pid: int) -> tuple[int, float]:
    """A process and all its descendants: bytes of memory of their own, and processor seconds.

    Seconds of ended processes are their parents' once these have waited for them.
    """
    total, ticks, waiting, seen = 0, 0, [pid], set()
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        place = Path(f"/proc/{each}")
        with contextlib.suppress(OSError, ValueError, IndexError):
            _size, resident, shared = (place / "statm").read_text().split()[:3]
            total += (int(resident) - int(shared)) * _PAGE
            after_name = (place / "stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(word) for word in after_name[11:15])  # utime, stime, cutime, cstime: proc(5)
            for task in (place / "task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
    return total, ticks / _TICKS


def _pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    stack.callback(os.close, read)
    return read, write


def _readable(stack: contextlib.ExitStack, content: bytes) -> int:
    """A descriptor to read these bytes from."""
    memory = os.memfd_create("filter")
    stack.callback(os.close, memory)
    os.write(memory, content)
    os.lseek(memory, 0, os.SEEK_SET)
    return memory
