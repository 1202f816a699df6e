# SPDX-License-Identifier: Apache-2.0
"""Rules that recipes call by name, with numbers after colons: ``"topk:0.05"``, ``"outer:0.7:0.9"``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from koinon.errors import BadInput

Rule = TypeVar("Rule")


def build(name: str, known: Mapping[str, Callable[..., Rule]], *, what: str, code: str) -> Rule:
    """Look up what stands before the first colon and call it with the numbers after it.

    Raises
    ------
    BadInput
        Unknown, not numbers, or numbers it does not take.
    """
    first, *rest = name.split(":")
    if first not in known:
        raise BadInput(f"There is no {what} '{first}'.", hint=f"Known are {', '.join(known)}.", code=code)
    try:
        return known[first](*(float(part) for part in rest))
    except (TypeError, ValueError) as error:
        raise BadInput(f"The {what} '{name}' takes other numbers.", hint=str(error), code=code) from error
