# SPDX-License-Identifier: Apache-2.0
"""From which size on a pattern is worth a look. Every threshold is here, and shown beside what it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from koinon.errors import BadInput
from koinon.watch.graph.windows import DAY_S, HOUR_S

TYPOLOGIES: Final = (
    "fan_in",
    "fan_out",
    "gather_scatter",
    "scatter_gather",
    "cycle",
    "peel_chain",
    "structuring",
    "pass_through",
)


@dataclass(frozen=True)
class Rules:
    """Thresholds of the patterns.

    Parameters
    ----------
    window_s : int
        Within how long a pattern must be complete.
    fan : int
        Fewest partners of a fan, and of either side of a gather-scatter.
    shortest_cycle, longest_cycle : int
        Transfers of a cycle, 2 to 6. Two are a refund, which is no finding by default.
    middles : int
        Fewest accounts over which a scatter-gather goes.
    busiest_middle : int
        A middle that received more payments within the window is a hub and nobody's helper.
    peels : int
        Fewest steps of a peel chain.
    peel_share : float
        The largest part that a step peels off.
    peel_window_s : int
        Within how long each step of a peel chain follows the last.
    threshold : float
        A sum from which on somebody must report or identify; 0 looks for no structuring.
    below : float
        Transfers from this part of the threshold up to it count as just below.
    below_count : int
        Fewest of them within the window.
    pass_window_s : int
        Within how long money passes through.
    pass_share : float
        The least part of what came in that left again.
    pass_amount : float
        The least that must have come in.
    pass_count : int
        Fewest transfers in and out together.
    dust : float
        Smaller transfers count for nothing: else anyone could make an account look like a fan by sending it
        next to nothing from many sides.
    cycles_each : int
        Cycles written out for one closing transfer; where there are more, one finding names all their edges.
    """

    window_s: int = DAY_S
    fan: int = 8
    shortest_cycle: int = 3
    longest_cycle: int = 6
    middles: int = 3
    busiest_middle: int = 50
    peels: int = 3
    peel_share: float = 0.3
    peel_window_s: int = 12 * HOUR_S
    threshold: float = 10_000.0
    below: float = 0.8
    below_count: int = 4
    pass_window_s: int = HOUR_S
    pass_share: float = 0.9
    pass_amount: float = 1_000.0
    pass_count: int = 2
    dust: float = 0.01
    cycles_each: int = 64

    def __post_init__(self) -> None:
        fine = (
            min(self.window_s, self.peel_window_s, self.pass_window_s) > 0
            and 2 <= self.shortest_cycle <= self.longest_cycle <= 6
            and min(self.fan, self.middles, self.peels, self.below_count, self.pass_count) >= 2
            and 0 < self.peel_share < 0.5
            and 0 < self.below < 1
            and 0 < self.pass_share <= 1
            and self.threshold >= 0
            and min(self.pass_amount, self.dust) >= 0
            and min(self.busiest_middle, self.cycles_each) >= 1
        )
        if not fine:
            raise BadInput(
                "A threshold of the patterns cannot be.",
                hint="Cycles have 2 to 6 transfers, counts are at least 2, shares between 0 and 1.",
                code="watch.rules",
            )
