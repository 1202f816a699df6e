# SPDX-License-Identifier: Apache-2.0
"""Loops compiled by numba, kept on disk between processes.

Only the modules named ``kernels`` import this one, and they are imported where they are used: numba takes
half a second to load.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from koinon.extras import required

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function as machine code, without Python's lock; compiled at its first call with some types."""
    numba = required("numba", extra="watch")
    try:
        return cast(Function, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # nowhere to write: compile again in each process
        return cast(Function, numba.njit(nogil=True)(function))
