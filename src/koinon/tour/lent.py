# SPDX-License-Identifier: Apache-2.0
"""What the tour's loan came to: scored, borrowed, sold, lost, and what the model's makers got of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.markup import escape

from koinon.errors import IntegrityError
from koinon.markets.tokens import Token
from koinon.terminal import Terminal


@dataclass(frozen=True)
class Lent:
    """One loan, from its score to its end. Amounts in smallest units, read from the chain.

    Attributes
    ----------
    points, tier, pd_a_month, pd_a_year, reasons, ways_up
        What the points table says of the wallet's owner.
    model_auc, points_auc, rows
        Of the model and of the points made from it, on so many rows that taught neither.
    issuers, signed
        How many issuers there are, and how many attested the score.
    amount, rate, ltv_bps, sold_below
        The quote that was signed and taken.
    price_before, price_after
        Whole coins for a whole token of collateral.
    repaid, seized, bonus_bps
        The liquidation.
    bad_debt, from_junior, from_senior
        What no collateral covered, and who bore it.
    paid_in, paid_out, cash
        What lenders and the liquidator brought, what left, and what the pool has.
    fee, received, waiting
        What the pool paid into the model's till, who has got how much since, and how much more the tills hold
        than before: below 0 where units that rounding had left earlier went out with it.
    """

    pool: str
    wallet: str
    points: int
    tier: int
    pd_a_month: float
    pd_a_year: float
    reasons: tuple[str, ...]
    ways_up: tuple[str, ...]
    model_auc: float
    points_auc: float
    rows: int
    issuers: int
    signed: int
    amount: int
    rate: float
    ltv_bps: int
    sold_below: float
    price_before: float
    price_after: float
    repaid: int
    seized: int
    bonus_bps: int
    bad_debt: int
    from_junior: int
    from_senior: int
    paid_in: int
    paid_out: int
    cash: int
    fee: int
    received: Mapping[str, int]
    waiting: int
    loan: Token
    collateral: Token

    @property
    def conserved(self) -> bool:
        """Whether the loss is shared to the unit, the pool's coins are what its flows say, and all of the
        fee is somewhere."""
        return (
            self.bad_debt == self.from_junior + self.from_senior
            and self.paid_in == self.paid_out + self.cash
            and self.fee == sum(self.received.values()) + self.waiting
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "conserved": self.conserved}

    def check(self) -> None:
        """IntegrityError when a unit is missing or too many."""
        if not self.conserved:
            raise IntegrityError(
                f"The pool {self.pool} or its fee does not add up.",
                hint="Keep the data directory and report this.",
                code="tour.not_conserved",
            )

    def show(self, terminal: Terminal) -> None:
        """The loan as people read it."""
        coins = self.loan.text
        terminal.say("")
        terminal.say("[bold]What is such a model good for? It lends.[/bold]")
        terminal.say(
            "Real: the model, its points, signatures, contracts, auction and accounts. Simulated: that an "
            "applicant of the data set owns this wallet, the money, and the fall of the price."
        )
        terminal.say("")
        terminal.say(
            f"Points made of the model: AUC {self.points_auc:.3f} beside its {self.model_auc:.3f}, on "
            f"{self.rows:,} people who taught neither."
        )
        terminal.say(
            f"{self.signed} of {self.issuers} issuers attest {self.points} points, tier {self.tier}: "
            f"{self.pd_a_month:.1%} to default next month ({self.pd_a_year:.0%} a year at that rate)."
        )
        for reason in self.reasons:
            terminal.say(escape(f"  - {reason}"))
        terminal.say(
            escape(
                f"Lent: {coins(self.amount)} at {self.rate:.2%} a year, {self.ltv_bps / 100:.0f} % of the "
                f"collateral's worth; sold below {self.sold_below:,.0f} {self.loan.symbol}."
            )
        )
        terminal.say(
            escape(
                f"The price falls from {self.price_before:,.0f} to {self.price_after:,.0f}: an auction sells "
                f"{self.collateral.text(self.seized)} for {coins(self.repaid)}, "
                f"a bonus of {self.bonus_bps / 100:.2f} %."
            )
        )
        terminal.say(
            escape(
                f"Loss: {coins(self.bad_debt)} = {coins(self.from_junior)} of the junior lender, all it had, "
                f"+ {coins(self.from_senior)} of the senior one."
            )
        )
        terminal.say(
            escape(
                f"Fee of the interest into the model's till: {coins(self.fee)}; "
                f"{len(self.received)} who made it have theirs. "
            )
            + ("Every unit is there." if self.conserved else "[bold red]UNITS ARE MISSING.[/bold red]")
        )
        terminal.say(escape(f"Look: /credit/{self.wallet} and /pools/{self.pool}"))
