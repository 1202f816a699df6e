# SPDX-License-Identifier: Apache-2.0
"""A pool's open loans, and the market in which their collateral would be sold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput

Floats = NDArray[np.float64]

UNSCORED: Final = -1.0


@dataclass(frozen=True)
class Book:
    """Positions of one isolated market, in whole tokens.

    ``lltv`` the debt, as a share of the collateral's value, beyond which it can be liquidated; ``pd`` of
    default by the borrower's score (`UNSCORED` where there is none); ``owners`` their addresses, or none.

    Raises
    ------
    BadInput
        Lengths differ, or a number is outside its range.
    """

    collateral: Floats
    debt: Floats
    lltv: Floats
    pd: Floats
    owners: Sequence[str] = ()

    def __post_init__(self) -> None:
        shapes = {part.shape for part in (self.collateral, self.debt, self.lltv, self.pd)}
        if len(shapes) != 1 or self.collateral.ndim != 1 or len(self.owners) not in (0, len(self.debt)):
            raise BadInput("Every position needs collateral, debt, LLTV and PD.", code="lending.book")
        amounts = np.concatenate([self.collateral, self.debt])
        if not (np.isfinite(amounts).all() and (amounts >= 0).all()):
            raise BadInput("Collateral and debt are amounts.", code="lending.book")
        if not ((self.lltv > 0).all() and (self.lltv <= 1).all()):
            raise BadInput("An LLTV lies between 0 and 1.", code="lending.book")

    def __len__(self) -> int:
        return len(self.debt)

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Book:
        """From rows with ``collateral``, ``debt``, ``lltv``, and where known ``pd`` and ``account``.

        Raises
        ------
        BadInput
            A field is missing or no number; the row is named, from 1.
        """
        table = np.empty((len(rows), 4))
        for place, row in enumerate(rows):
            try:
                table[place] = [
                    *(float(row[name]) for name in ("collateral", "debt", "lltv")),
                    float(row["pd"]) if row.get("pd") not in (None, "") else UNSCORED,
                ]
            except (KeyError, TypeError, ValueError) as fault:
                raise BadInput(
                    f"Position {place + 1} needs numbers for collateral, debt and lltv ({fault}).",
                    hint="Amounts are whole tokens, LLTV and PD shares of 1.",
                    code="lending.position",
                ) from None
        owners = [str(row.get("account", "")) for row in rows]
        collateral, debt, lltv, pd = table.T.copy()
        return cls(collateral, debt, lltv, pd, owners if any(owners) else ())

    def rows(self) -> list[dict[str, Any]]:
        """What `of` reads."""
        return [
            {
                "collateral": float(self.collateral[at]),
                "debt": float(self.debt[at]),
                "lltv": float(self.lltv[at]),
                **({"pd": float(self.pd[at])} if self.pd[at] != UNSCORED else {}),
                **({"account": self.owners[at]} if self.owners else {}),
            }
            for at in range(len(self))
        ]

    def scored(self, tiers: Sequence[Terms]) -> Book:
        """The book that scores would have allowed: each borrower gets the first tier whose PD is not below
        his own (unscored ones the last), and borrows no more than its LTV and cap allow. What others would
        have lent beyond that was not lent; nobody's LLTV is raised."""
        limits = np.array([tier.pd for tier in tiers])
        if not len(limits) or (np.diff(limits) < 0).any():
            raise BadInput("Tiers rise in PD, and there is one at least.", code="lending.tiers")
        last = len(tiers) - 1
        tier = np.minimum(np.searchsorted(limits, self.pd), last)
        tier = np.where(self.pd == UNSCORED, last, tier)
        lltv = np.minimum(self.lltv, np.array([each.lltv for each in tiers])[tier])
        cap = np.array([each.cap for each in tiers])[tier]
        # As loans were opened: as near to the new limit as they were to the old one.
        debt = np.minimum(self.debt * lltv / self.lltv, cap)
        return replace(self, debt=debt, lltv=lltv)


@dataclass(frozen=True)
class Terms:
    """A tier: borrowers of a PD up to ``pd`` get this ``lltv`` and at most ``cap`` whole loan tokens."""

    pd: float
    lltv: float
    cap: float = float("inf")


@dataclass(frozen=True)
class Venue:
    """Where collateral is sold and how liquidations work, in whole tokens.

    Parameters
    ----------
    base, quote : float
        Reserves of collateral and loan tokens of a constant-product pair.
    fee : float
        What the pair keeps of a payment.
    min_bonus, max_bonus : float
        A liquidator's bonus when an auction begins and ``auction_steps`` later.
    close_factor : float
        The most of a covered loan that is sold at once; what leaves less than ``min_debt`` goes whole.
    gas : float
        What one liquidation costs its liquidator, in loan tokens.
    oracle_delay_steps : int
        How old the price is that liquidations go by.
    recovery : float
        How much of the sales' impact on the pair others trade away in a step: 1 all, 0 none.

    Raises
    ------
    BadInput
        A number is outside its range.
    """

    base: float
    quote: float
    fee: float = 0.003
    min_bonus: float = 0.05
    max_bonus: float = 0.05
    auction_steps: int = 1
    close_factor: float = 1.0
    min_debt: float = 0.0
    gas: float = 0.0
    oracle_delay_steps: int = 0
    recovery: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.fee, self.close_factor, self.recovery)
        whole = self.auction_steps >= 1 and self.oracle_delay_steps >= 0
        fine = all(0 <= share <= 1 for share in shares) and self.fee < 1 and self.close_factor > 0 and whole
        fine = fine and 0 <= self.min_bonus <= self.max_bonus and min(self.gas, self.min_debt) >= 0
        if not (fine and self.base > 0 and self.quote > 0):
            raise BadInput(
                "A number of this market is outside its range.",
                hint="Reserves are above 0; fee, close factor and recovery are shares of 1.",
                code="lending.venue",
            )

    @property
    def price(self) -> float:
        """Loan tokens a collateral token, by the pair's books."""
        return self.quote / self.base

    @property
    def constant(self) -> float:
        return self.base * self.quote
