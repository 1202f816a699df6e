# SPDX-License-Identifier: Apache-2.0
"""What the simulator needs of what lends, so that lending, which stands above it, can bring its own.

Agents see a `Lender` and act through it: every action is a list of calls that anybody could send. Amounts are
in the tokens' smallest units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from koinon.markets.simulation.accounts import Person
from koinon.markets.simulation.bench import Placed
from koinon.markets.simulation.venue import Token

if TYPE_CHECKING:
    from koinon.markets.simulation.world import World

Step = tuple[str, bytes]
"""Where a call goes, and its data."""


class Lender(Protocol):
    """One isolated market: ``loan`` is lent against ``collateral``."""

    @property
    def name(self) -> str:
        """Such as ``sETH``."""

    @property
    def address(self) -> str:
        """Where it stands: what depositors and borrowers allow to take their tokens."""

    @property
    def placed(self) -> Placed:
        """The contract whose events tell what happened to it."""

    @property
    def loan(self) -> Token:
        """What is lent."""

    @property
    def collateral(self) -> Token:
        """What secures it."""

    # Looking

    def idle(self, world: World) -> int:
        """What could be borrowed or withdrawn now."""

    def deposited(self, world: World, who: Person) -> int:
        """What a depositor could withdraw if there were enough idle."""

    def debt(self, world: World, who: Person) -> int:
        """What a borrower owes now."""

    def pledged(self, world: World, who: Person) -> int:
        """A borrower's collateral."""

    def most_debt(self, world: World, who: Person, collateral: int) -> int | None:
        """The most that this borrower may owe with so much collateral at this moment's price, by the terms
        it is given; None while nothing can be borrowed (no price that market and feeders agree on)."""

    def safety(self, world: World, who: Person) -> float | None:
        """A loan's health factor: below 1 it can be liquidated. None without a loan or a price."""

    # Acting

    def deposit(self, who: Person, amount: int) -> list[Step]:
        """Lend."""

    def withdraw(self, who: Person, amount: int) -> list[Step]:
        """Take back."""

    def pledge(self, who: Person, amount: int) -> list[Step]:
        """Add collateral."""

    def unpledge(self, who: Person, amount: int) -> list[Step]:
        """Take collateral back."""

    def borrow(self, who: Person, amount: int) -> list[Step]:
        """Take a loan, or more of it."""

    def repay(self, who: Person, amount: int | None) -> list[Step]:
        """Pay back; None is everything."""

    def liquidate(self, world: World, who: Person, borrower: Person) -> list[Step]:
        """Begin to close an unsafe loan, or close it as far as the market allows now; empty where that would
        not pay."""

    def tend(self, world: World) -> None:
        """What those who run it do once a day, such as scoring borrowers."""


Opener = Callable[["World"], Sequence[Lender]]
"""Puts markets into a world that has tokens, pairs and feeds, and says which."""


def nothing_lent(_world: World) -> Sequence[Lender]:
    """A world without credit."""
    return ()
