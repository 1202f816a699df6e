# SPDX-License-Identifier: Apache-2.0
"""Offers of credit: what an issuer of scores signs for one borrower, and a pool executes as signed.

An offer may ask for more than the borrower's tier does on chain (a worse tier's spread, more collateral, a
smaller amount), never for less: a challenger model can only tighten terms. Shares of a whole in 1e-4 (bps).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from koinon.chain.account import Account
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.errors import BadInput

OFFER: Final = TypedStruct(
    "Offer(address pool,address borrower,uint256 amount,uint256 collateralRatioBps,uint256 spreadBps,"
    "uint256 tier,uint256 expiresAt,uint256 nonce)"
)
MAXIMUM_TIERS: Final = 8


@dataclass(frozen=True, slots=True)
class CreditOffer:
    """One offer.

    Parameters
    ----------
    pool, borrower : str
        Which pool lends to whom.
    amount : int
        Exactly what is borrowed, in the loan token's smallest unit.
    collateral_ratio_bps : int
        The least worth of all collateral, as a part of the whole debt after borrowing; 0 asks for no more
        than the tier does.
    spread_bps : int
        A year, above the pool's rate: that of ``tier``.
    tier : int
        The loan's tier, the borrower's own or a worse one.
    expires_at : int
        The last second at which the offer counts.
    nonce : int
        Tells offers apart that are otherwise the same.
    """

    pool: str
    borrower: str
    amount: int
    collateral_ratio_bps: int
    spread_bps: int
    tier: int
    expires_at: int
    nonce: int

    def __post_init__(self) -> None:
        numbers = (self.collateral_ratio_bps, self.spread_bps, self.tier, self.expires_at, self.nonce)
        if not 0 < self.amount < 2**96 or any(not 0 <= number < 2**256 for number in numbers):
            raise _wrong("An offer's numbers are out of range.")
        if self.tier >= MAXIMUM_TIERS:
            raise _wrong(f"A pool has at most {MAXIMUM_TIERS} tiers.")

    def values(self) -> tuple[str, str, int, int, int, int, int, int]:
        """As the pool's ABI takes it, and as it is signed."""
        return (
            self.pool,
            self.borrower,
            self.amount,
            self.collateral_ratio_bps,
            self.spread_bps,
            self.tier,
            self.expires_at,
            self.nonce,
        )

    def to_json(self) -> dict[str, Any]:
        """Its fields; numbers that may pass 2**53 as text."""
        return {**asdict(self), "amount": str(self.amount), "nonce": str(self.nonce)}

    @classmethod
    def from_json(cls, fields: Any) -> CreditOffer:
        """From `to_json`; BadInput where it is not that."""
        try:
            return cls(
                str(fields["pool"]),
                str(fields["borrower"]),
                int(fields["amount"]),
                int(fields["collateral_ratio_bps"]),
                int(fields["spread_bps"]),
                int(fields["tier"]),
                int(fields["expires_at"]),
                int(fields["nonce"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _wrong("This is not an offer's JSON.") from error


class OfferDomain:
    """What issuers sign for one pool on one chain."""

    def __init__(self, chain_id: int, pool: str) -> None:
        self.domain = Domain("Koinon Credit Pool", "1", chain_id, pool)

    def digest(self, offer: CreditOffer) -> bytes:
        """What is signed: 32 bytes."""
        return digest(self.domain, OFFER.hash(*offer.values()))

    def sign(self, issuer: Account, offer: CreditOffer) -> tuple[str, bytes]:
        """The issuer and its signature, as `borrow_with_offer` takes them."""
        return issuer.address, issuer.sign_typed(self.domain, OFFER, *offer.values())


def _wrong(sentence: str) -> BadInput:
    return BadInput(sentence, code="lending.offer")
