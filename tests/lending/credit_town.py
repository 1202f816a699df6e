# SPDX-License-Identifier: Apache-2.0
"""A console's town with a credit pool in it: tokens, a feed that says what it is told, issuers, a card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from koinon.chain.contract import Call
from koinon.lending.api import ROOM, Lending
from koinon.lending.issuing import ScoreFile
from koinon.lending.pool_terms import PoolTerms, TierTerms
from koinon.lending.score_word import ScoreWord
from koinon.lending.scorecard_table import Feature, ScorecardTable
from koinon.lending.scoring.calibration import Calibration
from koinon.lending.scoring.reader import Reader
from koinon.lending.scoring.scorecard import Scorecard, Tier
from koinon.works.attestations import Attestation, Attestations, SchemaTerms
from tests.bench_support import mock
from tests.lending.test_pools import MOCKS, created
from tests.pages_support import Town

UNIT, COIN = 10**6, 10**18
TIERS = (
    TierTerms(8_000, 150, 50_000 * UNIT, 600, 2_000, 30),
    TierTerms(6_500, 600, 20_000 * UNIT, 1_500, 2_000, 50),
    TierTerms(5_000, 1_200, 5_000 * UNIT, 4_000, 2_000, 50),
)
REPORT = {
    "data": "loans of a simulated market",
    "evidence": "simulated",
    "split": "by time, 30 % held out",
    "models": [
        {"name": "scorecard", "auc": {"value": 0.8125}},
        {"name": "raw logistic", "auc": {"value": 0.7951}},
    ],
}


def scorecard() -> Scorecard:
    """Points for loans repaid, none for liquidations; three tiers."""
    features = (
        Feature("repays_365d", (0, 2), (0, 60, 100), 0),
        Feature("liquidations_365d", (0,), (40, 0), 0),
    )
    return Scorecard(
        ScorecardTable(features, (620, 560), 500),
        tuple(Reader(each.name, each.scale) for each in features),
        Calibration("platt", ((-2.0, -2.0),)),
        (Tier(10, 0, 0.01), Tier(10, 1, 0.1), Tier(10, 2, 0.2)),
        {"repays_365d": 1, "liquidations_365d": -1},
        {"data": "by hand", "report": REPORT},
    )


@dataclass
class CreditTown:
    """The town, its pool, and who may sign scores."""

    town: Town
    loan: str
    other: str
    feed: str
    pool: str
    issuers: tuple[Any, ...]

    @property
    def lending(self) -> Lending:
        return Lending(self.town.chain, self.town.house.settings.home / ROOM, self.town.owner)

    def set_price(self, market: int, feeders: int | None = None) -> None:
        answers = mock(MOCKS / "PostingFeed.vy").functions["set_answers"]
        given = (market * 10**8, (market if feeders is None else feeders) * 10**8)
        self.town.transact(Call(self.feed, answers.encode(*given)))

    def give(self, account: str, loan: int = 0, other: int = 0) -> None:
        for token, amount in ((self.loan, loan * UNIT), (self.other, other * COIN)):
            if amount:
                coin = self.town.chain.contract("Coin", token)
                self.town.transact(coin.transaction("mint", account, amount))

    def holds(self, token: str, account: str) -> int:
        return int(self.town.chain.contract("Coin", token).call("balanceOf", account))

    def attest(
        self, wallet: str, word: ScoreWord, *, lasts_s: int = 10**6, digest: bytes = bytes(32)
    ) -> None:
        """A score, signed by as many as must."""
        chain = self.town.chain
        now = chain.timestamp()
        terms = self.lending.pool(self.pool).terms
        made = Attestation(terms.schema, wallet, word.word(), now, now + lasts_s, digest, terms.work_id)
        attestations = Attestations(chain)
        signed = tuple(attestations.domain.sign(issuer, made) for issuer in self.issuers)
        self.lending.post_score(ScoreFile(made, signed))


def open_credit(town: Town, **terms: Any) -> CreditTown:
    """A pool that the town's owner lent 80,000 to, and 20,000 junior; the operator is among its issuers."""
    chain, owner = town.chain, town.owner
    loan, other = created(chain, owner, "Money.vy", 6), created(chain, owner, "Money.vy", 18)
    feed = created(chain, owner, "PostingFeed.vy", other, loan, 8, 2_000 * 10**8)
    issuers = (owner, town.house.operator)
    schema = Attestations(chain).register(
        owner, SchemaTerms("credit score", issuers=tuple(each.address for each in issuers), threshold=2)
    )
    asked = {"borrower_cap_bps": 10_000, "min_debt": 100 * UNIT, "junior_notice_s": 0, **terms}
    lending = Lending(chain, town.house.settings.home / ROOM, owner)
    pool = lending.create_pool(PoolTerms(loan, other, feed, schema, TIERS, **asked)).address
    credit = CreditTown(town, loan, other, feed, pool, issuers)
    credit.give(owner.address, loan=1_000_000)
    lending.deposit(pool, 80_000 * UNIT)
    lending.deposit(pool, 20_000 * UNIT, junior=True)
    credit.set_price(2_000)
    town.sync()
    return credit
