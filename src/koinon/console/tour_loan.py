# SPDX-License-Identifier: Apache-2.0
"""The loan of the newest tour as its page tells it: every figure read from the pool and its scores."""

from __future__ import annotations

from dataclasses import dataclass

from koinon.chain.handle import Chain
from koinon.errors import ChainError, NotFound
from koinon.lending.pools import CreditPool
from koinon.lending.score_word import ScoreWord
from koinon.markets.tokens import token_at
from koinon.works.attestations import Attestations


@dataclass(frozen=True)
class Sold:
    """What an auction brought, as people read it; ``bonus`` a part of what was repaid."""

    repaid: str
    seized: str
    bonus: float


@dataclass(frozen=True)
class Loss:
    """What no collateral covered, and who bore it: ``junior`` and ``senior`` make ``loss``."""

    loss: str
    junior: str
    senior: str


@dataclass(frozen=True)
class Loan:
    """A loan so far: each part None or empty until it happened; ``fee`` is what reached the model's till."""

    score: ScoreWord | None
    issuers: int
    signers: int
    borrowed: str
    sold: Sold | None
    lost: Loss | None
    fee: str


def read_loan(chain: Chain, pool: str, wallet: str) -> Loan | None:
    """The wallet's loan at a pool; None where this chain has no such pool."""
    try:
        return _read(chain, CreditPool(chain, pool), wallet)
    except (ChainError, NotFound):
        return None


def _read(chain: Chain, pool: CreditPool, wallet: str) -> Loan:
    terms, attestations = pool.terms(), Attestations(chain)
    standing = attestations.latest(terms.schema, wallet)
    issuers, signers = attestations.issuers_of(terms.schema)
    loan, collateral = token_at(chain, terms.loan_token), token_at(chain, terms.collateral_token)

    def of_wallet(event: str) -> list[dict[str, object]]:
        return [each for each in pool.contract.history(event) if each["borrower"] == wallet]

    def total(events: list[dict[str, object]], name: str) -> int:
        return sum(int(str(each[name])) for each in events)

    borrowed, sales, losses = (of_wallet(name) for name in ("Borrowed", "Liquidated", "Defaulted"))
    fee = total(pool.contract.history("FeePaid"), "amount")
    scored = standing.uid != bytes(32) and standing.work_id == terms.work_id
    return Loan(
        score=ScoreWord.of(standing.word) if scored else None,
        issuers=len(issuers),
        signers=signers,
        borrowed=loan.text(total(borrowed, "amount")) if borrowed else "",
        sold=Sold(
            loan.text(total(sales, "repaid")),
            collateral.text(total(sales, "seized")),
            int(str(sales[-1]["bonus_bps"])) / 10_000,
        )
        if sales
        else None,
        lost=Loss(*(loan.text(total(losses, name)) for name in ("bad_debt", "from_junior", "from_senior")))
        if losses
        else None,
        fee=loan.text(fee) if fee else "",
    )
