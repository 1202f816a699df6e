# SPDX-License-Identifier: Apache-2.0
"""A wallet's own terms at a pool: how much, against what, at which rate, why, and what would be better.

Every limit is the contract's own, in whole numbers: what is quoted could be borrowed at the second it was
read at. Amounts are in the tokens' smallest units.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from koinon.chain.handle import Chain
from koinon.errors import BadInput, TransactionFailed
from koinon.lending.pool_state import PoolState
from koinon.lending.pool_terms import WHOLE_BPS, TierTerms
from koinon.lending.pools import CreditPool

LIMITS: Final = {
    "collateral": "the collateral's worth by the tier's LLTV",
    "tier": "the tier's cap for one borrower",
    "borrower": "one borrower's share of the pool",
    "cash": "what is not lent out",
    "junior": "what the junior tranche covers",
}
CALM_BPS: Final = 10
"""By how much a quote without an amount stays below the most: some minutes' interest undo nothing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: ``amount`` 0 for the most there is, ``collateral`` to be added first, ``tier`` (from
    a judgement) counted where it is worse than the chain's."""

    amount: int = 0
    collateral: int = 0
    tier: int = 0


@dataclass(frozen=True, slots=True)
class TierQuote:
    """What one tier gives for the same amount: the rate a year, and the least collateral of all."""

    tier: int
    lltv_bps: int
    rate: float
    collateral: int


@dataclass(frozen=True, slots=True)
class Quote:
    """A wallet's terms.

    ``limits`` by name (see `LIMITS`), ``most`` the least of them, ``bound_by`` its name. ``collateral`` is
    what stands behind the loan with what was to be added, ``collateral_needed`` the least in all for the
    amount. ``ltv_bps`` is the debt by the collateral's worth. ``sold_below`` is the price, in whole loan
    tokens for one whole collateral token, below which the loan is unsound. ``better`` is the next better
    tier; None in the best.
    """

    pool: str
    borrower: str
    tier: int
    chain_tier: int
    amount: int
    owed: int
    limits: dict[str, int]
    bound_by: str
    collateral: int
    collateral_needed: int
    ltv_bps: int
    lltv_bps: int
    rate: float
    base_rate: float
    spread_bps: int
    sold_below: float
    better: TierQuote | None

    @property
    def most(self) -> int:
        """What could be borrowed at most."""
        return self.limits[self.bound_by]

    @property
    def is_covered(self) -> bool:
        """Whether the collateral is there, so that the amount can be borrowed at once."""
        return self.collateral >= self.collateral_needed

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "most": self.most, "is_covered": self.is_covered}


def quote(chain: Chain, pool: CreditPool, state: PoolState, borrower: str, asked: Asked) -> Quote:
    """What a wallet may borrow now.

    Without an amount it is the most that its collateral allows; without collateral, the most that everything
    else allows, and how much collateral that needs.

    Raises
    ------
    BadInput
        More is asked for than may be had, or less than the pool's least debt.
    NotFound
        There is no price now.
    TransactionFailed
        The wallet's score has ended: a new one is needed.
    """
    position = pool.position(borrower)
    chain_tier = _tier(pool, borrower)
    tier = min(max(chain_tier, asked.tier), state.worst_tier)
    terms = state.terms.tiers[tier]
    collateral = position.collateral + asked.collateral
    owed = position.debt + _owed_by_others(chain, pool, borrower)
    limits = _limits(state, terms, position.debt, owed, collateral)
    if asked.amount or not collateral:  # then it is told how much collateral that needs
        del limits["collateral"]
    bound_by = min(limits, key=lambda name: limits[name])
    amount = asked.amount or limits[bound_by] * (WHOLE_BPS - CALM_BPS) // WHOLE_BPS
    _check(state, limits, position.debt, amount)
    debt = position.debt + amount + 1  # a debt is rounded up
    needed = _needed(state, terms, debt)
    behind = max(collateral, needed)
    base = state.rate_after(amount)
    better = None
    if tier > 0:
        other = state.terms.tiers[tier - 1]
        better = TierQuote(
            tier - 1, other.lltv_bps, base + other.spread_bps / WHOLE_BPS, _needed(state, other, debt)
        )
    whole = 10**state.collateral.decimals / 10**state.loan.decimals
    return Quote(
        pool.address,
        borrower,
        tier,
        chain_tier,
        amount,
        position.debt,
        limits,
        bound_by,
        collateral,
        needed,
        -(-debt * WHOLE_BPS // max(state.worth(behind), 1)),
        terms.lltv_bps,
        base + terms.spread_bps / WHOLE_BPS,
        base,
        terms.spread_bps,
        debt * WHOLE_BPS / (behind * terms.lltv_bps) * whole,
        better,
    )


def priced_tier(state: PoolState, tier: int, pd_bps: int) -> int:
    """The tier that a score gives at a pool: one that is priced for its probability of default."""
    tier = min(tier, state.worst_tier)
    while tier < state.worst_tier and pd_bps > state.terms.tiers[tier].pd_bps:
        tier += 1
    return tier


def _tier(pool: CreditPool, borrower: str) -> int:
    """What new borrowing would get, and the whole loan with it: the pool's grace is not for drawing more."""
    try:
        return pool.tier_of(borrower)
    except TransactionFailed as refusal:
        raise TransactionFailed(
            f"Nothing new can be borrowed: {refusal.reason or refusal.message}.",
            reason=refusal.reason,
            hint="Ask an issuer to judge the wallet again: koinon lending issue.",
            code="lending.score_ended",
        ) from refusal


def _owed_by_others(chain: Chain, pool: CreditPool, borrower: str) -> int:
    wallets, _ = chain.contract("Bundles").call("history_of", borrower)
    others = [wallet for wallet in wallets if wallet.lower() != borrower.lower()]
    return sum(each.debt for each in pool.positions(others)) if others else 0


def _limits(state: PoolState, terms: TierTerms, debt: int, owed: int, collateral: int) -> dict[str, int]:
    books = state.books
    supply, coverage = books.senior + books.junior, state.terms.coverage_bps
    covered = books.junior * WHOLE_BPS // coverage - books.debt if coverage else books.cash
    found = {
        "collateral": state.worth(collateral) * terms.lltv_bps // WHOLE_BPS - debt - 1,
        "tier": terms.cap - owed - 1,
        "borrower": supply * state.terms.borrower_cap_bps // WHOLE_BPS - owed - 1,
        "cash": books.cash,
        "junior": covered,
    }
    return {name: max(0, most) for name, most in found.items()}


def _needed(state: PoolState, terms: TierTerms, debt: int) -> int:
    return state.collateral_for(-(-debt * WHOLE_BPS // terms.lltv_bps))


def _check(state: PoolState, limits: dict[str, int], debt: int, amount: int) -> None:
    bound_by = min(limits, key=lambda name: limits[name])
    if amount > limits[bound_by]:
        most = state.loan.text(limits[bound_by])
        raise BadInput(
            f"At most {most} can be borrowed now, not {state.loan.text(amount)}.",
            hint=f"What bounds it is {LIMITS[bound_by]}.",
            code="lending.too_much",
        )
    if amount <= 0 or debt + amount < state.terms.min_debt:
        raise BadInput(
            f"A loan here is at least {state.loan.text(state.terms.min_debt)}.",
            hint=f"What bounds yours is {LIMITS[bound_by]}: {state.loan.text(limits[bound_by])}.",
            code="lending.too_little",
        )
