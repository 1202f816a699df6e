# SPDX-License-Identifier: Apache-2.0
"""The filter of system calls by an interpreter of classic BPF, for both architectures; that the kernel takes
it and that it bites is in test_sandbox_escapes.py."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from koinon.compute.sandbox import syscalls
from koinon.compute.sandbox.seccomp import compile_filter
from koinon.errors import SetupError

ALLOW, KILL = "allow", "kill"
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
COLUMN = {"x86_64": 0, "aarch64": 1}
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


def answer(machine, number, *arguments, architecture=None):
    """Run the compiled filter as the kernel does (filter.rst): accumulator, forward jumps, return."""
    program = compile_filter(machine)
    data = struct.pack(
        "<iIQ6Q", *_signed(number), architecture or AUDIT[machine], 0, *(arguments + (0,) * 6)[:6]
    )
    accumulator, at = 0, 0
    while True:
        code, when_true, when_false, k = struct.unpack_from("<HBBI", program, 8 * at)
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, k)[0]
        elif code == 0x06:
            action, value = k & 0xFFFF0000, k & 0xFFFF
            return {0x7FFF0000: ALLOW, 0x80000000: KILL}.get(action) or errno.errorcode[value]
        else:
            test = {0x15: accumulator == k, 0x25: accumulator > k, 0x45: bool(accumulator & k)}[code]
            at += when_true if test else when_false


def _signed(number):
    return struct.unpack("<i", struct.pack("<I", number))


@pytest.mark.parametrize("machine", AUDIT)
def test_every_named_call_is_refused_and_ordinary_ones_are_not(machine):
    column = COLUMN[machine]
    for numbers, expected in ((syscalls.ABSENT, "ENOSYS"), (syscalls.FORBIDDEN, "EPERM")):
        for name, pair in numbers.items():
            if pair[column] is not None:
                assert answer(machine, pair[column]) == expected, name
    ordinary = {
        "x86_64": (0, 1, 2, 9, 10, 12, 57, 59, 202, 257),
        "aarch64": (56, 57, 63, 64, 98, 214, 221, 222),
    }
    for number in ordinary[machine]:
        assert answer(machine, number) == ALLOW


@pytest.mark.parametrize("machine", AUDIT)
@pytest.mark.parametrize("flag", [1 << bit for bit in (17, 25, 26, 27, 28, 29, 30)])
def test_clone_makes_processes_and_threads_and_no_namespace(machine, flag):
    clone = syscalls.CLONE[COLUMN[machine]]
    assert answer(machine, clone, 17) == ALLOW
    assert answer(machine, clone, 0x3D0F00) == ALLOW  # what pthread_create asks for
    assert answer(machine, clone, 0x3D0F00 | flag) == "EPERM"


@pytest.mark.parametrize("machine", AUDIT)
def test_sockets_are_local_ones(machine):
    for call in (syscalls.SOCKET, syscalls.SOCKETPAIR):
        number = call[COLUMN[machine]]
        assert answer(machine, number, 1, 1) == ALLOW
        assert {answer(machine, number, family, 1) for family in (0, 2, 10, 16, 17, 38, 40)} == {"EPERM"}
        assert answer(machine, number, (1 << 32) | 2) == "EPERM"  # the kernel reads the lower half too


@pytest.mark.parametrize("machine", AUDIT)
def test_nothing_types_into_a_terminal(machine):
    ioctl = syscalls.IOCTL[COLUMN[machine]]
    assert answer(machine, ioctl, 1, 0x5401) == ALLOW
    for request in (0x5412, 0x541C, (1 << 32) | 0x5412):
        assert answer(machine, ioctl, 1, request) == "EPERM"


@pytest.mark.parametrize("machine", AUDIT)
def test_what_is_newer_or_of_another_architecture_does_not_pass(machine):
    assert answer(machine, syscalls.NEWEST) == ALLOW
    for number in (syscalls.NEWEST + 1, 4096, 0x40000000, 0x40000001, 0xFFFFFFFF):
        assert answer(machine, number) == "ENOSYS"
    for other in (0x40000003, 0x40000028, *(set(AUDIT.values()) - {AUDIT[machine]})):
        assert answer(machine, 0, architecture=other) == KILL


@pytest.mark.parametrize("machine", AUDIT)
def test_the_numbers_are_the_kernels(machine):
    if not HEADERS[machine].is_file():
        pytest.skip("no kernel headers here")
    text = HEADERS[machine].read_text()
    real = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    column = COLUMN[machine]
    named = {**syscalls.ABSENT, **syscalls.FORBIDDEN, "clone": syscalls.CLONE, "socket": syscalls.SOCKET}
    named |= {"socketpair": syscalls.SOCKETPAIR, "ioctl": syscalls.IOCTL}
    assert {name: pair[column] for name, pair in named.items()} == {name: real.get(name) for name in named}


def test_another_processor_is_refused():
    with pytest.raises(SetupError) as refused:
        compile_filter("riscv64")
    assert refused.value.code == "sandbox.architecture"
