# SPDX-License-Identifier: Apache-2.0
"""What a driver of the sandbox takes and gives back: a program, its limits, and how it ended."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from koinon.errors import BadInput

MEBIBYTE: Final = 1 << 20
MAIN: Final = "main.py"
LOCK: Final = "requirements.txt"


class Outcome(StrEnum):
    """How a program ended. What the host could not tell apart is ``FAILED``."""

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT = "output"


@dataclass(frozen=True)
class Limits:
    """What one run may use. All are upper bounds; none is a reservation.

    Attributes
    ----------
    wall_s, cpu_s : float, int
        Seconds by the clock, and seconds of processor time of any one process.
    cores : float
        Processor time a second for all processes together; needs a cgroup, else it is not bounded.
    memory_bytes : int
        Of all processes together where a cgroup can count it; else of each process (address space), and of
        all together as the host sees it twenty times a second.
    address_space_bytes : int
        Virtual memory of one process; 0 is ``memory_bytes``, with 4 GiB more where a cgroup counts what is
        really used (libraries reserve far more than they touch).
    processes, open_files : int
        Processes and threads at one time, the two of the sandbox itself not counted; descriptors of one.
    output_bytes, output_files : int
        What ``/out`` may hold.
    scratch_bytes, scratch_files : int
        What ``/tmp`` may hold, and ``/dev/shm`` once more.
    log_bytes : int
        How much of standard output and error is kept for the owner.
    """

    wall_s: float = 60.0
    cpu_s: int = 60
    cores: float = 1.0
    memory_bytes: int = 1024 * MEBIBYTE
    address_space_bytes: int = 0
    processes: int = 32
    open_files: int = 256
    output_bytes: int = MEBIBYTE
    output_files: int = 16
    scratch_bytes: int = 64 * MEBIBYTE
    scratch_files: int = 4096
    log_bytes: int = 64 * 1024

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            least = 0 if each.name == "address_space_bytes" else 0.01
            if not least <= value < 1 << 62:
                raise BadInput(
                    f"The limit {each.name} is {value}; it must be a positive number.",
                    code="sandbox.limit",
                )
        if self.memory_bytes < 32 * MEBIBYTE:
            raise BadInput(
                f"A program with {self.memory_bytes} bytes of memory cannot start.",
                hint="Python itself needs about 32 MiB (33554432 bytes).",
                code="sandbox.limit",
            )


@dataclass(frozen=True)
class Program:
    """Someone's program: one Python file, or a directory with ``main.py`` and a lock file.

    It is started as ``python main.py /data /out``. Raises BadInput where it is neither.
    """

    path: Path

    def __post_init__(self) -> None:
        if not self.main.is_file():
            raise BadInput(
                f"{self.path.name} is neither a Python file nor a directory with {MAIN}.",
                hint=f"Give one file, or a directory with {MAIN} and {LOCK}.",
                code="sandbox.no_program",
            )

    @property
    def main(self) -> Path:
        return self.path / MAIN if self.path.is_dir() else self.path

    @property
    def lock(self) -> Path | None:
        """The lock file, which a directory must have and a single file cannot."""
        return self.path / LOCK if self.path.is_dir() else None

    @property
    def digest(self) -> bytes:
        """sha256 over names and contents of all its files, in the order of their names.

        Raises BadInput where it holds anything but files and directories: what a link leads to would not be
        under the digest.
        """
        state = hashlib.sha256()
        for name, path in self._files():
            content = hashlib.sha256(path.read_bytes()).digest()
            state.update(len(name).to_bytes(4, "little") + name + content)
        return state.digest()

    def _files(self) -> list[tuple[bytes, Path]]:
        if not self.path.is_dir():
            return [(MAIN.encode(), self.path)]
        found = []
        for path in self.path.rglob("*"):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise BadInput(
                    f"The program holds {path.relative_to(self.path)}, which is no plain file.",
                    hint="Put the file itself where the link stands.",
                    code="sandbox.not_plain",
                )
            if path.is_file():
                found.append((path.relative_to(self.path).as_posix().encode(), path))
        return sorted(found)


@dataclass(frozen=True)
class Finished:
    """How a run ended.

    Attributes
    ----------
    outcome : Outcome
        The only word of it that anyone but the owner may learn, and that through the gate.
    cpu_s, wall_s : float
        Metered by the host: processor seconds of all processes, seconds by the clock.
    peak_bytes : int
        Most memory in use at a time: of all processes with a cgroup, else of the largest one.
    outputs : mapping of str to bytes
        The files of ``/out``; empty unless the outcome is ``ok``.
    log : bytes
        The beginning of standard output and error. It can hold any of the data: for the owner's eyes alone.
    """

    outcome: Outcome
    cpu_s: float
    wall_s: float
    peak_bytes: int
    outputs: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    log: bytes = field(default=b"", repr=False)


class Sandbox(Protocol):
    """A way to run other people's code on one's own data."""

    def check(self) -> None:
        """Raises SetupError, with the reason, where this host cannot isolate a program."""
        ...

    def run(self, program: Program, inputs: Mapping[str, Path], limits: Limits) -> Finished:
        """Run to the end or to a limit; nothing of the program lives on afterwards.

        Parameters
        ----------
        inputs : mapping
            Each is read-only at ``/data/<name>``.

        Raises
        ------
        SetupError
            As `check`, or the program needs packages that are not here.
        BadInput
            An input does not exist or has a name that is no file name.
        """
        ...
