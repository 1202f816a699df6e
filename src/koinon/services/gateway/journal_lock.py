# SPDX-License-Identifier: Apache-2.0
"""One process at a time holds a journal."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from koinon.errors import SetupError


def in_use(path: Path) -> bool:
    """Whether a process holds this journal."""
    if not path.exists():
        return False
    try:
        lock_journal(path).close()
    except SetupError:
        return True
    return False


def lock_journal(path: Path) -> IO[str]:
    """One process at a time: two would each forget what the other was paid."""
    file = path.with_suffix(".lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise SetupError(
            f"Another process uses the journal {path}.",
            hint="Stop the gateway that runs with this data directory, or use it.",
            code="service.journal_in_use",
        ) from None
    return file
