# SPDX-License-Identifier: Apache-2.0
"""Whether a fact can be given where a service wants a field: by type first, then by name.

Names match when they are made of the same words (``monthly_income``, ``monthlyIncome``, ``Income (monthly)``)
or when one is the other with words added, which counts half.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Final

_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")
_FILLING: Final = frozenset({"the", "a", "of", "in", "value", "result", "input", "output"})
SAME: Final = 1.0
CLOSE: Final = 0.5


@lru_cache(maxsize=4_096)
def words(name: str) -> frozenset[str]:
    """The words a name is made of, in small letters, without filling words."""
    found = frozenset(word.lower() for word in _WORD.findall(name))
    return found - _FILLING or found


def name_match(fact: str, wanted: str) -> float:
    """`SAME`, `CLOSE` or 0."""
    if fact == wanted:
        return SAME
    one, other = words(fact), words(wanted)
    if not one or not other:
        return 0.0
    if one == other:
        return SAME
    return CLOSE if one < other or other < one else 0.0


def types_of(schema: Mapping[str, Any]) -> frozenset[str]:
    """The JSON types a schema allows; empty for any."""
    found: set[str] = set()
    kind = schema.get("type")
    found |= {kind} if isinstance(kind, str) else set(kind) if isinstance(kind, list) else set()
    for alternatives in ("anyOf", "oneOf"):
        for each in schema.get(alternatives) or ():
            if isinstance(each, Mapping):
                found |= types_of(each)
    if not found and isinstance(schema.get("enum"), list):
        return frozenset()
    return frozenset(found - {"null"})


def type_fits(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether every value of the one schema may be one of the other, by type alone."""
    have, want = types_of(given), types_of(wanted)
    if not have or not want:
        return True
    return bool(have & want) or ("integer" in have and "number" in want)


def best_match(
    wanted: str,
    schema: Mapping[str, Any],
    facts: Mapping[str, Mapping[str, Any]],
    exactly: Collection[str] = (),
) -> str | None:
    """Which of the facts can stand for a wanted field: of those whose type fits, the best by name; the first
    of equals. None where there is none. Facts named in ``exactly`` stand for their own name only."""
    best, score = None, 0.0
    for name, own in facts.items():
        match = name_match(name, wanted)
        if name in exactly and match < SAME:
            continue
        if match > score and type_fits(own, schema):
            best, score = name, match
    return best
