# SPDX-License-Identifier: Apache-2.0
"""What to send: swaps in order, with whole amounts, what they bring to the unit, and what their gas costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from koinon.markets.routing.flows import Hop
from koinon.markets.routing.pools import Pool

GAS_A_CYCLE: Final = 110_000
GAS_A_PATH: Final = 30_000
GAS_A_HOP: Final = 70_000
"""Gas of one cycle (with its flash swap) or path, and of each of its swaps: an estimate, on the high side."""


@dataclass(frozen=True)
class Step:
    """Swaps one after another: ``amount_in`` of ``token_in`` becomes ``amount_out`` of ``token_out``.

    ``hops`` name pools by their place in the plan's ``pools``.
    """

    token_in: str
    token_out: str
    hops: tuple[Hop, ...]
    amount_in: int
    amount_out: int

    @property
    def cycle(self) -> bool:
        """Whether it ends where it starts."""
        return self.token_in == self.token_out

    @property
    def gas(self) -> int:
        """About what it uses."""
        return (GAS_A_CYCLE if self.cycle else GAS_A_PATH) + GAS_A_HOP * len(self.hops)


@dataclass(frozen=True)
class Plan:
    """Steps to be carried out in order.

    ``predicted`` is the value of the convex optimum, before rounding, gas and what cannot be cut into short
    cycles; ``value`` what the steps bring by the pools' own formulas; ``gas_value`` what their gas costs. All
    three are in the measure of the worth that was given. ``gains`` are whole units by token.
    """

    pools: tuple[Pool, ...] = field(repr=False)
    steps: tuple[Step, ...]
    predicted: float
    value: float
    gas_value: float = 0.0

    @property
    def profit(self) -> float:
        """What is left after gas."""
        return self.value - self.gas_value

    @property
    def share(self) -> float:
        """How much of the predicted value the steps bring; 1 where there is nothing to gain."""
        return self.value / self.predicted if self.predicted > 0 else 1.0

    @property
    def gains(self) -> Mapping[str, int]:
        """Whole units by token that come in, less those that go out."""
        return gains(self.steps)


def gains(steps: Iterable[Step]) -> dict[str, int]:
    """Whole units by token that steps bring, less those they take; tokens with none are left out."""
    found: dict[str, int] = defaultdict(int)
    for step in steps:
        found[step.token_in] -= step.amount_in
        found[step.token_out] += step.amount_out
    return {token: amount for token, amount in found.items() if amount}


def value_of(steps: Iterable[Step], worth: Mapping[str, float]) -> float:
    """The worth of what steps bring."""
    return sum(amount * worth.get(token, 0.0) for token, amount in gains(steps).items())
