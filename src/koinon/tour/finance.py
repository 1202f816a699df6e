# SPDX-License-Identifier: Apache-2.0
"""The tour's finance step: what the lenders' model says of a wallet decides what a pool lends it.

The model becomes points in whole numbers, two of three issuers attest a wallet's, a pool lends by them, the
price falls, the loan is sold, its loss is borne, and the model's makers get their part of the interest.
Shown in seconds what takes months; what is simulated is called so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import orjson

from koinon.chain.keys import Key, write_private
from koinon.errors import SetupError
from koinon.learning.outcome import Outcome
from koinon.learning.splits import Split
from koinon.lending.api import Lending
from koinon.lending.issuing import Judgement, ScoreFile
from koinon.lending.pool_terms import PoolTerms, TierTerms
from koinon.lending.pools import CreditPool, CreditPools
from koinon.lending.score_word import SCHEMA_TEXT
from koinon.lending.scoring.calibration import yearly
from koinon.lending.scoring.frame_reading import from_table
from koinon.lending.scoring.from_model import Distilled, distil
from koinon.lending.scoring.points import Plan
from koinon.lending.scoring.report import OFF_CHAIN
from koinon.lending.scoring.scorecard import Scorecard
from koinon.lending.scoring.serving import Cell, Scorer
from koinon.node import Node
from koinon.services.models import perceptron
from koinon.tables import Table
from koinon.terminal import Terminal
from koinon.tour.lent import Lent
from koinon.tour.market import Market, mint
from koinon.tour.parties import Cast, Party
from koinon.web.language import speaking
from koinon.works.api import Published, Works
from koinon.works.attestations import Attestations, SchemaTerms

DATA: Final = "card holders, Taiwan 2005"
HORIZON_DAYS: Final = 30
"""The model says who defaults next month."""
ISSUERS, SIGNERS = 3, 2
JUNIOR, SENIOR = 2_500, 22_500
"""What two lenders put into the pool, whole coins."""
PLEDGED: Final = 10
"""Whole tokens of collateral."""
BORROWED: Final = 20_000
FALLS_BY: Final = 0.45
FEE_BPS: Final = 2_000
LLTV_BPS: Final = (8_500, 8_000, 7_200, 6_500)
LGD_BPS: Final = 500
CAPITAL_BPS: Final = 50
AUCTION_S: Final = 10
WORTH_IT_BPS: Final = 300
"""The bonus that the liquidator waits for."""
NOT_HERE: Final = (
    "To see the model decide a loan as well, install what that needs: pip install 'koinon[finance]'"
)
CHANGEABLE: Final = {"status_1": -1, "bill_1": -1, "paid_1": 1}
"""What a card holder can do something about, and which way it should go."""


@dataclass(frozen=True)
class People:
    """Who takes part in the loan."""

    senior: Party
    junior: Party
    borrower: Party
    liquidator: Party


class Finance:
    """One run of the step. ``tell`` puts pool and wallet on the tour's page."""

    def __init__(
        self, node: Node, terminal: Terminal, folder: Path, cast: Cast, tell: Callable[..., None]
    ) -> None:
        self._node, self._chain, self._terminal = node, node.chain, terminal
        self._folder, self._cast, self._tell = folder / "finance", cast, tell
        self._issuers = tuple(lender.key for lender in cast.lenders[:ISSUERS])

    def attempt(
        self, outcome: Outcome, model_file: Path, published: Published, split: Split
    ) -> tuple[Lent | None, str]:
        """What `run` found, or one sentence why this machine cannot."""
        try:
            return self.run(outcome, model_file, published, split), ""
        except SetupError as lacking:
            if lacking.code != "setup.no_extra":
                raise
            self._tell(not_lent=True)
            return None, NOT_HERE

    def run(self, outcome: Outcome, model_file: Path, published: Published, split: Split) -> Lent:
        """Everything.

        Raises
        ------
        SetupError
            Packages that points are made with are not installed (``setup.no_extra``).
        """
        made = self._points(model_file, split)
        market = Market.open(self._chain, self._node.operator, [each.key for each in self._cast.lenders[-3:]])
        people = self._people(market)
        pool = self._open(made.scorecard, market, people, published)
        self._tell(pool=pool.address, wallet=people.borrower.address)
        price_before = market.agree()
        judgement = self._attest(made.scorecard, pool, people, split)
        borrower = self._door(people.borrower)
        market.agree()
        collateral = PLEDGED * 10**market.token.decimals
        quote = borrower.quote(
            pool.address,
            people.borrower.address,
            amount=BORROWED * 10**market.coin.decimals,
            collateral=collateral,
            judgement=judgement,
        )
        offer = self._door(self._issuers[0]).offer(quote, judgement=judgement)
        offer.save(self._folder / "offer.json")
        borrower.supply_collateral(pool.address, collateral)
        market.agree()
        borrower.take(offer)
        price_after = market.fall(FALLS_BY)
        self._liquidate(pool, people, quote.amount)
        received, waiting = self._pay_makers(pool, outcome, published)
        (sold,) = pool.contract.history("Liquidated")
        (lost,) = pool.contract.history("Defaulted")
        fee = sum(int(each["amount"]) for each in pool.contract.history("FeePaid"))
        return Lent(
            pool=pool.address,
            wallet=people.borrower.address,
            points=judgement.answer.points,
            tier=judgement.word.tier,
            pd_a_month=judgement.answer.probability,
            pd_a_year=judgement.word.pd_bps / 10_000,
            reasons=tuple(judgement.answer.reasons),
            ways_up=tuple(judgement.answer.ways_up),
            model_auc=made.fidelity.model.value,
            points_auc=made.fidelity.points.value,
            rows=made.fidelity.rows,
            issuers=ISSUERS,
            signed=SIGNERS,
            amount=quote.amount,
            rate=quote.rate,
            ltv_bps=quote.ltv_bps,
            sold_below=quote.sold_below,
            price_before=float(price_before),
            price_after=float(price_after),
            repaid=int(sold["repaid"]),
            seized=int(sold["seized"]),
            bonus_bps=int(sold["bonus_bps"]),
            bad_debt=int(lost["bad_debt"]),
            from_junior=int(lost["from_junior"]),
            from_senior=int(lost["from_senior"]),
            paid_in=(JUNIOR + SENIOR) * 10**market.coin.decimals + int(sold["repaid"]),
            paid_out=quote.amount + fee,
            cash=self._coins(pool.address),
            fee=fee,
            received=received,
            waiting=waiting,
            loan=market.coin,
            collateral=market.token,
        )

    # ------------------------------------------------------------ the steps

    def _points(self, model_file: Path, split: Split) -> Distilled:
        """The model's answers about the rows that taught it teach points; other rows judge them."""
        parts = (*split.owners, split.contribution)
        teach = Table(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.labels for part in parts]),
            split.held_out.columns,
        )
        late = {name: 1 for name in teach.columns if name.startswith("status_")}
        plan = Plan(binner="tree", tiers=len(LLTV_BPS), monotone={**late, "limit": -1}, actionable=CHANGEABLE)
        made = distil(
            perceptron.load(model_file),
            from_table(teach),
            from_table(split.held_out),
            plan,
            data=DATA,
            evidence=OFF_CHAIN,
        )
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        made.scorecard.save(self._folder / "scorecard.json")
        return made

    def _people(self, market: Market) -> People:
        names = {"senior": "Saver", "junior": "Underwriter", "borrower": "Borrower", "liquidator": "Bidder"}
        people = People(
            **{role: Party.settle_in(self._node, name, self._folder / role) for role, name in names.items()}
        )
        self._node.fund(*(party.address for party in vars(people).values()))
        coin, token = market.coin, market.token
        for party, amount in (
            (people.senior, SENIOR),
            (people.junior, JUNIOR),
            (people.liquidator, 2 * BORROWED),
        ):
            mint(self._chain, self._node.operator, coin.address, party.address, amount * 10**coin.decimals)
        pledge = PLEDGED * 10**token.decimals
        mint(self._chain, self._node.operator, token.address, people.borrower.address, pledge)
        return people

    def _open(self, scorecard: Scorecard, market: Market, people: People, published: Published) -> CreditPool:
        """A pool that lends by this model's scores and pays its till; two lenders put money in."""
        schema = Attestations(self._chain).register(
            self._cast.opener.key,
            SchemaTerms(
                SCHEMA_TEXT,
                issuers=tuple(issuer.address for issuer in self._issuers),
                threshold=SIGNERS,
            ),
        )
        unit = 10**market.coin.decimals
        terms = PoolTerms(
            market.coin.address,
            market.token.address,
            market.feed.address,
            schema,
            _tiers(scorecard, BORROWED * unit * 5 // 4),
            work_id=published.work_id,
            fee_bps=FEE_BPS,
            borrower_cap_bps=10_000,
            coverage_bps=1_000,
            auction_s=AUCTION_S,
            min_debt=100 * unit,
        )
        pool = CreditPools(self._chain).create(self._cast.opener.key, terms)
        self._door(people.junior).deposit(pool.address, JUNIOR * unit, junior=True)
        self._door(people.senior).deposit(pool.address, SENIOR * unit)
        return pool

    def _attest(self, scorecard: Scorecard, pool: CreditPool, people: People, split: Split) -> Judgement:
        """Each issuer looks by itself; enough of the same word go on chain."""
        scorer, told = Scorer(scorecard), _applicant(scorecard, split.held_out)
        write_private(self._folder / "told.json", orjson.dumps(told))
        begun: ScoreFile | None = None
        with speaking(self._terminal.language):
            for issuer in self._issuers[:SIGNERS]:
                door = self._door(issuer)
                judgement = door.score(
                    people.borrower.address,
                    scorer,
                    block=None if begun is None else begun.attestation.as_of_block,
                    told=told,
                    horizon_days=HORIZON_DAYS,
                )
                begun = (
                    door.begin_score(pool.address, judgement)
                    if begun is None
                    else door.join_score(pool.address, begun, judgement)
                )
        assert begun is not None  # noqa: S101  (there are issuers)
        self._door(people.borrower).post_score(begun)
        return judgement

    def _liquidate(self, pool: CreditPool, people: People, amount: int) -> None:
        """The auction begins at the least bonus; somebody waits until it is worth it."""
        bidder, borrower = people.liquidator.key, people.borrower.address
        self._chain.sender(bidder).send(pool.call("mark", borrower))
        terms, begun = pool.terms(), pool.position(borrower).auction_from
        wide = terms.max_bonus_bps - terms.min_bonus_bps
        wait_s = -(-(WORTH_IT_BPS - terms.min_bonus_bps) * terms.auction_s // wide)
        while self._chain.next_timestamp() < begun + wait_s:
            time.sleep(0.2)
        self._door(people.liquidator).liquidate(pool.address, borrower, 2 * amount)

    def _pay_makers(
        self, pool: CreditPool, outcome: Outcome, published: Published
    ) -> tuple[dict[str, int], int]:
        """The pool's fee goes into the model's till and on to everyone it was taught by: who got how much,
        and what the tills keep of it."""
        till_of = self._chain.contract("Works")
        tills = [published.till]
        tills += [str(till_of.call("till_of", owner.work_id)) for owner in outcome.owners]
        before = sum(map(self._coins, tills))
        self._chain.sender(self._node.operator).send(pool.call("pay_fee"))
        received: dict[str, int] = {}
        works = {owner.address: owner.work_id for owner in outcome.owners}
        works[self._cast.opener.address] = published.work_id
        for party in (self._cast.opener, *self._cast.lenders):
            if party.address in works:
                collected = Works(self._chain, self._node.store, party.key).collect(works[party.address])
                if amount := collected.received(party.address):
                    received[party.address] = amount
        return received, sum(map(self._coins, tills)) - before

    # ------------------------------------------------------------ small things

    def _door(self, who: Party | Key) -> Lending:
        key = who.key if isinstance(who, Party) else who
        return Lending(self._chain, self._folder, key)

    def _coins(self, address: str) -> int:
        return int(self._chain.coin.call("balanceOf", address))


def _tiers(scorecard: Scorecard, cap: int) -> tuple[TierTerms, ...]:
    """A tier's price: the highest probability of default that it lets in, times what a sold collateral may
    lack, and a charge for capital. Without a score: everything that can go wrong."""
    found = []
    for tier, lltv in enumerate(LLTV_BPS):
        pd_bps = 10_000
        if tier < len(scorecard.table.thresholds):
            edge = np.array([scorecard.table.thresholds[tier]], dtype=np.int64)
            chance = float(scorecard.calibration.chances(edge)[0])
            pd_bps = min(10_000, int(np.ceil(yearly(chance, HORIZON_DAYS) * 10_000)))
        spread = -(-pd_bps * LGD_BPS // 10_000) + CAPITAL_BPS
        found.append(TierTerms(lltv, spread, cap, pd_bps, LGD_BPS, CAPITAL_BPS))
    return tuple(found)


def _applicant(scorecard: Scorecard, held_out: Table) -> dict[str, Cell]:
    """Somebody of the second tier whom the model never saw: something can be better, nothing is hopeless."""
    tiers = scorecard.tiers_of(from_table(held_out))
    wanted: Sequence[int] = np.flatnonzero(tiers == 1).tolist() or [0]
    row = held_out.features[wanted[0]]
    return {name: float(row[held_out.columns.index(name)]) for name in scorecard.columns}
