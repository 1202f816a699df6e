# SPDX-License-Identifier: Apache-2.0
"""What is left when the largest holders leave at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from koinon.errors import BadInput
from koinon.watch.liquidity.flows import Holdings

TOPS: Final = (1, 3, 5, 10)


@dataclass(frozen=True)
class Run:
    """The ``top`` largest leave first: ``wanted`` what they are owed, ``paid`` what they get, ``short`` the
    rest of it, ``liquid_left`` what can still be paid out, ``claims_left`` what everybody is owed then. All
    in smallest units: ``wanted == paid + short``, and nothing else is paid."""

    top: int
    holders: int
    wanted: int
    paid: int
    short: int
    liquid_left: int
    claims_left: int

    @property
    def covered(self) -> float:
        """How much of what those who stayed are owed can still be paid out at once; 1 where none stayed."""
        return min(self.liquid_left / self.claims_left, 1.0) if self.claims_left else 1.0

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "covered": self.covered, "red": self.short > 0}


def run(holdings: Holdings, top: int, liquid: int) -> Run:
    """The ``top`` largest leave at once, while ``liquid`` can be paid out.

    Raises
    ------
    BadInput
        Nobody leaves, or less than nothing is liquid (``watch.run``).
    """
    if top < 1 or liquid < 0:
        raise BadInput(
            "A run has at least one who leaves, and no less than nothing to pay out.", code="watch.run"
        )
    wanted = sum(holdings.amounts[:top])
    paid = min(wanted, liquid)
    return Run(
        top,
        len(holdings.names),
        wanted,
        paid,
        wanted - paid,
        liquid - paid,
        holdings.total - paid,
    )


def runs(holdings: Holdings, liquid: int, tops: Sequence[int] = TOPS) -> list[Run]:
    """`run` for several numbers of holders, no more than there are."""
    most = len(holdings.names)
    return [run(holdings, top, liquid) for top in sorted({min(top, most) for top in tops})]


def breaks_at(holdings: Holdings, liquid: int) -> int | None:
    """The fewest holders who together can ask for more than is liquid; None where all can leave."""
    wanted = 0
    for number, amount in enumerate(holdings.amounts, start=1):
        wanted += amount
        if wanted > liquid:
            return number
    return None
