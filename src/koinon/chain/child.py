# SPDX-License-Identifier: Apache-2.0
"""Child processes that end when who started them ends, however that happens."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

# Runs first in the child's process: asks the kernel for SIGTERM when the thread that started it ends (so that
# a killed Koinon leaves nothing behind, and the child still saves its state), then becomes the program.
_BIND_TO_PARENT: Final = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def bound(command: Sequence[str]) -> list[str]:
    """The command that runs ``command`` (its program by path) until it ends or, on Linux, the calling thread
    does."""
    return [sys.executable, "-I", "-S", "-c", _BIND_TO_PARENT, str(os.getpid()), *command]
