# SPDX-License-Identifier: Apache-2.0
"""What a run's folder tells beside its score, read as it was written or left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from koinon.learning.findings import Findings
from koinon.learning.groups import GroupReport

_FINDINGS: Final = TypeAdapter(Findings)
_GROUPS: Final = TypeAdapter(GroupReport)


def read_findings(outcome: Mapping[str, Any]) -> Findings:
    """Of a finished run; nothing found where it cannot be read."""
    try:
        found = _FINDINGS.validate_json(orjson.dumps(outcome.get("findings")), strict=True)
    except (ValidationError, orjson.JSONEncodeError):
        return Findings()
    return found if all(map(math.isfinite, _numbers(found.to_dict()))) else Findings()


def read_groups(events: Sequence[Mapping[str, Any]]) -> tuple[tuple[int, GroupReport], ...]:
    """How groups fared after each round that was measured, from a run's events."""
    found: dict[int, GroupReport] = {}
    for event in events:
        number, told = event.get("round"), event.get("groups")
        if event.get("event") != "score" or type(number) is not int or not isinstance(told, dict):
            continue
        try:
            found[number] = _GROUPS.validate_json(orjson.dumps(told), strict=True)
        except (ValidationError, orjson.JSONEncodeError):
            continue
    return tuple(sorted(found.items(), key=lambda one: one[0]))


def _numbers(found: Any) -> Iterator[float]:
    if isinstance(found, float):
        yield found
    elif isinstance(found, dict):
        for value in found.values():
            yield from _numbers(value)
    elif isinstance(found, list | tuple):
        for value in found:
            yield from _numbers(value)
