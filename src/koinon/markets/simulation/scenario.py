# SPDX-License-Identifier: Apache-2.0
"""What is simulated: how long, how often, who takes part, and what happens to prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from koinon.errors import BadInput, NotFound
from koinon.markets.simulation.prices import DAY_S, Crash

MONTH_S: Final = 30 * DAY_S
MOST_MONTHS: Final = 24


@dataclass(frozen=True)
class People:
    """How many of each take part. ``rings`` are of each laundering typology, ``decoys`` of each benign
    pattern that looks like one."""

    noise_traders: int = 24
    momentum_traders: int = 8
    liquidity_providers: int = 6
    arbitrageurs: int = 3
    depositors: int = 12
    careful: int = 14
    ordinary: int = 16
    risky: int = 10
    fraudulent: int = 4
    liquidators: int = 3
    payers: int = 40
    rings: int = 3
    decoys: int = 3

    def __post_init__(self) -> None:
        if any(number < 0 for number in vars(self).values()):
            raise BadInput("Nobody can be fewer than none.")


@dataclass(frozen=True)
class Scenario:
    """``step_s`` seconds from one look of every agent to the next; ``volatility`` multiplies the usual."""

    name: str
    months: float = 3.0
    step_s: int = 3_600
    volatility: float = 1.0
    crashes: tuple[Crash, ...] = ()
    people: People = field(default_factory=People)
    returns: str = "sp500"

    def __post_init__(self) -> None:
        if not 0 < self.months <= MOST_MONTHS:
            raise BadInput(
                f"A simulation covers up to {MOST_MONTHS} months, not {self.months:g}.",
                code="markets.months",
            )
        if not 60 <= self.step_s <= 7_200 or DAY_S % self.step_s:
            raise BadInput("A step divides a day and lasts from a minute to two hours.")

    @property
    def steps(self) -> int:
        """How many."""
        return max(1, round(self.months * MONTH_S / self.step_s))

    @property
    def seconds(self) -> int:
        """How long, from the first step to the end of the last."""
        return self.steps * self.step_s

    def lasting(self, months: float) -> Scenario:
        """The same, as long as that."""
        return replace(self, months=months)

    def described(self) -> dict[str, Any]:
        """For a file: everything that decides what comes out, beside the seed and the first second."""
        return {
            "name": self.name,
            "months": self.months,
            "step_s": self.step_s,
            "volatility": self.volatility,
            "crashes": [vars(crash) for crash in self.crashes],
            "people": vars(self.people),
            "returns": self.returns,
        }


SCENARIOS: Final[Mapping[str, Scenario]] = {
    each.name: each
    for each in (
        Scenario("ordinary"),
        Scenario("calm", volatility=0.5),
        Scenario("wild", volatility=1.6),
        Scenario("crash", crashes=(Crash(at=0.75, share=0.45, hours=18),)),
        Scenario("flash-crash", crashes=(Crash(at=0.6, share=0.35, hours=2, recovered=0.9),)),
        Scenario("double-dip", crashes=(Crash(0.4, 0.3, 12, 0.5), Crash(0.7, 0.4, 24, 0.2))),
    )
}
"""By name."""


def find(name: str) -> Scenario:
    """A named scenario; `NotFound` otherwise."""
    if name not in SCENARIOS:
        raise NotFound(
            f"There is no scenario called {name!r}.",
            hint=f"Name one of {', '.join(SCENARIOS)}.",
            code="markets.scenario",
        )
    return SCENARIOS[name]
