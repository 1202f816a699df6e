# SPDX-License-Identifier: Apache-2.0
"""The filter of system calls, compiled to the kernel's classic BPF.

A list of what is refused, not of what is allowed: numerical libraries call too much for the second. Beside
what `koinon.compute.sandbox.syscalls` names it refuses new namespaces in ``clone``, sockets of every family
but AF_UNIX (AF_VSOCK and AF_ALG are not held by a network namespace), typing into a terminal, every call
newer than the list, and every call of another architecture (which ends the process).

Source: the kernel's ``Documentation/userspace-api/seccomp_filter.rst``, ``include/uapi/linux/seccomp.h``.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass
from typing import Final

from koinon.compute.sandbox import syscalls
from koinon.errors import SetupError

ARCHITECTURES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column, AUDIT_ARCH_*

NEW_NAMESPACES: Final = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""
AF_UNIX: Final = 1
TERMINAL_INPUT: Final = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX."""

# struct seccomp_data: int nr; u32 arch; u64 instruction_pointer; u64 args[6]
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24  # low halves of the arguments: both are little-endian
_LOAD, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000


@dataclass(frozen=True)
class Instruction:
    """One instruction of classic BPF; jumps count instructions from the next one on."""

    code: int
    k: int
    when_true: int = 0
    when_false: int = 0

    def encode(self) -> bytes:
        """``struct sock_filter``, 8 bytes."""
        return struct.pack("<HBBI", self.code, self.when_true, self.when_false, self.k)


def compile_filter(machine: str | None = None) -> bytes:
    """The filter for ``bwrap --seccomp``, as an array of ``struct sock_filter``.

    Parameters
    ----------
    machine : str, optional
        ``x86_64`` or ``aarch64``; this machine's when not given.

    Raises
    ------
    SetupError
        Another architecture, for which no filter was written.
    """
    return b"".join(each.encode() for each in instructions(machine or platform.machine()))


def instructions(machine: str) -> list[Instruction]:
    """As `compile_filter`, one by one."""
    if machine not in ARCHITECTURES:
        raise SetupError(
            f"There is no filter of system calls for {machine} processors.",
            hint=f"Other people's programs run on {' and '.join(ARCHITECTURES)} only.",
            code="sandbox.architecture",
        )
    column, architecture = ARCHITECTURES[machine]
    refuse, absent = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
    lines = [
        Instruction(_LOAD, _ARCHITECTURE),
        *_unless(_EQUAL, architecture, _KILL_PROCESS),
        Instruction(_LOAD, _NUMBER),
        *_where(_GREATER, syscalls.NEWEST, absent),
    ]
    for numbers, answer in ((syscalls.ABSENT, absent), (syscalls.FORBIDDEN, refuse)):
        for pair in numbers.values():
            number = pair[column]
            if number is not None:
                lines += _where(_EQUAL, number, answer)
    lines += _argument(syscalls.CLONE[column], _FIRST, _where(_ANY_BIT, NEW_NAMESPACES, refuse))
    for call in (syscalls.SOCKET, syscalls.SOCKETPAIR):
        lines += _argument(call[column], _FIRST, _unless(_EQUAL, AF_UNIX, refuse))
    typing = [line for request in TERMINAL_INPUT for line in _where(_EQUAL, request, refuse)]
    lines += _argument(syscalls.IOCTL[column], _SECOND, typing)
    return [*lines, Instruction(_RETURN, _ALLOW)]


def _where(test: int, value: int, answer: int) -> list[Instruction]:
    return [Instruction(test, value, 0, 1), Instruction(_RETURN, answer)]


def _unless(test: int, value: int, answer: int) -> list[Instruction]:
    return [Instruction(test, value, 1, 0), Instruction(_RETURN, answer)]


def _argument(number: int, offset: int, checks: list[Instruction]) -> list[Instruction]:
    """``checks`` on one argument of one call; any other call goes on behind them."""
    block = [Instruction(_LOAD, offset), *checks, Instruction(_RETURN, _ALLOW)]
    return [Instruction(_EQUAL, number, 0, len(block)), *block]
