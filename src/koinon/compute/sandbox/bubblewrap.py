# SPDX-License-Identifier: Apache-2.0
"""The sandbox by bubblewrap: Linux namespaces, limits, control groups and a filter of system calls."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from koinon.compute.executor import THREAD_VARIABLES
from koinon.compute.sandbox import inside
from koinon.compute.sandbox.cgroup import ControlGroup, hierarchies, remove_orphans
from koinon.compute.sandbox.driver import MEBIBYTE, Finished, Limits, Outcome, Program
from koinon.compute.sandbox.environment import Environment, look_at
from koinon.compute.sandbox.lockfile import check_lock, read_lock
from koinon.compute.sandbox.obstacles import cannot_isolate, find_bubblewrap
from koinon.compute.sandbox.process import Caps, Descriptors, Ended, run_to_end
from koinon.compute.sandbox.results import Handed, most_bytes, read_results
from koinon.compute.sandbox.seccomp import compile_filter
from koinon.errors import BadInput, SetupError

NOBODY: Final = 65534
OWN_PROCESSES: Final = 1
OWN_BYTES: Final = 32 * MEBIBYTE
"""What process 1 of the sandbox uses of a control group, which counts it too."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_SIGXCPU: Final = 24
_SCRATCH: Final = "/tmp"  # noqa: S108  (inside)
_SHARED: Final = "/dev/shm"  # noqa: S108
_TRIAL: Final = """
import os, socket, sys
try:
    socket.socket(socket.AF_INET)
except PermissionError:
    closed = True
else:
    closed = False
seen = set(os.listdir("/")) - {"lib", "lib32", "lib64", "libx32", "bin", "sbin"}
sys.exit(not (closed and os.getuid() == 65534 and not {"etc", "sys", "run", "var", "boot", "mnt"} & seen))
"""


class BubblewrapSandbox:
    """Runs other people's programs so that they see their inputs, the interpreter, and nothing else.

    A program has namespaces of its own (user, process, network, mount, IPC, host name), no network, no
    capability, another user's number, an empty environment, ``/usr`` and the interpreter's own directories to
    read, its inputs to read at ``/data``, and file systems in memory to write at ``/out`` and ``/tmp``. It is
    held by limits of single processes, by a control group where the host allows one, and by a filter of
    system calls. When it ends or meets a limit every process of its namespace is killed.

    What this is not: another machine. The kernel is shared, so a fault in it can be a way out; and a program
    can signal by how long it takes, how much memory it uses and what heat it makes (side channels), to others
    on the same machine and to whoever sees when it ends. Its outputs can say anything about the data in any
    code: what may leave is for the gate to decide. Paths of the inputs on the host can be read inside.

    As root, an ordinary user's limit on processes does not hold, so root needs a control group. An ordinary
    user is the better choice: a way out would lead to less.

    Parameters
    ----------
    python : Path
        The interpreter, with the packages the owner offers; this one's when not given.
    bubblewrap : str
        Name or path of ``bwrap``, 0.8 or newer.
    """

    def __init__(self, *, python: Path | None = None, bubblewrap: str = "bwrap") -> None:
        self._python = python or Path(sys.executable)
        self._name = bubblewrap
        self._lock = threading.Lock()
        self._ready: tuple[str, Environment, bytes] | None = None
        self._groups = hierarchies()

    @property
    def counts_together(self) -> bool:
        """Whether control groups count memory and processor time of all processes of a run together."""
        return bool(self._groups)

    @property
    def environment(self) -> Environment:
        """The interpreter and the packages that programs are offered. Raises SetupError as `check`."""
        return self._prepared()[1]

    def check(self) -> None:
        """Raises SetupError, with the reason, where this host cannot isolate; cheap when repeated."""
        self._prepared()

    def run(self, program: Program, inputs: Mapping[str, Path], limits: Limits) -> Finished:
        """See `koinon.compute.sandbox.driver.Sandbox.run`."""
        _bwrap, environment, _filter = self._prepared()
        if program.lock is not None:
            check_lock(read_lock(program.lock), environment.installed)
        for name, path in inputs.items():
            if _NAME.fullmatch(name) is None or not path.exists():
                raise BadInput(
                    f"The input '{name}' is missing, or its name is no plain file name: {path}.",
                    code="sandbox.input",
                )
        return self._run(program, inputs, limits)

    def _prepared(self) -> tuple[str, Environment, bytes]:
        with self._lock:
            if self._ready is not None:
                return self._ready
            bwrap = find_bubblewrap(self._name)
            if os.geteuid() == 0 and not self._groups:
                raise SetupError(
                    "As root, nothing here can limit how many processes a program starts.",
                    hint="Run Koinon as an ordinary user, or give it control groups (memory and pids).",
                    code="sandbox.root_without_groups",
                )
            remove_orphans(self._groups)
            self._ready = (bwrap, look_at(self._python), compile_filter())
            try:
                self._try()
            except BaseException:
                self._ready = None
                raise
            return self._ready

    def _try(self) -> None:
        """Run a program that looks whether it is isolated."""
        with tempfile.TemporaryDirectory() as folder:
            trial = Path(folder) / "main.py"
            trial.write_text(_TRIAL)
            finished = self._run(Program(trial), {}, Limits(wall_s=20))
        if finished.outcome is not Outcome.OK:
            raise cannot_isolate(finished.log.decode("utf-8", "replace") or f"a trial {finished.outcome}")

    def _run(self, program: Program, inputs: Mapping[str, Path], limits: Limits) -> Finished:
        assert self._ready is not None  # noqa: S101  (both callers see to it)
        bwrap, environment, rules = self._ready
        space = limits.address_space_bytes or limits.memory_bytes + (4096 * MEBIBYTE if self._groups else 0)

        def command(given: Descriptors) -> list[str]:
            return [
                bwrap,
                *_isolation(given),
                *_view(environment, program, inputs, limits),
                "--",
                *_first_process(environment, limits, given, space),
            ]

        with contextlib.ExitStack() as stack:
            group = stack.enter_context(self._group(limits)) if self._groups else None
            caps = Caps(
                limits.wall_s,
                most_bytes(limits.output_bytes, limits.output_files),
                limits.log_bytes,
                0 if group else limits.memory_bytes + OWN_BYTES,
            )
            ended = run_to_end(command, rules, group.admit if group else lambda _pid: None, caps)
            return _finished(ended, group, limits)

    def _group(self, limits: Limits) -> ControlGroup:
        files = limits.output_bytes + 2 * limits.scratch_bytes  # file systems in memory are memory
        return ControlGroup(
            self._groups,
            memory_bytes=limits.memory_bytes + files + OWN_BYTES,
            processes=limits.processes + OWN_PROCESSES,
            cores=limits.cores,
        )


def _isolation(given: Descriptors) -> list[str]:
    line = ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    line += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"]
    line += ["--cap-drop", "ALL", "--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "sandbox"]
    line += ["--seccomp", str(given.filter), "--info-fd", str(given.info)]
    settings = {"HOME": _SCRATCH, "TMPDIR": _SCRATCH, "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    settings |= dict.fromkeys(THREAD_VARIABLES, "1")
    return [*line, *(word for pair in settings.items() for word in ("--setenv", *pair))]


def _view(
    environment: Environment, program: Program, inputs: Mapping[str, Path], limits: Limits
) -> list[str]:
    """All the program sees, in the order in which it is put together."""
    line = ["--ro-bind", "/usr", "/usr"]
    for name in ("lib", "lib32", "lib64", "libx32", "bin", "sbin"):
        place = Path("/") / name
        if place.is_symlink():
            line += ["--symlink", os.readlink(place), str(place)]
        elif place.is_dir():
            line += ["--ro-bind", str(place), str(place)]
    line += ["--proc", "/proc", "--dev", "/dev"]
    for where, size in (
        (_SHARED, limits.scratch_bytes),
        (_SCRATCH, limits.scratch_bytes),
        ("/out", limits.output_bytes),
    ):
        line += ["--size", str(size), "--tmpfs", where]
    for prefix in environment.prefixes:  # last, because they may be within one of these
        line += ["--ro-bind", str(prefix), str(prefix)]
    line += ["--ro-bind", inside.__file__, "/koinon/inside.py", "--dir", "/data"]
    line += ["--ro-bind", str(program.path.absolute()), _place_of(program)]
    for name, path in inputs.items():
        line += ["--ro-bind", str(path.absolute()), f"/data/{name}"]
    # Root's number owns /proc/sys even without capabilities; a writable / would be memory without a limit.
    read_only = [word for where in ("/proc", "/dev", "/") for word in ("--remount-ro", where)]
    return [*line, *read_only, "--chdir", _SCRATCH]


def _place_of(program: Program) -> str:
    return "/program" if program.lock is not None else "/program/main.py"


def _first_process(environment: Environment, limits: Limits, given: Descriptors, space: int) -> Sequence[str]:
    largest = max(limits.output_bytes, limits.scratch_bytes)
    numbers = (
        given.result,
        given.go,
        limits.cpu_s,
        space,
        largest,
        limits.processes + OWN_PROCESSES,
        limits.open_files,
    )
    files = (limits.output_files, limits.scratch_files)
    line = [str(environment.python), "-I", "-B", "/koinon/inside.py"]
    return [*line, *map(str, (*numbers, *files)), "/program/main.py"]


def _finished(ended: Ended, group: ControlGroup | None, limits: Limits) -> Finished:
    handed = read_results(ended.result, output_bytes=limits.output_bytes, output_files=limits.output_files)
    out_of_memory = group is not None and group.out_of_memory
    if not ended.result and not ended.stopped and not out_of_memory:
        raise cannot_isolate(ended.log.decode("utf-8", "replace"))
    cpu_s = max(ended.cpu_s, (group.cpu_s if group else None) or 0.0)
    outcome = _outcome(ended, handed, out_of_memory, cpu_s >= limits.cpu_s)
    return Finished(
        outcome,
        cpu_s,
        ended.wall_s,
        (group.peak_bytes if group else None) or max(ended.peak_bytes, handed.peak_bytes),
        handed.files if outcome is Outcome.OK else {},
        ended.log,
    )


def _outcome(ended: Ended, handed: Handed, out_of_memory: bool, cpu_spent: bool) -> Outcome:
    stopped = {"wall": Outcome.TIMEOUT, "memory": Outcome.MEMORY, "output": Outcome.OUTPUT}
    if ended.stopped:
        return stopped[ended.stopped]
    if handed.status == 0:
        return Outcome.OK if handed.whole else Outcome.OUTPUT
    if out_of_memory or handed.status == inside.MEMORY_STATUS:
        return Outcome.MEMORY
    if handed.status == inside.REFUSED_STATUS:
        return Outcome.OUTPUT
    killed = handed.status is None or handed.status > 256
    if handed.status == 256 + _SIGXCPU or (killed and cpu_spent):
        return Outcome.TIMEOUT
    return Outcome.FAILED
