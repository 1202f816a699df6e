# SPDX-License-Identifier: Apache-2.0
"""What a run's folder tells of its owners' privacy: what was promised, and what is spent round by round."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from koinon.learning.privacy.plan import MODES, NOISES


@dataclass(frozen=True)
class PrivacyTold:
    """Promises by their names in a recipe; ``whole`` is the epsilon of all rounds, None where there is none.

    ``epsilons`` are (round, spent so far) at ``delta``.
    """

    mode: str
    noise: str
    protects: str
    delta: float
    whole: float | None
    epsilons: tuple[tuple[int, float], ...] = ()


def read_privacy(events: Sequence[Mapping[str, Any]]) -> PrivacyTold | None:
    """From a run's events; None where it promises nothing, or what it says cannot be read."""
    opened = (event.get("privacy") for event in events if event.get("event") == "opened")
    told = next((one for one in opened if isinstance(one, dict)), {})
    if told.get("mode") not in MODES or told.get("noise") not in NOISES:
        return None
    delta, whole, protects = told.get("delta"), told.get("whole"), told.get("protects")
    if not _is_number(delta) or protects not in {"", "owner", "row"}:
        return None
    epsilons = {
        event["round"]: float(event["epsilon"])
        for event in events
        if event.get("event") == "round"
        and type(event.get("round")) is int
        and _is_number(event.get("epsilon"))
    }
    limit = float(whole) if isinstance(whole, int | float) and _is_number(whole) else None
    return PrivacyTold(
        told["mode"],
        told["noise"],
        protects,
        float(delta or 0.0),
        limit,
        tuple(sorted(epsilons.items())),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
