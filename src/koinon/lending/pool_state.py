# SPDX-License-Identifier: Apache-2.0
"""A credit pool as it stands at one second: tokens, terms, books, price, and who would bear a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from koinon.chain.handle import Chain
from koinon.errors import NotFound
from koinon.lending.pool_terms import WHOLE_BPS, PoolTerms
from koinon.lending.pools import Books, CreditPool
from koinon.markets.feeds import Feed, Price
from koinon.markets.tokens import Token, token_at

WAD: Final = 10**18
LOSSES_BPS: Final = (100, 500, 1_000, 2_500, 5_000)
"""Parts of all debt whose loss a pool's picture shows."""


@dataclass(frozen=True, slots=True)
class Borne:
    """Who bears ``loss``, in the loan token's smallest unit: they add up to it."""

    loss: int
    junior: int
    senior: int
    fees: int

    @classmethod
    def of(cls, books: Books, loss: int) -> Borne:
        """As the contract would share it now: the junior tranche first, then the senior one, then what the
        model is owed."""
        junior = min(loss, books.junior)
        senior = min(loss - junior, books.senior)
        return cls(loss, junior, senior, loss - junior - senior)


@dataclass(frozen=True, slots=True)
class PoolState:
    """One pool now.

    ``price`` is None while feeders and market disagree, then ``no_price`` says why and nothing can be
    borrowed. ``lost`` is what earlier defaults took, from whom.
    """

    address: str
    terms: PoolTerms
    loan: Token
    collateral: Token
    books: Books
    base_rate: float
    price: Price | None
    no_price: str
    lost: Borne
    issuers: tuple[str, ...]
    threshold: int

    @property
    def worst_tier(self) -> int:
        """What wallets without a score get."""
        return len(self.terms.tiers) - 1

    def waterfall(self) -> list[Borne]:
        """Who would bear the loss of parts of all debt (`LOSSES_BPS`) that nobody pays."""
        return [Borne.of(self.books, self.books.debt * part // WHOLE_BPS) for part in LOSSES_BPS]

    def rate_after(self, amount: int) -> float:
        """The pool's rate a year once so much more is lent out, before any spread; as the contract's."""
        terms, books = self.terms, self.books
        supply = books.senior + books.junior + books.fees
        if supply == 0:
            return terms.base_rate_bps / WHOLE_BPS
        lent = min((books.debt + amount) * WAD // supply, WAD)
        kink = terms.kink_bps * WAD // WHOLE_BPS
        if lent <= kink:
            low, high, part = terms.base_rate_bps, terms.kink_rate_bps, WAD * lent // kink
        else:
            low, high = terms.kink_rate_bps, terms.full_rate_bps
            part = WAD * (lent - kink) // (WAD - kink)
        return (low * WAD + (high - low) * part) // WHOLE_BPS / WAD

    def worth(self, collateral: int) -> int:
        """Of collateral, in the loan token's smallest unit, rounded down as the contract does.

        Raises
        ------
        NotFound
            There is no price now.
        """
        top, bottom = self._scale()
        return collateral * top // bottom

    def collateral_for(self, worth: int) -> int:
        """The least collateral of that worth; errors as in `worth`."""
        top, bottom = self._scale()
        return -(-worth * bottom // top)

    def _scale(self) -> tuple[int, int]:
        if self.price is None:
            raise NotFound(
                f"Nothing can be borrowed now: {self.no_price}",
                hint="Repaying, liquidating and withdrawing go on.",
                code="lending.no_price",
            )
        top = self.price.value * 10**self.loan.decimals
        return top, int(10 ** (self.collateral.decimals + self.price.decimals))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; amounts in smallest units."""
        books, price = self.books, self.price
        return {
            "address": self.address,
            "loan": asdict(self.loan),
            "collateral": asdict(self.collateral),
            "price": None if price is None else str(price.whole),
            "no_price": self.no_price,
            "utilisation": books.utilisation,
            "base_rate": self.base_rate,
            "cash": books.cash,
            "debt": books.debt,
            "senior": books.senior,
            "junior": books.junior,
            "fees": books.fees,
            "tiers": [
                {
                    **asdict(tier),
                    "tier": number,
                    "rate": self.base_rate + tier.spread_bps / WHOLE_BPS,
                    "debt": debt,
                }
                for number, (tier, debt) in enumerate(zip(self.terms.tiers, books.debts, strict=False))
            ],
            "offer_required": self.terms.offer_required,
            "schema": "0x" + self.terms.schema.hex(),
            "work": self.terms.work_id,
            "issuers": list(self.issuers),
            "threshold": self.threshold,
            "waterfall": [asdict(each) for each in self.waterfall()],
            "lost": asdict(self.lost),
        }


def read_pool(
    chain: Chain,
    pool: CreditPool,
    *,
    token: Callable[[str], Token] | None = None,
    lost: Borne | None = None,
) -> PoolState:
    """A pool now.

    Parameters
    ----------
    chain : Chain
    pool : CreditPool
    token : callable, optional
        Says what a token is; asked of the chain by default.
    lost : Borne, optional
        What earlier defaults took; by default the chain is asked, from its first block on.
    """
    terms = pool.terms()
    named = token or (lambda address: token_at(chain, address))
    price, no_price = None, ""
    try:
        price = Feed(chain, terms.feed).latest()
    except NotFound as missing:
        no_price = missing.message
    if price is not None and price.value <= 0:  # the contract refuses it as well
        price, no_price = None, f"The feed {terms.feed} says that the collateral is worth nothing."
    issuers, threshold = chain.contract("Attestations").call("issuers_of", terms.schema)
    return PoolState(
        pool.address,
        terms,
        named(terms.loan_token),
        named(terms.collateral_token),
        pool.books(),
        pool.base_rate(),
        price,
        no_price,
        _lost(pool.contract.history("Defaulted")) if lost is None else lost,
        tuple(map(str, issuers)),
        int(threshold),
    )


def _lost(defaults: list[dict[str, Any]]) -> Borne:
    def total(name: str) -> int:
        return sum(int(each[name]) for each in defaults)

    return Borne(total("bad_debt"), total("from_junior"), total("from_senior"), total("from_fees"))
