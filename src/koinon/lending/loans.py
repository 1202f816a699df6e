# SPDX-License-Identifier: Apache-2.0
"""A pool's open loans as they stand at one second: health, the price they are sold below, running auctions.

Amounts are in the tokens' smallest units. Health is by the feeders' price, as liquidation is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from koinon.chain.handle import Chain
from koinon.errors import NotFound
from koinon.lending.pool_state import PoolState
from koinon.lending.pool_terms import WHOLE_BPS, PoolTerms
from koinon.lending.pools import CreditPool, Position
from koinon.markets.feeds import Feed, Price

AUCTIONS_LAST: Final = 4
"""An auction is over after so many times the seconds in which its bonus grows; another begins then."""


@dataclass(frozen=True, slots=True)
class Loan:
    """One loan with debt. ``worth`` of its collateral in the loan token, None without a feeders' price;
    ``sold_below`` in whole loan tokens for one whole collateral token; ``rate`` the price between smallest
    units as (numerator, denominator), zeros without one."""

    borrower: str
    position: Position
    terms: PoolTerms
    worth: int | None
    sold_below: float
    now: int
    rate: tuple[int, int]

    @property
    def debt(self) -> int:
        """At this second."""
        return self.position.debt

    @property
    def lltv_bps(self) -> int:
        """The loan's own."""
        return self.terms.tiers[self.position.tier].lltv_bps

    @property
    def health(self) -> float | None:
        """Worth times LLTV over debt; below 1 it can be sold. None without a price."""
        return None if self.worth is None else self.worth * self.lltv_bps / WHOLE_BPS / self.debt

    @property
    def ltv(self) -> float | None:
        """Debt by worth."""
        return self.debt / self.worth if self.worth else None

    @property
    def is_sound(self) -> bool:
        """Whether its own LLTV covers it, to the unit as the contract asks; True without a price, for then
        nobody can sell it."""
        return self.worth is None or self.worth * self.lltv_bps >= self.debt * WHOLE_BPS

    @property
    def in_auction(self) -> bool:
        """Whether an auction runs."""
        lasts = AUCTIONS_LAST * self.terms.auction_s
        return self.position.auction_from > 0 and self.now <= self.position.auction_from + lasts

    @property
    def bonus_bps(self) -> int:
        """What a liquidator gets beyond what is repaid. It begins at the pool's least, or at what the worth
        is above the debt where that is less, and grows to the most."""
        least, most, worth = self.terms.min_bonus_bps, self.terms.max_bonus_bps, self.worth or 0
        if worth * WHOLE_BPS < self.debt * (WHOLE_BPS + least):
            least = (max(worth, self.debt) - self.debt) * WHOLE_BPS // self.debt
        if not self.in_auction:
            return least
        passed = min(self.now - self.position.auction_from, self.terms.auction_s)
        return least + (most - least) * passed // self.terms.auction_s

    @property
    def may_repay(self) -> int:
        """The most that one liquidation may ask to repay: the close factor of a loan that is covered with the
        bonus, all of any other."""
        part = self.debt * self.terms.close_factor_bps // WHOLE_BPS
        covered = (self.worth or 0) * WHOLE_BPS >= self.debt * (WHOLE_BPS + self.bonus_bps)
        return part if covered and self.debt - part >= self.terms.min_debt else self.debt

    @property
    def most_repaid(self) -> int:
        """What is then repaid: not more than all the collateral pays for."""
        pays_for = -(-(self.worth or 0) * WHOLE_BPS // (WHOLE_BPS + self.bonus_bps))
        return min(self.may_repay, pays_for)

    def leaves_dust(self, repaid: int) -> bool:
        """Whether too little debt or collateral would be left, which the contract refuses."""
        debt, collateral = self.debt - repaid, self.position.collateral - self.seized_for(repaid)
        if debt <= 0 or collateral <= 0 or not self.rate[1]:
            return False
        return min(debt, collateral * self.rate[0] // self.rate[1]) < self.terms.min_debt

    def seized_for(self, repaid: int) -> int:
        """The collateral for an amount repaid, with the bonus; at most all of it."""
        top, bottom = self.rate
        if not top:
            return 0
        return min(
            self.position.collateral, repaid * (WHOLE_BPS + self.bonus_bps) * bottom // (WHOLE_BPS * top)
        )


@dataclass(frozen=True, slots=True)
class Loans:
    """Open loans, the least healthy first; ``no_price`` says why there is no feeders' price, if so."""

    loans: list[Loan]
    price: Price | None
    no_price: str


def read_loans(chain: Chain, pool: CreditPool, state: PoolState, borrowers: Sequence[str]) -> Loans:
    """Loans of these borrowers that have debt."""
    price, no_price = None, ""
    try:
        price = Feed(chain, state.terms.feed).latest_from_feeders()
    except NotFound as missing:
        no_price = missing.message
    if price is not None and price.value <= 0:  # the contract refuses it as well
        price, no_price = None, f"The feed {state.terms.feed} says that the collateral is worth nothing."
    top = bottom = 0
    if price is not None:
        top = price.value * 10**state.loan.decimals
        bottom = 10 ** (state.collateral.decimals + price.decimals)
    now = chain.next_timestamp()
    whole = 10**state.collateral.decimals / 10**state.loan.decimals
    found = []
    for borrower, position in zip(borrowers, pool.positions(borrowers) if borrowers else [], strict=True):
        if not position.debt:
            continue
        lltv = state.terms.tiers[position.tier].lltv_bps
        behind = position.collateral * lltv
        found.append(
            Loan(
                borrower,
                position,
                state.terms,
                None if price is None else position.collateral * top // bottom,
                position.debt * WHOLE_BPS / behind * whole if behind else 0.0,
                now,
                (top, bottom),
            )
        )
    found.sort(key=lambda loan: (loan.health if loan.health is not None else 0.0, loan.borrower))
    return Loans(found, price, no_price)
