# SPDX-License-Identifier: Apache-2.0
"""Reads what process 1 of the sandbox hands over (`…sandbox.inside`). Nothing in it is trusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from koinon.compute.sandbox.inside import END, MAGIC

FRAME_BYTES: Final = 110
"""Most that a file adds to its content: a name of 100 bytes and two lengths."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Handed:
    """The program's exit status (256 + signal where one ended it; None where not known) and its files."""

    status: int | None
    files: Mapping[str, bytes]
    whole: bool
    peak_bytes: int = 0


def most_bytes(output_bytes: int, output_files: int) -> int:
    """How long it can be when it is within the limits."""
    return len(MAGIC) + 12 + output_bytes + output_files * FRAME_BYTES


def read_results(content: bytes, *, output_bytes: int, output_files: int) -> Handed:
    """Status and files; not ``whole`` where it breaks off, names a file oddly or twice, or has too much."""
    if not content.startswith(MAGIC):
        return Handed(None, {}, False)
    at = len(MAGIC) + 10
    if len(content) < at:
        return Handed(None, {}, False)
    status = int.from_bytes(content[at - 10 : at - 8], "little")
    peak_bytes = int.from_bytes(content[at - 8 : at], "little")
    files: dict[str, bytes] = {}
    while True:
        length = int.from_bytes(content[at : at + 2], "little")
        if len(content) == at + 2 and length == END:
            whole = len(files) <= output_files and sum(map(len, files.values())) <= output_bytes
            return Handed(status, files, whole, peak_bytes)
        size = int.from_bytes(content[at + 2 : at + 10], "little")
        name = content[at + 10 : at + 10 + length].decode("ascii", "replace")
        at += 10 + length + size
        if at > len(content) or _NAME.fullmatch(name) is None or name in files:
            return Handed(status, {}, False, peak_bytes)
        files[name] = content[at - size : at]
