# SPDX-License-Identifier: Apache-2.0
"""What a process that another one started says and how it ends: one JSON document a line on standard output,
and an exit status."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any, Final

import orjson

from koinon.errors import KoinonError

Say = Callable[[dict[str, Any]], None]

MISREAD: Final = (TypeError, KeyError)
"""What a configuration with fields too many or too few ends in."""
_MISREAD_STATUS: Final = 2
_whole = threading.Lock()


def say(event: dict[str, Any]) -> None:
    """Say what happened; whole lines, whichever threads speak."""
    line = orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS).decode() + "\n"
    with _whole:
        sys.stdout.write(line)
        sys.stdout.flush()


def exit_status(run: Callable[[], int | None], *, misread: tuple[type[Exception], ...] = MISREAD) -> int:
    """Run a process to its end: ``run``'s status, or 0. An error of Koinon is said and gives its own; one of
    ``misread`` is said to be the configuration's."""
    try:
        return run() or 0
    except KoinonError as error:
        say({"event": "failed", **error.problem()})
        return error.exit_status
    except misread as error:
        say({"event": "failed", "title": f"The configuration is wrong: {error}"})
        return _MISREAD_STATUS
