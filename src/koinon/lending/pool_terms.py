# SPDX-License-Identifier: Apache-2.0
"""What a credit pool is created with: its market and its tiers, checked as `CreditPoolFactory` checks them.

Shares of a whole and rates a year are in 1e-4 (bps), amounts in the loan token's smallest unit, times in
seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from koinon.errors import BadInput

WHOLE_BPS: Final = 10_000
HIGHEST_RATE_BPS: Final = 100_000
LONGEST_S: Final = 31_536_000
LEAST_MIN_DEBT: Final = 1_000
LARGEST: Final = 2**96
MAXIMUM_TIERS: Final = 8

TierValues = tuple[int, int, int, int, int, int]
MarketValues = tuple[
    str,
    str,
    str,
    str,
    bytes,
    str,
    str,
    int,
    int,
    int,
    int,
    int,
    int,
    int,
    int,
    int,
    int,
    int,
    int,
    int,
    int,
    int,
    bool,
]


@dataclass(frozen=True, slots=True)
class TierTerms:
    """One tier.

    Parameters
    ----------
    lltv_bps : int
        Most debt for collateral's worth; a loan above it is sold.
    spread_bps : int
        A year, above the pool's rate.
    cap : int
        The most one borrower may owe.
    pd_bps, lgd_bps, capital_bps : int
        What the spread pays for: probability of default a year, loss given default, capital charge a year.
    """

    lltv_bps: int
    spread_bps: int
    cap: int
    pd_bps: int
    lgd_bps: int
    capital_bps: int = 0

    @property
    def expected_loss_bps(self) -> int:
        """The least spread, rounded up: PD x LGD + capital charge."""
        return -(-self.pd_bps * self.lgd_bps // WHOLE_BPS) + self.capital_bps

    def values(self) -> TierValues:
        """As the contract's ABI takes it."""
        return (
            self.lltv_bps,
            self.spread_bps,
            self.cap,
            self.pd_bps,
            self.lgd_bps,
            self.capital_bps,
        )


@dataclass(frozen=True, slots=True)
class PoolTerms:
    """Everything a pool is created with but the network's contracts.

    Parameters
    ----------
    loan_token, collateral_token, feed : str
        Addresses; the feed says how many loan tokens a collateral token is worth.
    schema : bytes
        The scores' schema at `Attestations`.
    tiers : tuple of TierTerms
        From the best score to none at all, each no better than the one before.
    work_id : int
        The model whose scores count and whose till gets ``fee_bps`` of the interest; 0 none.
    base_rate_bps, kink_rate_bps, full_rate_bps : int
        The pool's rate with nothing, ``kink_bps`` and everything lent out.
    borrower_cap_bps : int
        The most one borrower (with all its wallets) may owe, of what both tranches have.
    coverage_bps : int
        The least the junior tranche must have, of all debt, for anyone to borrow or any junior to leave.
    close_factor_bps : int
        The most of a covered loan that one liquidation repays.
    min_bonus_bps, max_bonus_bps, auction_s : int
        Where a liquidator's bonus begins and ends, and how long it grows.
    grace_s : int
        How long a downgrade leaves an open loan its tier when it is refinanced, from when a score last gave
        it; whoever borrows more gets the new tier at once.
    junior_notice_s : int
        How long junior lenders wait before they leave.
    min_debt : int
        The least debt of a loan.
    offer_required : bool
        Whether borrowing needs an issuer's signed offer.
    """

    loan_token: str
    collateral_token: str
    feed: str
    schema: bytes
    tiers: tuple[TierTerms, ...]
    work_id: int = 0
    fee_bps: int = 0
    base_rate_bps: int = 100
    kink_rate_bps: int = 600
    full_rate_bps: int = 5_000
    kink_bps: int = 8_000
    borrower_cap_bps: int = 2_000
    coverage_bps: int = 2_000
    close_factor_bps: int = 5_000
    min_bonus_bps: int = 100
    max_bonus_bps: int = 1_000
    auction_s: int = 3_600
    grace_s: int = 7 * 86_400
    junior_notice_s: int = 5 * 86_400
    min_debt: int = LEAST_MIN_DEBT
    offer_required: bool = False

    def __post_init__(self) -> None:
        for wrong, sentence in self._faults():
            if wrong:
                raise BadInput(sentence, code="lending.terms")
        _check_tiers(self.tiers, self.max_bonus_bps)

    def _faults(self) -> Sequence[tuple[bool, str]]:
        rates = (self.base_rate_bps, self.kink_rate_bps, self.full_rate_bps)
        return (
            (len(self.schema) != 32, "A schema's id has 32 bytes."),
            (self.loan_token.lower() == self.collateral_token.lower(), "The two tokens must differ."),
            (list(rates) != sorted(rates), "The rates must rise with use."),
            (not 0 <= rates[0] <= rates[2] <= HIGHEST_RATE_BPS, "A rate is out of range."),
            (not 0 < self.kink_bps < WHOLE_BPS, "The kink is out of range."),
            (not 0 <= self.fee_bps < WHOLE_BPS, "The fee is out of range."),
            (self.fee_bps > 0 and self.work_id == 0, "A fee needs a model."),
            (not 0 < self.borrower_cap_bps <= WHOLE_BPS, "The borrower's cap is out of range."),
            (not 0 < self.coverage_bps <= WHOLE_BPS, "The coverage is out of range."),
            (not 0 < self.close_factor_bps <= WHOLE_BPS, "The close factor is out of range."),
            (
                not 0 <= self.min_bonus_bps <= self.max_bonus_bps <= WHOLE_BPS,
                "The liquidators' bonus must grow, to 100 % at most.",
            ),
            (not 0 < self.auction_s <= LONGEST_S, "The auction's time is out of range."),
            (
                not (0 <= self.grace_s <= LONGEST_S and 0 <= self.junior_notice_s <= LONGEST_S),
                "Grace and notice last a year at most.",
            ),
            (not LEAST_MIN_DEBT <= self.min_debt < LARGEST, "The least debt is out of range."),
        )

    def values(self, attestations: str, bundles: str, works: str) -> MarketValues:
        """The market as the contract's ABI takes it, with the network's contracts."""
        return (
            self.loan_token,
            self.collateral_token,
            self.feed,
            attestations,
            self.schema,
            bundles,
            works,
            self.work_id,
            self.base_rate_bps,
            self.kink_rate_bps,
            self.full_rate_bps,
            self.kink_bps,
            self.fee_bps,
            self.borrower_cap_bps,
            self.coverage_bps,
            self.close_factor_bps,
            self.min_bonus_bps,
            self.max_bonus_bps,
            self.auction_s,
            self.grace_s,
            self.junior_notice_s,
            self.min_debt,
            self.offer_required,
        )


def _check_tiers(tiers: tuple[TierTerms, ...], max_bonus_bps: int) -> None:
    if not 1 <= len(tiers) <= MAXIMUM_TIERS:
        raise BadInput(f"A pool has 1 to {MAXIMUM_TIERS} tiers.", code="lending.terms")
    last = tiers[0]
    for number, tier in enumerate(tiers):
        parts = (tier.pd_bps, tier.lgd_bps, tier.capital_bps)
        sentence = ""
        if (
            tier.lltv_bps > last.lltv_bps
            or tier.spread_bps < last.spread_bps
            or tier.cap > last.cap
            or tier.pd_bps < last.pd_bps
        ):
            sentence = "has better terms than the one before"
        elif tier.lltv_bps <= 0 or tier.lltv_bps * (WHOLE_BPS + max_bonus_bps) > WHOLE_BPS**2:
            sentence = "has an LLTV that does not pay for debt and bonus"
        elif not 0 <= tier.spread_bps <= HIGHEST_RATE_BPS or not 0 <= tier.cap < LARGEST:
            sentence = "has a spread or a cap out of range"
        elif any(not 0 <= part <= WHOLE_BPS for part in parts):
            sentence = "has a probability, loss or charge out of range"
        elif tier.spread_bps < tier.expected_loss_bps:
            sentence = f"has a spread below its expected loss of {tier.expected_loss_bps} bps"
        if sentence:
            raise BadInput(f"Tier {number} {sentence}.", code="lending.terms")
        last = tier
