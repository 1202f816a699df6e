# SPDX-License-Identifier: Apache-2.0
"""What a run has spent of its owners' privacy, round by round, and how to say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from koinon.learning.models.base import Training
from koinon.learning.privacy.plan import Privacy


@dataclass(frozen=True)
class Spent:
    """Of one run so far.

    Attributes
    ----------
    mode, noise, protects : str
        As the recipe's settings; ``protects`` is ``owner``, ``row`` or nothing.
    noise_multiplier : float
        The largest that any owner, or the leader, adds.
    delta : float
    epsilons : tuple of float
        After each round, the most that any owner has spent; empty without noise.
    """

    mode: str
    noise: str
    protects: str
    noise_multiplier: float
    delta: float
    epsilons: tuple[float, ...]

    @property
    def epsilon(self) -> float | None:
        """After the last round; None without noise or rounds."""
        return self.epsilons[-1] if self.epsilons else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"epsilons": list(self.epsilons), "epsilon": self.epsilon}

    def in_words(self) -> tuple[str, ...]:
        """Sentences for a model's card."""
        seen = {
            "private_sum": "The leader saw the sum of the owners' changes and nobody's own; "
            "that nobody sent too much could not be checked one by one.",
            "accountable": "Updates were seen by whoever led the run.",
        }
        if self.epsilon is None:
            return (seen[self.mode], "No noise was added: the model itself can tell something about rows.")
        whom = {"owner": "an owner took part", "row": "a row was among an owner's data"}[self.protects]
        return (
            seen[self.mode],
            f"Whether {whom} is hidden to an epsilon of {self.epsilon:.2f} at a delta of {self.delta:g} "
            f"({self.noise} noise, {self.noise_multiplier:.2f} times the norm, {len(self.epsilons)} rounds).",
        )


def spent_by(
    privacy: Privacy, done: int, rounds: int, training: Training, rows: Sequence[int]
) -> Spent | None:
    """What the first ``done`` of ``rounds`` rounds spent; None for a recipe that promises nothing.

    Parameters
    ----------
    rows : sequence of int
        How many each owner teaches with; whoever has the fewest spends the most of each row's.
    """
    if not privacy.on:
        return None
    counts = sorted(set(rows)) if privacy.protects == "row" else [1]
    noise = [
        privacy.multiplier(rounds) or privacy.row_multiplier(training, count, rounds) for count in counts
    ]
    found = [
        max(privacy.spent(number, rounds, training, count) or 0.0 for count in counts)
        for number in range(1, done + 1)
        if privacy.protects
    ]
    return Spent(
        privacy.mode,
        privacy.noise,
        privacy.protects,
        max(noise, default=0.0),
        privacy.delta,
        tuple(found),
    )
