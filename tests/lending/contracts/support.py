# SPDX-License-Identifier: Apache-2.0
"""A credit pool with everything around it: tokens, a feed that says what it is told, issuers and lenders."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boa

from koinon.works.attestations import Attestation, AttestationDomain, SchemaTerms
from tests.contracts_support import (
    NOBODY,
    Hall,
    account,
    compiled,
    deploy,
    deploy_hall,
    deployable,
    key,
)

MOCKS = Path(__file__).parent / "mocks"
DAY = 86_400
YEAR = 365 * DAY
SENIOR, JUNIOR = 0, 1
UNIT = 10**6
"""One whole loan token (6 decimals, as the test dollar)."""
COIN = 10**18
"""One whole collateral token."""
PRICE = 2_000 * 10**8
"""Loan tokens a collateral token, with the feed's 8 decimals."""
ISSUERS = tuple(
    sorted(("first issuer", "second issuer", "third issuer"), key=lambda role: key(role).address.lower())
)
"""Roles, in rising order of their addresses; two must sign."""


@dataclass(frozen=True)
class Tier:
    lltv_bps: int
    spread_bps: int
    cap: int
    pd_bps: int
    lgd_bps: int = 4_000
    capital_bps: int = 50

    def values(self) -> tuple[int, ...]:
        return (self.lltv_bps, self.spread_bps, self.cap, self.pd_bps, self.lgd_bps, self.capital_bps)


TIERS = (
    Tier(8_500, 150, 400_000 * UNIT, 100),
    Tier(8_000, 300, 300_000 * UNIT, 400),
    Tier(7_000, 600, 200_000 * UNIT, 1_200),
    Tier(5_000, 1_200, 50_000 * UNIT, 2_500),
)
"""The last is what unknown wallets get."""

TERMS: dict[str, Any] = {
    "base_rate_bps": 100,
    "kink_rate_bps": 600,
    "full_rate_bps": 5_000,
    "kink_bps": 8_000,
    "fee_bps": 1_000,
    "borrower_cap_bps": 3_000,
    "coverage_bps": 2_000,
    "close_factor_bps": 5_000,
    "min_bonus_bps": 100,
    "max_bonus_bps": 1_000,
    "auction_s": 3_600,
    "grace_s": 7 * DAY,
    "junior_notice_s": 5 * DAY,
    "min_debt": 100 * UNIT,
    "offer_required": False,
}


@dataclass
class Bank:
    """The contracts around pools, and how scores are made."""

    hall: Hall
    attestations: Any
    bundles: Any
    factory: Any
    loan_token: Any
    collateral_token: Any
    feed: Any
    schema: bytes
    work_id: int
    nonces: dict[str, int] = field(default_factory=dict)

    @property
    def signer(self) -> AttestationDomain:
        """The Python side of the attestations contract."""
        return AttestationDomain(boa.env.evm.patch.chain_id, self.attestations.address)

    def market(self, **changes: Any) -> dict[str, Any]:
        """A pool's terms by name."""
        return {
            "loan_token": self.loan_token.address,
            "collateral_token": self.collateral_token.address,
            "feed": self.feed.address,
            "attestations": self.attestations.address,
            "schema": self.schema,
            "bundles": self.bundles.address,
            "works": self.hall.works.address,
            "work_id": self.work_id,
            **TERMS,
            **changes,
        }

    def pool(self, tiers: tuple[Tier, ...] = TIERS, salt: bytes = bytes(32), **changes: Any) -> Any:
        """Create a pool through the factory."""
        terms = tuple(self.market(**changes).values())
        address = self.factory.create(terms, [tier.values() for tier in tiers], salt)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return deployable("lending", "CreditPool").at(address)

    def score(
        self,
        subject: str,
        tier: int,
        *,
        pd_bps: int = 0,
        lasts_s: int = 90 * DAY,
        work_id: int | None = None,
        issued_at: int | None = None,
    ) -> Attestation:
        """Attest a tier to a wallet, by two of the issuers."""
        now = int(boa.env.evm.patch.timestamp)
        self.nonces[subject] = self.nonces.get(subject, 0) + 1
        attestation = Attestation(
            schema=self.schema,
            subject=subject,
            word=tier | pd_bps << 8,
            work_id=self.work_id if work_id is None else work_id,
            issued_at=now if issued_at is None else issued_at,
            expires_at=now + lasts_s,
            nonce=self.nonces[subject],
        )
        self.attestations.attest(attestation.values(), self.signed(attestation, ISSUERS[:2]))
        return attestation

    def signed(self, attestation: Attestation, roles: tuple[str, ...]) -> list[tuple[str, bytes]]:
        """What these issuers sign, as the contract takes it."""
        digest = self.signer.uid(attestation)
        return [(key(role).address, key(role).sign(digest)) for role in roles]

    def revoke(self, attestation: Attestation) -> None:
        """Take an attestation back, by two of the issuers."""
        uid = self.signer.uid(attestation)
        digest = self.signer.revocation_digest(attestation.schema, attestation.subject, uid)
        signed = [(key(role).address, key(role).sign(digest)) for role in ISSUERS[:2]]
        self.attestations.revoke(attestation.schema, attestation.subject, uid, signed)


def open_bank(loan_token: Any = None, collateral_token: Any = None) -> Bank:
    """Everything but a pool; test tokens where none are given."""
    hall = deploy_hall()
    model = hall.publish(account("owner of the model"))
    attestations = deploy("works", "Attestations")
    bundles = deploy("lending", "Bundles")
    factory = deploy(
        "lending",
        "CreditPoolFactory",
        attestations.address,
        bundles.address,
        hall.works.address,
        deployable("lending", "CreditPool").compiler_data.bytecode,
    )
    terms = SchemaTerms("credit score", NOBODY, tuple(key(role).address for role in ISSUERS), 2, 30 * DAY)
    schema = attestations.register(*terms.values(), sender=account("registrant"))
    return Bank(
        hall,
        attestations,
        bundles,
        factory,
        loan_token or compiled(MOCKS / "Money.vy").deploy(6),
        collateral_token or compiled(MOCKS / "Money.vy").deploy(18),
        compiled(MOCKS / "Feed.vy").deploy(8, PRICE),
        schema,
        model,
    )


def fund(bank: Bank, pool: Any, role: str, loan: int = 0, collateral: int = 0) -> str:
    """A role with tokens that the pool may take."""
    address = account(role)
    for token, amount in ((bank.loan_token, loan), (bank.collateral_token, collateral)):
        token.mint(address, amount)
        token.approve(pool.address, 2**256 - 1, sender=address)
    return address


def wait(seconds: int) -> None:
    """Let time pass."""
    boa.env.time_travel(seconds=seconds)


def now() -> int:
    """The chain's second."""
    return int(boa.env.evm.patch.timestamp)
