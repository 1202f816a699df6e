# SPDX-License-Identifier: Apache-2.0
"""Control groups, version 1 and 2: limits and meters for all processes of one run together.

Not every host lets an ordinary user make groups; then there are none, and the sandbox falls back on limits of
single processes. Sources: the kernel's ``Documentation/admin-guide/cgroup-v1/`` and ``cgroup-v2.rst``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

CONTROLLERS: Final = ("memory", "pids", "cpu", "cpuacct")
_PERIOD_US: Final = 100_000
_PATIENCE_S: Final = 2.0
_PREFIX: Final = "koinon-"


def hierarchies(process: Path = Path("/proc/self")) -> dict[str, Path]:
    """For each controller the directory in which this process may make groups; none where it may not.

    With version 2 every controller has the same directory: this process's own group, or the one above where
    that was delegated (a group with processes of its own gives no controllers to its children).
    """
    try:
        own = _own_groups((process / "cgroup").read_text())
        mounts = _mounts((process / "mountinfo").read_text())
    except OSError:
        return {}
    first: dict[str, Path] = {
        name: place
        for name in CONTROLLERS
        if name in mounts and (place := _directory(mounts[name], own.get(name)))
    }
    if {"memory", "pids"} <= set(first):
        return first
    if "" in mounts and "" in own:
        place = _directory(mounts[""], own[""])
        for candidate in (place, place.parent) if place else ():
            if _gives_controllers(candidate):
                return dict.fromkeys(("memory", "pids", "cpu"), candidate)
    return {}


def remove_orphans(places: Mapping[str, Path]) -> None:
    """Remove empty groups of runs whose host process is gone: killed, it had no time to."""
    for place in set(places.values()):
        for group in place.glob(f"{_PREFIX}*-*"):
            number = group.name.split("-")[1]
            if number.isdigit() and not Path("/proc", number).exists():
                with contextlib.suppress(OSError):
                    group.rmdir()


class ControlGroup:
    """One run's group in every hierarchy, made on entry and removed on exit.

    Raises OSError on entry where the host does not let us after all.
    """

    def __init__(
        self, places: Mapping[str, Path], *, memory_bytes: int, processes: int, cores: float
    ) -> None:
        self.name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
        self._places = {controller: place / self.name for controller, place in places.items()}
        self._second = len(set(places.values())) == 1 and "cpuacct" not in places
        self._memory_bytes, self._processes, self._cores = memory_bytes, processes, cores

    def __enter__(self) -> Self:
        try:
            for place in self._directories:
                place.mkdir()
            if self._second:
                self._limit_second()
            else:
                self._limit_first()
        except OSError:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def admit(self, pid: int) -> None:
        """Move a process in; what it starts from then on is in it too. Raises OSError where it may not be."""
        for place in self._directories:
            (place / "cgroup.procs").write_text(str(pid))

    @property
    def members(self) -> list[int]:
        """Processes that are in it now."""
        found: set[int] = set()
        for place in self._directories:
            with contextlib.suppress(OSError):
                found.update(int(line) for line in (place / "cgroup.procs").read_text().split())
        return sorted(found)

    @property
    def cpu_s(self) -> float | None:
        """Processor seconds of all its processes, the ended ones too."""
        if self._second:
            usage = _field(self._places["cpu"] / "cpu.stat", "usage_usec")
            return None if usage is None else usage / 1e6
        usage = _number(self._places["cpuacct"] / "cpuacct.usage") if "cpuacct" in self._places else None
        return None if usage is None else usage / 1e9

    @property
    def peak_bytes(self) -> int | None:
        """Most memory in use at a time (version 2: since Linux 5.19)."""
        name = "memory.peak" if self._second else "memory.max_usage_in_bytes"
        return _number(self._places["memory"] / name)

    @property
    def out_of_memory(self) -> bool:
        """Whether the kernel killed one of its processes for want of memory."""
        name = "memory.events" if self._second else "memory.oom_control"
        return bool(_field(self._places["memory"] / name, "oom_kill"))

    @property
    def _directories(self) -> list[Path]:
        return list(dict.fromkeys(self._places.values()))

    def _limit_first(self) -> None:
        memory = self._places["memory"]
        (memory / "memory.limit_in_bytes").write_text(str(self._memory_bytes))
        if (memory / "memory.memsw.limit_in_bytes").exists():
            (memory / "memory.memsw.limit_in_bytes").write_text(str(self._memory_bytes))
        (self._places["pids"] / "pids.max").write_text(str(self._processes))
        if "cpu" in self._places and (self._places["cpu"] / "cpu.cfs_quota_us").exists():
            (self._places["cpu"] / "cpu.cfs_quota_us").write_text(str(round(self._cores * _PERIOD_US)))

    def _limit_second(self) -> None:
        place = self._places["memory"]
        (place / "memory.max").write_text(str(self._memory_bytes))
        if (place / "memory.swap.max").exists():
            (place / "memory.swap.max").write_text("0")
        (place / "pids.max").write_text(str(self._processes))
        if (place / "cpu.max").exists():
            (place / "cpu.max").write_text(f"{round(self._cores * _PERIOD_US)} {_PERIOD_US}")

    def _remove(self) -> None:
        """A group whose last process has just ended may be busy for a moment yet."""
        until = time.monotonic() + _PATIENCE_S
        for place in self._directories:
            while place.exists():
                try:
                    place.rmdir()
                except OSError:
                    if time.monotonic() > until:
                        break
                    time.sleep(0.005)


def _own_groups(text: str) -> dict[str, str]:
    """``/proc/self/cgroup``: each controller's path; version 2 under the empty name."""
    found = {}
    for line in text.splitlines():
        _number, names, path = line.split(":", 2)
        found.update(dict.fromkeys(names.split(","), path))
    return found


def _mounts(text: str) -> dict[str, tuple[str, str]]:
    """``/proc/self/mountinfo``: each controller's (root within the hierarchy, mount point)."""
    found: dict[str, tuple[str, str]] = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        words, kind = before.split(), after.split()
        if kind[0] == "cgroup2":
            found.setdefault("", (words[3], words[4]))
        elif kind[0] == "cgroup":
            for name in kind[-1].split(","):
                if name in CONTROLLERS:
                    found.setdefault(name, (words[3], words[4]))
    return found


def _directory(mount: tuple[str, str], own: str | None) -> Path | None:
    """Where this process's own group shows under a mount, if groups can be made there."""
    root, point = mount
    if own is None or not (own + "/").startswith(root.rstrip("/") + "/"):
        own = root
    place = Path(point) / own[len(root.rstrip("/")) :].lstrip("/")
    return place if place.is_dir() and os.access(place, os.W_OK) else None


def _gives_controllers(place: Path) -> bool:
    wanted = {"memory", "pids"}
    control = place / "cgroup.subtree_control"
    try:
        if not os.access(place, os.W_OK) or not wanted <= set(
            (place / "cgroup.controllers").read_text().split()
        ):
            return False
        if not wanted <= set(control.read_text().split()):
            control.write_text("+memory +pids")
        if "cpu" not in control.read_text().split():
            with contextlib.suppress(OSError):
                control.write_text("+cpu")
    except OSError:
        return False
    return True


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _field(path: Path, name: str) -> int | None:
    try:
        return dict(_pair(line) for line in path.read_text().splitlines()).get(name)
    except (OSError, ValueError):
        return None


def _pair(line: str) -> tuple[str, int]:
    name, value = line.split()
    return name, int(value)
