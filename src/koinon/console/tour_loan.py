# SPDX-License-Identifier: Apache-2.0
"""The loan of the newest tour as its page tells it: every figure read from the pool and its scores; reasons
from what its issuers looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import orjson

from koinon.chain.handle import Chain
from koinon.errors import BadInput, ChainError, NotFound
from koinon.lending.grades import letter
from koinon.lending.pools import CreditPool
from koinon.lending.score_word import ScoreWord
from koinon.lending.scoring.frame import Numeric
from koinon.lending.scoring.reasons import explain
from koinon.lending.scoring.scorecard import Scorecard
from koinon.lending.scoring.words import notice
from koinon.markets.tokens import token_at
from koinon.web import Unit, gettext
from koinon.works.attestations import Attestations

FOLDER: Final = "finance"
"""In the tour's folder: the points, and what the issuers were told of the wallet's owner."""


@dataclass(frozen=True)
class Loss:
    """What no collateral covered, and who bore it: ``junior`` and ``senior`` make ``loss``."""

    loss: int
    junior: int
    senior: int


@dataclass(frozen=True)
class Loan:
    """A loan so far, in smallest units of ``unit`` (``seized`` of ``collateral``): 0 or None until it
    happened; ``fee``, exact as text, is what reached the model's till."""

    score: ScoreWord | None
    tier: str
    issuers: int
    signers: int
    unit: Unit
    collateral: Unit
    borrowed: int
    repaid: int
    seized: int
    lost: Loss | None
    fee: str


def read_reasons(tour: Path) -> list[str]:
    """Why the wallet has no more points, in the reader's language; empty where the files are gone."""
    try:
        told = orjson.loads((tour / FOLDER / "told.json").read_bytes())
        card = Scorecard.load(tour / FOLDER / "scorecard.json")
        row = [reader.read(Numeric(np.array([float(told[reader.name])])))[0] for reader in card.readers]
        found = explain(card, np.array(row, dtype=np.int64))
        return notice(card, found, {name: _title(name) for name in card.columns})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BadInput, NotFound):
        return []


def _title(column: str) -> str:
    """What a column of the card holders' table is called to people; month 1 is the latest."""
    kind, _, month = column.partition("_")
    if kind == "limit":
        return gettext("credit limit, NT$")
    if kind == "age":
        return gettext("age")
    if kind == "status":
        return gettext("months behind, as of month %(month)s", month=month)
    if kind == "bill":
        return gettext("owed in month %(month)s, NT$", month=month)
    return gettext("paid in month %(month)s, NT$", month=month)


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
    loan, collateral = (token_at(chain, each) for each in (terms.loan_token, terms.collateral_token))

    def total(event: str, name: str) -> int:
        found = pool.contract.history(event)
        return sum(int(each[name]) for each in found if each.get("borrower", wallet) == wallet)

    lost = Loss(*(total("Defaulted", name) for name in ("bad_debt", "from_junior", "from_senior")))
    fee = total("FeePaid", "amount")
    scored = standing.uid != bytes(32) and standing.work_id == terms.work_id
    score = ScoreWord.of(standing.word) if scored else None
    return Loan(
        score=score,
        tier="" if score is None else letter(score.tier),
        issuers=len(issuers),
        signers=signers,
        unit=Unit(loan.symbol, loan.decimals),
        collateral=Unit(collateral.symbol, collateral.decimals),
        borrowed=total("Borrowed", "amount"),
        repaid=total("Liquidated", "repaid"),
        seized=total("Liquidated", "seized"),
        lost=lost if lost.loss else None,
        fee=loan.text(fee) if fee else "",
    )
