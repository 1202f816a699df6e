# SPDX-License-Identifier: Apache-2.0
"""``koinon lending …`` as people run it: a pool lent to, a wallet quoted, its offer taken, repaid."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from koinon.chain.contract import Call
from koinon.errors import BadInput, IntegrityError, NotFound, TransactionFailed
from koinon.lending.api import Lending
from koinon.lending.cli import group
from koinon.lending.pool_terms import PoolTerms, TierTerms
from koinon.lending.scorecard_table import Feature, ScorecardTable
from koinon.lending.scoring.calibration import Calibration
from koinon.lending.scoring.reader import Reader
from koinon.lending.scoring.scorecard import Scorecard, Tier
from koinon.settings import Settings
from koinon.terminal import Session, Terminal
from koinon.works.attestations import Attestations, SchemaTerms
from tests.bench_support import mock
from tests.conftest import account_maker
from tests.lending.test_pools import MOCKS, created

UNIT, COIN = 10**6, 10**18
TIERS = (
    TierTerms(8_000, 150, 50_000 * UNIT, 600, 2_000, 30),
    TierTerms(5_000, 1_200, 5_000 * UNIT, 4_000, 2_000, 50),
)


def scorecard(*features: Feature) -> Scorecard:
    """Whoever repaid once is in the better of two tiers."""
    return Scorecard(
        ScorecardTable(features, (560,), 500),
        tuple(Reader(each.name, each.scale) for each in features),
        Calibration("platt", ((-2.0, -2.0),)),
        (Tier(10, 0, 0.01), Tier(10, 2, 0.2)),
        {"repays_365d": 1, "arrears": -1},
        {"data": "by hand"},
    )


class Town:
    """A pool, its people and a way to run commands as one of them."""

    def __init__(self, chain, own_account, home):
        self.chain, self.home = chain, home
        self.people = {role: own_account() for role in ("owner", "lender", "borrower", "issuer", "second")}
        owner = self.people["owner"]
        self.loan, self.other = created(chain, owner, "Money.vy", 6), created(chain, owner, "Money.vy", 18)
        self.feed = created(chain, owner, "PostingFeed.vy", self.other, self.loan, 8, 1)
        self.set_price(2_000)
        for role in ("lender", "borrower"):
            for token in (self.loan, self.other):
                who = self.people[role].address
                chain.sender(owner).send(chain.contract("Coin", token).transaction("mint", who, 10**24))
        issuers = (self.people["issuer"].address, self.people["second"].address)
        schema = Attestations(chain).register(
            owner, SchemaTerms("credit score", issuers=issuers, threshold=2)
        )
        terms = PoolTerms(
            self.loan, self.other, self.feed, schema, TIERS, borrower_cap_bps=10_000, min_debt=100 * UNIT
        )
        self.pool = Lending(chain, home, owner).create_pool(terms).address

    def set_price(self, whole):
        answers = mock(MOCKS / "PostingFeed.vy").functions["set_answers"]
        call = Call(self.feed, answers.encode(whole * 10**8, whole * 10**8))
        self.chain.sender(self.people["owner"]).send(call)

    def door(self, role):
        return Lending(self.chain, self.home / role, self.people[role])

    def run(self, role, *arguments, as_json=True):
        """A command: its document with ``--json``, what it says without."""
        out = io.StringIO()
        terminal = Terminal(json_output=as_json, stdout=out, stderr=io.StringIO())
        settings = Settings.load({}, home=self.home / role)
        node = SimpleNamespace(chain=self.chain, operator=self.people[role], settings=settings)
        session = Session(settings, terminal, opener=lambda _: nullcontext(node))
        group.main([str(each) for each in arguments], standalone_mode=False, obj=session)
        return json.loads(out.getvalue()) if as_json else out.getvalue()

    def holds(self, role):
        return self.chain.contract("Coin", self.loan).call("balanceOf", self.people[role].address)


@pytest.fixture(scope="module")
def town(own_chain, own_devnet, tmp_path_factory):
    return Town(own_chain, account_maker(own_chain, own_devnet), tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    path = tmp_path_factory.mktemp("card") / "scorecard.json"
    scorecard(Feature("repays_365d", (0,), (0, 100), 0), Feature("liquidations_365d", (0,), (20, 0), 0)).save(
        path
    )
    return path


def test_from_a_quote_to_a_signed_offer_a_loan_its_end_and_a_better_tier(town, card, tmp_path):
    run, pool, wallet = town.run, town.pool, town.people["borrower"].address
    assert run("lender", "deposit", pool, "80000")["senior"] == 80_000 * UNIT
    assert "junior" in run("lender", "deposit", pool, "20000", "--junior", as_json=False)
    (listed,) = (each for each in run("borrower", "pools")["pools"] if each["address"] == pool)
    assert (listed["cash"], listed["utilisation"]) == (100_000 * UNIT, 0)

    offer = tmp_path / "offer.json"
    asked = ("quote", wallet, "--pool", pool, "--amount", "2000", "--scorecard", card)
    found = run("issuer", *asked, "--sign", offer)
    assert (found["tier"], found["amount"], found["is_covered"]) == (1, 2_000 * UNIT, False)
    assert found["reasons"][0].startswith("repays_365d is 0")
    assert found["ways_up"] == ["raise repays_365d from 0 to at least 1: 620 points, enough for tier 0."]
    assert found["collateral_needed"] == 2 * COIN + 10**9  # a debt is rounded up
    said = run("borrower", *asked, as_json=False)
    assert "is still to come" in said
    assert "raise repays_365d" in said
    with pytest.raises(BadInput, match="no issuer"):
        run("borrower", *asked, "--sign", tmp_path / "own.json")
    with pytest.raises(BadInput, match="is for"):
        run("lender", "borrow", "--offer", offer)

    run("borrower", "collateral", pool, "3")
    had = town.holds("borrower")
    loan = run("borrower", "borrow", "--offer", offer)
    assert loan["tier"] == 1
    assert 0 <= loan["debt"] - 2_000 * UNIT < 1_000
    assert town.holds("borrower") == had + 2_000 * UNIT
    with pytest.raises(TransactionFailed):
        run("borrower", "borrow", "--offer", offer)
    assert "Debt 2,000" in run("borrower", "pool", "show", pool, as_json=False)

    paid = run("borrower", "repay", pool)
    assert paid["debt"] == 0
    assert town.holds("borrower") == had + 2_000 * UNIT - paid["paid"]
    books = town.door("lender").pool(pool).books
    assert books.debt == 0
    assert books.cash == 100_000 * UNIT + paid["paid"] - 2_000 * UNIT == books.senior + books.junior

    assert run("issuer", "score", wallet, "--scorecard", card)["tier"] == 0
    begun = tmp_path / "score.json"
    ask = ("issue", wallet, "--pool", pool, "--scorecard", card)
    with pytest.raises(BadInput, match="Other issuers"):
        run("issuer", *ask)
    assert not run("issuer", *ask, "--out", begun)["posted"]
    assert "It is on chain" in run("second", *ask, "--with", begun, as_json=False)
    assert run("borrower", "quote", wallet, "--pool", pool, "--amount", "10000")["tier"] == 0
    assert run("borrower", "collateral", pool, "--back")["collateral"] == 0
    assert run("lender", "withdraw", pool)["taken"] in (books.senior - 1, books.senior)
    assert "Announced" in run("lender", "withdraw", pool, "--announce", as_json=False)


def test_an_unsound_loan_is_sold(town):
    run, pool = town.run, town.pool
    borrower = town.people["borrower"].address
    run("lender", "deposit", pool, "50000")
    run("lender", "deposit", pool, "10000", "--junior")
    run("borrower", "collateral", pool, "3")
    run("borrower", "borrow", pool, "1000")
    assert "Repaid 100" in run("borrower", "repay", pool, "100", as_json=False)
    town.set_price(100)
    sold = run("lender", "liquidate", pool, borrower, "2000", "--least", "1")
    assert (sold["collateral"], sold["debt"]) == (3 * COIN, 0)
    shown = run("lender", "pool", "show", pool, as_json=False)
    assert "of the junior tranche" in shown
    assert run("lender", "pool", "show", pool)["lost"]["loss"] > 0
    town.set_price(2_000)


def test_issuers_sign_only_what_they_find_themselves(town, card, tmp_path):
    """An issuer that would judge otherwise refuses, and one alone cannot post."""
    wallet, other = town.people["lender"].address, tmp_path / "other.json"
    scorecard(Feature("repays_365d", (0,), (90, 100), 0)).save(other)
    begun = tmp_path / "score.json"
    ask = ("issue", wallet, "--pool", town.pool, "--scorecard")
    assert "signed so far" in town.run("issuer", *ask, card, "--out", begun, as_json=False)
    with pytest.raises(IntegrityError, match="otherwise"):
        town.run("second", *ask, other, "--with", begun)
    assert town.run("issuer", *ask, card, "--with", begun, "--out", begun)["signed"] == 1
    begun.write_text("{}")
    with pytest.raises(BadInput, match="not a score"):
        town.run("second", *ask, card, "--with", begun)


def test_a_scorecard_of_a_bank_reads_what_is_told(town, tmp_path):
    path, told = tmp_path / "bank.json", tmp_path / "told.json"
    scorecard(Feature("arrears", (0,), (100, 0), 0)).save(path)
    told.write_text('{"arrears": 2}')
    ask = ("score", town.people["borrower"].address, "--scorecard", path)
    found = town.run("issuer", *ask, "--told", told)
    assert (found["tier"], found["reasons"]) == (1, ["arrears is 2: 100 points below the best."])
    with pytest.raises(BadInput, match="nobody told"):
        town.run("issuer", *ask)
    told.write_text('{"arrears": 0, "repays_365d": 9}')
    with pytest.raises(BadInput, match="read from the chain"):
        town.run("issuer", *ask, "--told", told)
    told.write_text("[]")
    with pytest.raises(BadInput, match="by name"):
        town.run("issuer", *ask, "--told", told)
    told.write_text("{")
    with pytest.raises(BadInput, match="not JSON"):
        town.run("issuer", *ask, "--told", told)
    with pytest.raises(NotFound):
        town.run("issuer", *ask, "--told", tmp_path / "nothing.json")
    with pytest.raises(BadInput, match="no scorecard"):
        town.run("issuer", *ask[:2])


@pytest.mark.parametrize("arguments", [("borrow", "0x" + "11" * 20), ("collateral", "0x" + "11" * 20)])
def test_an_amount_must_be_named(town, arguments):
    with pytest.raises(BadInput):
        town.run("borrower", *arguments)
