# SPDX-License-Identifier: Apache-2.0
"""Two parties with a deadline: what to ask for next, and when to take what the other offers.

Concessions depend on time (Faratin, Sierra and Jennings 1998, "Negotiation decision functions for autonomous
agents"); an offer is taken once it is at least as good as one's own next one would be (Baarslag et al. 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

from koinon.errors import BadInput

_PARTS = 1_000_000


@dataclass(frozen=True)
class Concession:
    """From a wished price to a limit, never beyond it.

    Parameters
    ----------
    buys : bool
        Whether one pays the price; otherwise one gets it.
    wish, limit : int
        What one asks for first, and the worst one would take, in the smallest unit. A buyer's limit is not
        below its wish, a seller's not above.
    start, deadline : float
        When it begins and when it has to be over, seconds.
    patience : float
        1 concedes evenly; below 1 holds out and gives way near the deadline ("Boulware"); above 1 gives way
        early ("Conceder").
    """

    buys: bool
    wish: int
    limit: int
    start: float
    deadline: float
    patience: float = 1.0

    def __post_init__(self) -> None:
        sound = self.wish <= self.limit if self.buys else self.wish >= self.limit
        in_time = self.deadline > self.start and self.patience > 0
        if not sound or not in_time or min(self.wish, self.limit) < 0:
            raise BadInput(
                "These limits make no negotiation.",
                hint="Prices of 0 or more, a buyer's limit not below its wish and a seller's not above, "
                "a deadline after the start, patience above 0.",
                code="agents.negotiation",
            )

    def offer(self, now: float) -> int:
        """What to ask for now. At the deadline and after it: the limit."""
        passed = min(max((now - self.start) / (self.deadline - self.start), 0.0), 1.0)
        share = int(_PARTS * float(passed ** (1.0 / self.patience)))
        step = abs(self.limit - self.wish) * share // _PARTS
        return self.wish + step if self.buys else self.wish - step


def accepts(mine: Concession, offered: int, now: float) -> bool:
    """Whether an offer is at least as good as the next one of one's own, and the deadline has not passed."""
    own = mine.offer(now)
    good = offered <= own if mine.buys else offered >= own
    return now <= mine.deadline and good
