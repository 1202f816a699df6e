# SPDX-License-Identifier: Apache-2.0
"""A scenario's beginning on the real contracts: tokens, pair, feed, a credit pool and everybody's loan.

In memory (`koinon.markets.simulation.bench`), on the bytecode that ships. Nothing accrues: the pool's rates
are zero, as the model knows no interest.
"""

from __future__ import annotations

from typing import Final

from koinon.chain import artifacts
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.errors import BadInput
from koinon.lending.risk.scenario import Scenario
from koinon.lending.risk.stage import STEP_S, Stage, person
from koinon.lending.score_word import ScoreWord
from koinon.markets.simulation.bench import Bench, Placed
from koinon.markets.simulation.prices import PRICE_DECIMALS
from koinon.markets.simulation.venue import Market, Token, transfer
from koinon.works.attestations import Attestation, AttestationDomain, SchemaTerms

START_S: Final = 1_700_000_000
BPS: Final = 10_000
_WINDOW_S: Final = 2 * STEP_S
_FOREVER_S: Final = 10 * 365 * 86_400
_JUNIOR_SHARE: Final = 4
"""A fourth of what is lent is junior."""


class OpenedStage(Stage):
    """Opened anew for a scenario.

    Raises
    ------
    BadInput
        A loan is unsound before anything happened, or has more than the eight LLTVs that a pool can have.
    TransactionFailed
        A contract refuses something that the scenario takes for granted.
    """

    bench: Bench
    price_decimals = PRICE_DECIMALS

    def __init__(self, scenario: Scenario) -> None:
        self.venue = scenario.venue
        self.bench = Bench(START_S)
        self.issuer, self.feeder = (
            Key.from_bytes(keccak256(b"koinon replay key: " + name)) for name in (b"issuer", b"feeder")
        )
        self.collateral = Token("COL", self.bench.deploy("Coin", "Replayed collateral", "COL", 18), 18)
        self.money = Token("USD", self.bench.deploy("Coin", "Replayed money", "USD", 6), 6)
        self.market = self._open_pair()
        self.feed = self._open_feed()
        self.lltvs = self._lltvs(scenario)
        self.pool = self._open_pool()
        self.borrowers = [person(f"borrower {at}") for at in range(len(scenario.book))]
        self._lend(scenario)

    def _open_pair(self) -> Market:
        factory = self.bench.deploy("PairFactory", artifacts.load("Pair").init_code)
        tokens = (self.collateral.address, self.money.address)
        address = self.act(person("maker"), factory, "createPair", *tokens)
        market = Market.of(self.collateral, self.money, self.bench.at(address, "Pair"))
        for token, whole in ((self.collateral, self.venue.base), (self.money, self.venue.quote)):
            self.give(person("maker"), token, token.units(whole))
            self.bench.transact(person("maker"), token.address, transfer(address, token.units(whole)))
        self.act(person("maker"), market.placed, "mint", person("maker"))
        return market

    def _open_feed(self) -> Placed:
        arguments = (
            self.market.address,
            self.collateral.address,
            PRICE_DECIMALS,
            "COL / USD",
            [self.feeder.address],
            1,
            _FOREVER_S,
            _WINDOW_S,
            BPS - 1,
        )
        return self.bench.deploy("PriceFeed", *arguments)

    @staticmethod
    def _lltvs(scenario: Scenario) -> list[int]:
        """In bps, highest first: one tier each."""
        found = sorted({round(lltv * BPS) for lltv in scenario.book.lltv}, reverse=True)
        if len(found) > 8:
            raise BadInput(
                "A pool has at most eight LLTVs, and this scenario has more.",
                hint="Round them, or replay one tier at a time.",
                code="lending.replay",
            )
        return found

    def _open_pool(self) -> Placed:
        till = self.bench.deploy("Till")
        works = self.bench.deploy("Works", till.address)
        attestations = self.bench.deploy("Attestations")
        bundles = self.bench.deploy("Bundles")
        terms = SchemaTerms("credit score", issuers=(self.issuer.address,))
        schema = self.act(self.issuer.address, attestations, "register", *terms.values())
        self._attestations, self._schema = attestations, schema
        venue = self.venue
        market = (
            self.money.address,
            self.collateral.address,
            self.feed.address,
            attestations.address,
            schema,
            bundles.address,
            works.address,
            1,
            *(0, 0, 0, BPS // 2, 0),
            *(BPS, 0, round(venue.close_factor * BPS)),
            *(round(venue.min_bonus * BPS), round(venue.max_bonus * BPS)),
            *(venue.auction_steps * STEP_S, 0, 0),
            max(1, self.money.units(venue.min_debt)),
            False,
        )
        tiers = [(lltv, 0, 2**95, 0, 0, 0) for lltv in self.lltvs]
        return self.bench.deploy("CreditPool", market, tiers)

    def _lend(self, scenario: Scenario) -> None:
        book = scenario.book
        lent = self.money.units(float(book.debt.sum())) + len(book)
        junior = lent // _JUNIOR_SHARE
        for tranche, units in ((0, lent - junior + 1), (1, junior)):
            lender = person("lender")
            self.give(lender, self.money, units)
            self.act(lender, self.money.placed, "approve", self.pool.address, 2**256 - 1)
            self.act(lender, self.pool, "deposit", tranche, units, lender)
        for _ in range(10):  # until the average covers its window
            self.next_step()
            self.act(self.feeder.address, self.feed, "observe")
        self.post(self.venue.price)
        for at, borrower in enumerate(self.borrowers):
            if book.debt[at] > 0:
                self._open_loan(borrower, book.collateral[at], book.debt[at], round(book.lltv[at] * BPS))

    def _open_loan(self, borrower: str, collateral: float, debt: float, lltv_bps: int) -> None:
        if collateral * self.venue.price * lltv_bps < debt * BPS * (1 + 1e-9):
            raise BadInput(
                "A loan of this scenario is unsound before anything happens.",
                hint="Scenarios begin with sound loans.",
                code="lending.replay",
            )
        self._score(borrower, self.lltvs.index(lltv_bps))
        units = self.collateral.units(collateral)
        self.give(borrower, self.collateral, units)
        self.act(borrower, self.collateral.placed, "approve", self.pool.address, units)
        self.act(borrower, self.pool, "supply_collateral", units, borrower)
        self.act(borrower, self.pool, "borrow", self.money.units(debt), borrower)

    def _score(self, borrower: str, tier: int) -> None:
        if tier == len(self.lltvs) - 1:
            return  # what unknown wallets get
        now = self.bench.timestamp
        word = ScoreWord(tier, 0).word()
        attestation = Attestation(self._schema, borrower, word, now, now + _FOREVER_S, work_id=1, nonce=1)
        domain = AttestationDomain(self.bench.chain_id, self._attestations.address)
        signed = [domain.sign(self.issuer, attestation)]
        self.act(self.issuer.address, self._attestations, "attest", attestation.values(), signed)
