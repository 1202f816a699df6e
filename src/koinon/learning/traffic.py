# SPDX-License-Identifier: Apache-2.0
"""What a run sends, and how much of it was needed to get near its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from koinon.learning.run import ClosedRound

NEAR: Final = 0.01
"""A round is near the result when its score is at most this much below the last one's."""


@dataclass(frozen=True)
class Traffic:
    """Bytes of vectors, all owners and rounds together; heads and TLS not counted.

    Attributes
    ----------
    up, down : int
        Owners' changes, and the common model as each owner got it.
    near_round, near_up : int
        The first measured round whose score came within 0.01 of the last one's, and the bytes up until then;
        0 where nothing was measured.
    """

    up: int
    down: int
    near_round: int = 0
    near_up: int = 0


class Meter:
    """Counts while rounds close."""

    def __init__(self) -> None:
        self._up = self._down = 0
        self._scores: list[tuple[int, float, int]] = []

    def count(self, closed: ClosedRound) -> None:
        """A round has closed: what came in, and what goes back to those who took part."""
        self._up += sum(len(payload) for payload in closed.updates.values())
        self._down += len(closed.step) * len(closed.updates)

    def score(self, number: int, value: float) -> None:
        """The model after round ``number`` was measured."""
        self._scores.append((number, value, self._up))

    def traffic(self) -> Traffic:
        """So far."""
        if not self._scores:
            return Traffic(self._up, self._down)
        goal = self._scores[-1][1] - NEAR
        number, _, up = next(entry for entry in self._scores if entry[1] >= goal)
        return Traffic(self._up, self._down, number, up)
