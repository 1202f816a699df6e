# SPDX-License-Identifier: Apache-2.0
"""Credit in the console: a stranger's wallet, a pool's page, a loan from its quote to its sale."""

from __future__ import annotations

import re
import time

import orjson
import pytest

from koinon.lending.judging import SCORECARD
from koinon.lending.offer_file import SignedOffer
from koinon.lending.score_word import ScoreWord
from tests.console.wallet_support import send
from tests.lending.credit_town import COIN, UNIT, open_credit, scorecard
from tests.pages_support import open_town

NOBODY = "0x" + "77" * 20


@pytest.fixture(scope="module")
def town(tmp_path_factory, own_chain, own_devnet):
    with open_town(tmp_path_factory.mktemp("town"), own_chain.network, own_devnet) as opened:
        yield opened


@pytest.fixture(scope="module")
def credit(town):
    return open_credit(town)


@pytest.fixture
def card(town, credit):
    """The node's scorecard, there for one test."""
    path = town.house.settings.home / "lending" / SCORECARD
    path.parent.mkdir(parents=True, exist_ok=True)
    scorecard().save(path)
    yield scorecard()
    path.unlink()


@pytest.fixture(scope="module")
def visitor(town):
    return town.guest()


def judged(visit, wallet):
    """The wallet's page once the node's scorecard has judged it."""
    deadline = time.monotonic() + 60
    while "being judged" in (page := visit.page(f"/credit/{wallet}")):
        assert time.monotonic() < deadline, page
        time.sleep(0.05)
    return page


def title(page):
    found = re.search(r"<h1>(.*?)</h1>", page)
    assert found is not None
    return found[1]


def borrower(town, credit, collateral=10):
    """A guest with collateral and something to pay interest from."""
    guest = town.guest()
    credit.give(guest.address, loan=5_000, other=collateral)
    return guest


def test_without_a_pool_every_page_says_so_and_what_to_do(town):
    visit = town.nobody()
    assert "There is no credit pool on this network yet" in visit.page("/pools")
    page = visit.page(f"/credit/{NOBODY}")
    assert title(page) == "Nothing is known of this wallet"
    assert "nobody can lend to it" in page
    assert "factory of credit pools made none" in visit.page(f"/pools/{NOBODY}", 404)


def test_a_wrong_address_is_answered_in_the_form(town):
    visit = town.nobody()
    page = visit.page("/credit?address=hello", 422)
    assert "'hello' is not an address." in page
    assert "Copy it whole" in page
    assert "is not an address" in visit.page("/credit/0x12", 422)
    answer = visit.raw(f"/credit?address=%20{NOBODY}%20")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/credit/{NOBODY}")


def test_an_unknown_wallet_is_told_plainly_that_it_gets_the_worst_tier_and_why(town, credit):
    page = town.nobody().page(f"/credit/{NOBODY}")
    assert title(page) == "Nothing is known of this wallet: it gets the worst tier, C"
    for words in ("No issuer has put a score of it on this chain", "the worst", "How to improve", "50.0 %"):
        assert words in page
    assert "此錢包查無紀錄" in town.nobody().page(f"/zh-hant/credit/{NOBODY}")


def test_a_pool_is_listed_with_its_use_tiers_and_price(town, credit):
    page = town.nobody().page("/pools")
    assert title(page) == "One pool lends against collateral"
    for words in ("A – C", "100,000.00", "50 % – 80 %", "valid", "2000"):
        assert words in page


def test_a_stranger_borrows_adds_takes_back_and_repays_in_the_browser(town, credit):
    guest = borrower(town, credit)
    asked = {"pool": credit.pool, "amount": "2000", "collateral": "3"}
    review = guest.review("lending.borrow", **asked)
    for words in ("Borrow 2,000.00", "Interest of", "Sold below a price of", "3.00", "Your tier", "C"):
        assert words in review
    assert "That needs 2.00" in guest.refused("lending.borrow", **{**asked, "collateral": ""})
    assert "You have 10.00" in guest.refused("lending.borrow", **{**asked, "collateral": "11"})
    had = credit.holds(credit.loan, guest.address)
    done = guest.do("lending.borrow", **asked)
    assert "2,000.00" in done
    assert credit.holds(credit.loan, guest.address) == had + 2_000 * UNIT
    page = guest.page(f"/pools/{credit.pool}")
    for words in ("You owe", guest.address[:8], "covered", "1.50", "Compute it"):
        assert words in page
    guest.do("lending.collateral", pool=credit.pool, amount="1", way="in")
    assert "too little collateral would stand" in guest.refused(
        "lending.collateral", pool=credit.pool, amount="3.9", way="back"
    )
    guest.do("lending.collateral", pool=credit.pool, amount="1.5", way="back")
    assert credit.lending.position(credit.pool, guest.address).collateral == 5 * COIN // 2
    assert "at least 100.00" in guest.refused("lending.repay", pool=credit.pool, amount="1950")
    guest.do("lending.repay", pool=credit.pool, amount="500")
    assert "repaid" in guest.do("lending.repay", pool=credit.pool)
    assert credit.lending.position(credit.pool, guest.address).debt == 0
    assert "no debt" in guest.refused("lending.repay", pool=credit.pool)
    story = guest.page(f"/credit/{guest.address}")
    for words in ("borrowed", "repaid", "put collateral in", "took collateral back", "owed then"):
        assert words in story


def test_a_score_on_chain_is_the_title_and_its_end_is_told(town, credit):
    guest = borrower(town, credit)
    credit.attest(guest.address, ScoreWord(0, 500, 612), lasts_s=10**6)
    page = guest.page(f"/credit/{guest.address}")
    assert title(page) == "This wallet scores 612: tier A"
    for words in ("signed by enough issuers", "80.0 %", "5.00 %", "Scores on chain"):
        assert words in page
    other = town.guest()
    credit.attest(other.address, ScoreWord(1, 900, 580), lasts_s=30)
    town.chain.rpc.call("evm_increaseTime", 60)
    town.chain.rpc.call("evm_mine")
    page = other.page(f"/credit/{other.address}")
    assert title(page) == "This wallet's score has ended"
    assert "your score has ended" in page
    assert "your score has ended" in page
    assert "a new one is needed" in other.refused("lending.borrow", pool=credit.pool, amount="200")


def test_the_nodes_scorecard_gives_points_reasons_and_ways_up(town, credit, card):
    guest = borrower(town, credit)
    page = judged(guest, guest.address)
    assert title(page) == "This wallet scores 540 of 640: tier C", "its first coins are in the history"
    assert 'id="scale"' in page
    for words in (
        "540 points on a scale from 500 to 640: tier C.",
        "repayments in a year",
        "is 0: 100 points below the best.",
        "Raise",
        "enough for tier B.",
        "0.8125",
        "a plain logistic regression 0.7951",
        "simulated",
        "Judged as of block",
    ):
        assert words in page
    chinese = guest.page(f"/zh-hant/credit/{guest.address}")
    assert "一年內還款次數" in chinese
    assert "比最佳少 100 分" in chinese
    guest.do("lending.borrow", pool=credit.pool, amount="500", collateral="2")
    guest.do("lending.repay", pool=credit.pool)
    town.chain.rpc.call("evm_increaseTime", 86_400)
    town.chain.rpc.call("evm_mine")
    answer = send(guest.client, f"/credit/{guest.address}/judge")
    assert answer.status_code == 303
    page = judged(guest, guest.address)
    assert title(page) == "This wallet scores 600 of 640: tier B"
    assert 'id="past"' in page
    assert "No issuer has put that on chain" in page


def test_an_attested_score_by_the_same_table_stands_on_its_scale(town, credit, card):
    """Even where the node itself has not judged yet, or cannot."""
    guest = town.guest()
    credit.attest(guest.address, ScoreWord(1, 900, 575), digest=card.table.digest)
    page = guest.page(f"/credit/{guest.address}")
    assert title(page) in ("This wallet scores 575: tier B", "This wallet scores 540 of 640: tier C")
    assert 'id="scale"' in page


def test_a_scorecard_that_reads_other_things_says_so(town, credit):
    path = town.house.settings.home / "lending" / SCORECARD
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    assert "This is not a scorecard's file" in town.nobody().page(f"/credit/{NOBODY}")
    path.unlink()


def test_the_operator_signs_an_offer_that_its_borrower_takes(town, credit):
    guest = borrower(town, credit)
    operator = town.operator()
    fields = {"pool": credit.pool, "borrower": guest.address, "amount": "1500"}
    assert "Only an issuer" in guest.refused("lending.offer", **fields)
    assert "Sign an offer for this wallet" in operator.page(f"/credit/{guest.address}")
    assert "Collateral needed in all" in operator.review("lending.offer", **fields)
    operator.do("lending.offer", **fields)
    page = guest.page(f"/credit/{guest.address}")
    assert "An issuer offers" in page
    assert "An issuer offers" not in town.guest().page(f"/credit/{guest.address}")
    found = re.search(
        r"name=\"offer\" value=\"(.*?)\">\s*<div", guest.raw(f"/credit/{guest.address}").text, re.S
    )
    assert found is not None
    text = found[1].replace("&#34;", '"').replace("&quot;", '"')
    done = guest.do("lending.take", offer=text, collateral="2")
    assert "came to your account" in done
    assert credit.lending.position(credit.pool, guest.address).debt >= 1_500 * UNIT
    assert "used already" in guest.refused("lending.take", offer=text)
    assert "no signed offer" in guest.refused("lending.take", offer="hello")
    signed = SignedOffer.from_json(orjson.loads(text))
    assert "This offer is for" in town.guest().refused(
        "lending.take", offer=orjson.dumps(signed.to_json()).decode()
    )
    guest.do("lending.repay", pool=credit.pool)


def test_a_lender_lends_and_takes_back(town, credit):
    guest = borrower(town, credit, 0)
    assert "taken from the junior tranche first" in guest.review(
        "lending.deposit", pool=credit.pool, amount="300", tranche="junior"
    )
    assert "You have 5,000.00" in guest.refused("lending.deposit", pool=credit.pool, amount="6000")
    guest.do("lending.deposit", pool=credit.pool, amount="1000")
    guest.do("lending.deposit", pool=credit.pool, amount="300", tranche="junior")
    page = guest.page(f"/pools/{credit.pool}")
    assert "You lend" in page
    guest.do("lending.withdraw", pool=credit.pool, amount="400")
    guest.do("lending.withdraw", pool=credit.pool, tranche="junior")
    guest.do("lending.withdraw", pool=credit.pool)
    assert "Nothing can be withdrawn" in guest.refused("lending.withdraw", pool=credit.pool)
    assert "nothing in the junior tranche" in guest.refused("lending.announce", pool=credit.pool)
    assert "lent to the pool" in guest.page(f"/credit/{guest.address}")


def test_a_crash_sells_the_loan_and_the_waterfall_adds_up(town, credit):
    guest, bidder = borrower(town, credit), borrower(town, credit, 0)
    guest.do("lending.borrow", pool=credit.pool, amount="4000", collateral="5")
    sale = {"pool": credit.pool, "borrower": guest.address}
    assert "covered; nobody may sell it" in bidder.refused("lending.liquidate", **sale)
    credit.set_price(500)
    try:
        page = bidder.page(f"/pools/{credit.pool}")
        for words in ("One open loan can be sold now", "can be sold", "Liquidate"):
            assert words in page
        assert "So little would be left" in bidder.refused("lending.liquidate", **sale, amount="2480")
        review = bidder.review("lending.liquidate", **sale)
        for words in ("You get about", "Bonus now", "or nothing happens"):
            assert words in review
        assert "You paid" in bidder.do("lending.liquidate", **sale)
        assert credit.holds(credit.other, bidder.address) == 5 * COIN
    finally:
        credit.set_price(2_000)
    state = credit.lending.pool(credit.pool)
    assert state.lost.loss == state.lost.junior + state.lost.senior + state.lost.fees > 1_000 * UNIT
    page = town.nobody().page(f"/pools/{credit.pool}")
    assert "lenders have lost 1,5" in title(page)
    for words in (
        "Each row adds up, to the smallest unit.",
        "One default, and who bore it",
        guest.address[:8],
    ):
        assert words in page
    story = guest.page(f"/credit/{guest.address}")
    assert "defaulted: this was never repaid" in story
    assert "of collateral were taken" in story


def test_a_loan_in_auction_is_said_to_be(town, credit):
    guest, bidder = borrower(town, credit), borrower(town, credit, 0)
    guest.do("lending.borrow", pool=credit.pool, amount="4000", collateral="5")
    credit.set_price(1_500)
    try:
        bidder.do("lending.liquidate", pool=credit.pool, borrower=guest.address, amount="500")
        assert "in auction" in bidder.page(f"/pools/{credit.pool}")
    finally:
        credit.set_price(2_000)
    bidder.do("lending.repay", pool=credit.pool, borrower=guest.address)


def test_without_a_price_the_page_says_that_nothing_can_be_borrowed_and_nothing_fails(town, credit):
    guest = borrower(town, credit)
    guest.do("lending.borrow", pool=credit.pool, amount="400", collateral="2")
    credit.set_price(0)
    try:
        for page in (guest.page(f"/pools/{credit.pool}"), guest.page(f"/credit/{guest.address}")):
            assert "Nothing can be borrowed now" in page
        assert "Nobody can be liquidated now" in guest.page(f"/pools/{credit.pool}")
        assert "none now" in guest.page("/pools")
        assert "Nothing can be borrowed now" in guest.refused(
            "lending.borrow", pool=credit.pool, amount="200"
        )
        guest.do("lending.repay", pool=credit.pool)
    finally:
        credit.set_price(2_000)


def test_stress_is_computed_when_asked_for_and_says_it_is_simulated(town, credit):
    visit = town.nobody()
    assert "Nobody has asked yet" in visit.page(f"/pools/{credit.pool}")
    answer = send(visit.client, f"/pools/{credit.pool}/stress")
    assert answer.status_code == 303
    deadline = time.monotonic() + 60
    while "under way" in (page := visit.page(f"/pools/{credit.pool}")):
        assert time.monotonic() < deadline, page
        time.sleep(0.05)
    assert "cannot be read" in page, "this town's feed watches no pair"


def test_test_tokens_are_given_where_money_is_test_money(town, credit):
    guest = town.guest()
    assert "worth nothing" in guest.review("lending.tokens", pool=credit.pool)
    guest.do("lending.tokens", pool=credit.pool)
    assert credit.holds(credit.loan, guest.address) == 10_000 * UNIT
    assert credit.holds(credit.other, guest.address) == 5 * COIN


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("borrow", {"amount": "1"}),
        ("borrow", {"pool": "POOL", "amount": "much"}),
        ("borrow", {"pool": "POOL", "amount": "0"}),
        ("repay", {"pool": NOBODY}),
        ("deposit", {"pool": "POOL", "amount": "-1"}),
        ("withdraw", {"pool": "POOL", "amount": "1e9"}),
        ("collateral", {"pool": "POOL"}),
        ("liquidate", {"pool": "POOL"}),
        ("liquidate", {"pool": "POOL", "borrower": NOBODY}),
        ("take", {"offer": "[]"}),
        ("offer", {"pool": "POOL"}),
        ("tokens", {"pool": "x"}),
    ],
)
def test_a_wrong_form_is_refused_with_a_sentence(credit, visitor, name, fields):
    given = {key: credit.pool if text == "POOL" else text for key, text in fields.items()}
    page = visitor.refused(f"lending.{name}", **given)
    assert "Nothing was changed." in page or "registered it here" in page or "right key" in page, page
