# SPDX-License-Identifier: Apache-2.0
"""A credit pool with everything around it: tokens, a feed that says what it is told, issuers and lenders."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from koinon.chain import artifacts
from koinon.lending.score_word import ScoreWord
from koinon.markets.simulation.bench import Bench
from koinon.works.attestations import Attestation, AttestationDomain, SchemaTerms
from tests.bench_support import NOBODY, Handle, account, at, deploy, key

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

    bench: Bench
    works: Handle
    attestations: Handle
    bundles: Handle
    factory: Handle
    loan_token: Handle
    collateral_token: Handle
    feed: Handle
    schema: bytes
    work_id: int
    nonces: dict[str, int] = field(default_factory=dict)

    @property
    def now(self) -> int:
        """The chain's second."""
        return self.bench.timestamp

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.bench.next_block(self.now + seconds)

    @property
    def signer(self) -> AttestationDomain:
        """What issuers sign for."""
        return AttestationDomain(self.bench.chain_id, self.attestations.address)

    def market(self, **changes: Any) -> dict[str, Any]:
        """A pool's terms by name."""
        return {
            "loan_token": self.loan_token.address,
            "collateral_token": self.collateral_token.address,
            "feed": self.feed.address,
            "attestations": self.attestations.address,
            "schema": self.schema,
            "bundles": self.bundles.address,
            "works": self.works.address,
            "work_id": self.work_id,
            **TERMS,
            **changes,
        }

    def pool(self, tiers: tuple[Tier, ...] = TIERS, salt: bytes = bytes(32), **changes: Any) -> Handle:
        """Create a pool through the factory."""
        terms = tuple(self.market(**changes).values())
        address = self.factory.create(terms, [tier.values() for tier in tiers], salt)
        return at(self.bench, address, "CreditPool")

    def score(self, subject: str, tier: int, *, pd_bps: int = 0, **options: Any) -> Attestation:
        """Attest a tier to a wallet, by two of the issuers; options as in `attest`."""
        return self.attest(subject, ScoreWord(tier, pd_bps).word(), **options)

    def attest(
        self,
        subject: str,
        word: int,
        *,
        lasts_s: int = 90 * DAY,
        work_id: int | None = None,
        as_of_block: int | None = None,
    ) -> Attestation:
        """Attest any word to a wallet, judged at the last block before this unless another is named."""
        now = self.now
        self.nonces[subject] = self.nonces.get(subject, 0) + 1
        attestation = Attestation(
            schema=self.schema,
            subject=subject,
            word=word,
            work_id=self.work_id if work_id is None else work_id,
            issued_at=now,
            expires_at=now + lasts_s,
            nonce=self.nonces[subject],
            as_of_block=self.bench.block_number - 1 if as_of_block is None else as_of_block,
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

    def fund(self, pool: Handle, role: str, loan: int = 0, collateral: int = 0) -> str:
        """A role with tokens that the pool may take."""
        address = account(role)
        for token, amount in ((self.loan_token, loan), (self.collateral_token, collateral)):
            token.mint(address, amount)
            token.approve(pool.address, 2**256 - 1, sender=address)
        return address

    def set_price(self, whole: float) -> None:
        """Loan tokens a collateral token, as feeders and market both say."""
        answer = round(whole * 10**8)
        self.feed.set_answers(answer, answer)


def open_bank(collateral_decimals: int = 18) -> Bank:
    """Everything but a pool."""
    bench = Bench()
    works = deploy(bench, "Works", deploy(bench, "Till").address)
    model = works.publish("ipfs://model", [], 0, [], sender=account("owner of the model"))
    attestations, bundles = deploy(bench, "Attestations"), deploy(bench, "Bundles")
    factory = deploy(
        bench,
        "CreditPoolFactory",
        attestations.address,
        bundles.address,
        works.address,
        artifacts.load("CreditPool").init_code,
    )
    terms = SchemaTerms("credit score", NOBODY, tuple(account(role) for role in ISSUERS), 2, 30 * DAY)
    schema = attestations.register(*terms.values(), sender=account("registrant"))
    return Bank(
        bench,
        works,
        attestations,
        bundles,
        factory,
        deploy(bench, MOCKS / "Money.vy", 6),
        deploy(bench, MOCKS / "Money.vy", collateral_decimals),
        deploy(bench, MOCKS / "Feed.vy", 8, PRICE),
        schema,
        model,
    )


def cash(bank: Bank, pool: Handle) -> int:
    """What a pool really holds."""
    return int(bank.loan_token.balanceOf(pool.address))


def balanced(bank: Bank, pool: Handle) -> None:
    """Cash and debt are what the tranches and the model have, to the unit."""
    senior, junior, fees, debt, debts = pool.books()
    assert cash(bank, pool) + debt == senior + junior + fees
    assert sum(debts) == debt
