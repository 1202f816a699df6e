# SPDX-License-Identifier: Apache-2.0
"""What a recipe's file may write shorter than the recipe itself, which always says everything.

* Names with a range stand for all of it: ``"hash_{0..1023}"``.
* ``signed_log`` may name columns instead of saying yes or no for each.
* ``[scaling]`` may give one number for all columns, and takes ``signed_log`` from the recipe.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from koinon.errors import BadInput

MAXIMUM_COLUMNS: Final = 100_000
_RANGE: Final = re.compile(r"([^{}]*)\{(\d{1,6})\.\.(\d{1,6})\}([^{}]*)")


def spelled_out(content: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a recipe's file as `Recipe.from_dict` takes them; without shorthand they stay the same.

    Raises
    ------
    BadInput
        Columns that are no names, an empty or very long range, or a ``signed_log`` that names no column.
    """
    found = dict(content)
    if "columns" in found:
        names = found["columns"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise BadInput("A recipe's 'columns' is a list of names.", code="learning.recipe")
        found["columns"] = _ranges(found["columns"])
        _spell_signed_log(found)
        if isinstance(found.get("scaling"), dict):
            found["scaling"] = _spelled_scaling(found["scaling"], found)
    return found


def _ranges(names: list[str]) -> list[str]:
    """Names with every range in its place."""
    found: list[str] = []
    for name in names:
        match = _RANGE.fullmatch(name)
        if match is None:
            found.append(name)
            continue
        before, first, last, after = match.groups()
        numbers = range(int(first), int(last) + 1)
        if not numbers or len(found) + len(numbers) > MAXIMUM_COLUMNS:
            raise BadInput(
                f"'{name}' stands for no columns, or for too many.",
                hint=f"Write ranges upwards, with at most {MAXIMUM_COLUMNS:,} columns in all.",
                code="learning.recipe",
            )
        found += [f"{before}{number}{after}" for number in numbers]
    return found


def _spell_signed_log(found: dict[str, Any]) -> None:
    named = found.get("signed_log")
    if not isinstance(named, list) or not any(isinstance(entry, str) for entry in named):
        return
    if not all(isinstance(entry, str) for entry in named):
        raise BadInput("'signed_log' mixes names with yes and no.", code="learning.recipe")
    wanted = _ranges(named)
    missing = [name for name in wanted if name not in found["columns"]]
    if missing:
        raise BadInput(f"'signed_log' names {missing[0]!r}, which is no column.", code="learning.recipe")
    found["signed_log"] = [name in wanted for name in found["columns"]]


def _spelled_scaling(scaling: dict[str, Any], recipe: Mapping[str, Any]) -> dict[str, Any]:
    columns = len(recipe["columns"])
    spelled = {"signed_log": recipe.get("signed_log", [False] * columns)} | scaling
    for name in ("center", "scale"):
        if isinstance(spelled.get(name), int | float):
            spelled[name] = [spelled[name]] * columns
    return spelled
