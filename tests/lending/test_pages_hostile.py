# SPDX-License-Identifier: Apache-2.0
"""What strangers create must not take anybody's pages away: broken tokens, many pools, long queues."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koinon.chain.contract import Call
from koinon.lending import pages as lending_pages
from koinon.lending import pool_page, pools_seen
from koinon.lending.errands import Errand
from koinon.lending.judging import SCORECARD
from koinon.lending.loans import read_loans
from koinon.lending.pool_state import read_pool
from koinon.lending.pools_seen import PoolsSeen
from koinon.lending.wallet_page import Look, Looker
from koinon.web.pages import paginate
from tests.bench_support import mock
from tests.console.wallet_support import send
from tests.lending.credit_town import UNIT, open_credit, scorecard
from tests.lending.test_pages import NOBODY, borrower, judged, title
from tests.lending.test_pools import MOCKS, created
from tests.pages_support import open_town, words


@pytest.fixture(scope="module")
def town(tmp_path_factory, own_chain, own_devnet):
    with open_town(tmp_path_factory.mktemp("town"), own_chain.network, own_devnet) as opened:
        yield opened


@pytest.fixture(scope="module")
def credit(town):
    return open_credit(town)


@pytest.fixture
def card(town, credit):
    path = town.house.settings.home / "lending" / SCORECARD
    path.parent.mkdir(parents=True, exist_ok=True)
    scorecard().save(path)
    yield scorecard()
    path.unlink()


def hush(town, token, mute):
    town.transact(Call(token, mock(MOCKS / "Turncoat.vy").functions["hush"].encode(mute)))


def turncoat(town, credit):
    """A token that can stop answering, and a pool that takes it as collateral."""
    token = created(town.chain, town.owner, "Turncoat.vy")
    feed = created(town.chain, town.owner, "PostingFeed.vy", token, credit.loan, 8, 2_000 * 10**8)
    terms = credit.lending.pool(credit.pool).terms
    made = credit.lending.create_pool(replace(terms, collateral_token=token, feed=feed))
    return token, made.address


@pytest.fixture
def broken(town, credit):
    """A pool whose collateral stopped answering before any page saw it."""
    token, pool = turncoat(town, credit)
    hush(town, token, True)
    yield pool
    hush(town, token, False)


def test_a_pool_whose_token_broke_is_named_and_takes_no_page_away(town, credit, broken):
    guest = town.guest()
    for path in ("/pools", f"/credit/{NOBODY}", f"/credit/{guest.address}"):
        page = guest.page(path)
        assert "does not answer" in page
        assert broken in page
        assert f"/pools/{credit.pool}" in page
    assert "does not answer" in guest.page(f"/pools/{broken}", 404)
    assert "does not answer" in guest.refused("lending.deposit", pool=broken, amount="1")
    assert "2 pools lend" in title(guest.page("/pools"))
    assert [state.address for state in credit.lending.pools()] == [credit.pool], "commands go on as well"


def test_a_token_counts_as_what_it_first_said_it_was(town, credit):
    token, pool = turncoat(town, credit)
    assert "TURN" in town.nobody().page(f"/pools/{pool}")
    hush(town, token, True)
    assert "TURN" in town.nobody().page(f"/pools/{pool}")


def test_pools_are_read_once_a_block_and_so_many_at_once(town, credit, monkeypatch):
    read = []

    def reading(chain, pool, **more):
        read.append(pool)
        return read_pool(chain, pool, **more)

    monkeypatch.setattr(pools_seen, "read_pool", reading)
    monkeypatch.setattr(pools_seen, "SAME_S", 10**9)
    visit = town.nobody()
    town.chain.rpc.call("evm_mine")
    for path in ("/pools", "/pools", f"/credit/{NOBODY}", f"/pools/{credit.pool}"):
        visit.page(path)
    assert len({pool.address for pool in read}) == len(read) >= 1
    credit.lending.create_pool(credit.lending.pool(credit.pool).terms, b"\11" * 32)
    monkeypatch.setattr(lending_pages, "AT_ONCE", 1)
    one, other = visit.page("/pools"), visit.page("/pools?page=2")
    assert credit.pool in one
    assert credit.pool not in other
    assert 'rel="next"' in one
    assert f"/pools/{credit.pool}" in visit.page(f"/credit/{NOBODY}")
    assert f"/pools/{credit.pool}" not in visit.page(f"/credit/{NOBODY}?page=2")


def test_of_very_many_loans_only_the_pages_are_read(town, credit, monkeypatch):
    guests = [borrower(town, credit) for _ in range(2)]
    for guest in guests:
        guest.do("lending.borrow", pool=credit.pool, amount="500", collateral="3")
    monkeypatch.setattr(pool_page, "ORDERED_MOST", 1)
    asked = []

    def reading(*given):
        asked.append(len(given[-1]))
        return read_loans(*given)

    monkeypatch.setattr(pool_page, "read_loans", reading)
    monkeypatch.setattr(lending_pages, "paginate", lambda request, total, size=1: _page(request, total))
    page = guests[0].page(f"/pools/{credit.pool}?page=2")
    assert "by time here, the newest first" in page
    assert asked == [1]
    assert f"/credit/{guests[0].address}" in page
    assert f'/credit/{guests[1].address}"' not in page


def _page(request, total):
    return paginate(request, total, 1)


def test_what_was_lost_is_read_from_the_index(town, credit):
    """As the chain's own logs add up, without asking for them."""
    guest, bidder = borrower(town, credit), borrower(town, credit, 0)
    guest.do("lending.borrow", pool=credit.pool, amount="4000", collateral="5")
    credit.set_price(500)
    try:
        bidder.do("lending.liquidate", pool=credit.pool, borrower=guest.address)
    finally:
        credit.set_price(2_000)
    town.sync()
    looker = Looker(town.house)
    seen = PoolsSeen(town.chain, looker.ledger).state(credit.pool)
    assert seen.lost == credit.lending.pool(credit.pool).lost
    assert seen.lost.loss > 1_000 * UNIT


def test_a_strangers_look_begins_no_judgement_and_a_button_does(town, credit, card):
    visit = town.nobody()
    page = visit.page(f"/credit/{NOBODY}")
    assert "being judged" not in page
    assert "Judge it by this node's scorecard" in page
    for number in range(40):
        visit.page(f"/credit/0x{number + 1:040x}")
    looker = town.app.state.credit_looker
    assert not looker.errands._kept
    assert send(visit.client, f"/credit/{NOBODY}/judge").status_code == 303
    assert "540 points" in judged(visit, NOBODY)


def test_a_full_queue_is_told_as_such_and_stress_has_its_own(town, credit, card, monkeypatch):
    guest = town.guest()
    looker = town.app.state.credit_looker
    full = {f"busy {number}": Errand(f"busy {number}") for number in range(32)}
    monkeypatch.setattr(looker.errands, "_kept", type(looker.errands._kept)(full))
    page = guest.page(f"/credit/{guest.address}")
    assert "enough to compute" in page
    assert "cannot be used" not in page
    assert "足夠" in guest.page(f"/zh-hant/credit/{guest.address}")
    assert send(guest.client, f"/pools/{credit.pool}/stress").status_code == 303


def test_points_and_tiers_in_a_title_do_not_contradict_each_other(town, credit, card, monkeypatch):
    guest, wallet = town.guest(), "0x" + "99" * 20
    assert send(guest.client, f"/credit/{wallet}/judge").status_code == 303
    page = judged(guest, wallet)
    assert title(page) == "Nothing is known of this wallet: it gets the worst tier, C"
    monkeypatch.setattr(Look, "worst", property(lambda look: "D"))
    assert title(guest.page(f"/credit/{wallet}")) == (
        "Nothing is known of this wallet: 540 points, tier C here, D on chain"
    )
    monkeypatch.setattr(Look, "worst", property(lambda look: ""))
    said = title(guest.page(f"/credit/{wallet}"))
    assert said == "Nothing is known of this wallet: it gets each pool's worst tier"


def test_no_pool_is_said_in_the_readers_language(town, credit):
    assert "信貸池工廠" in town.nobody().page(f"/zh-hant/pools/{NOBODY}", 404)
    assert "none at" in town.nobody().page(f"/pools/{NOBODY}", 404)


def test_one_issuer_is_one(town, credit):
    assert "2 of these 2 issuers must sign" in words(town.nobody().page(f"/credit/{NOBODY}"))


@pytest.mark.parametrize("name", ["repay", "withdraw"])
def test_nothing_is_no_way_to_say_all(town, credit, name):
    guest = borrower(town, credit)
    guest.do("lending.borrow", pool=credit.pool, amount="500", collateral="2")
    guest.do("lending.deposit", pool=credit.pool, amount="300")
    for text in ("0", "0.00"):
        page = guest.refused(f"lending.{name}", pool=credit.pool, amount=text)
        assert "more than nothing" in page
    guest.do(f"lending.{name}", pool=credit.pool)
    guest.do("lending.repay" if name == "withdraw" else "lending.withdraw", pool=credit.pool)


def test_a_review_says_what_was_tried_and_what_was_reckoned(town, credit):
    tried, reckoned = "tried just now", "as reckoned just now"
    guest = borrower(town, credit)
    asked = {"pool": credit.pool, "amount": "500"}
    assert reckoned in guest.review("lending.deposit", **asked)
    assert reckoned in guest.review("lending.borrow", **asked, collateral="2")
    guest.do("lending.collateral", pool=credit.pool, amount="2", way="in")
    page = guest.review("lending.borrow", **asked)
    assert tried in page
    assert reckoned not in page
    guest.do("lending.borrow", **asked)
    page = guest.review("lending.repay", pool=credit.pool)
    assert reckoned in page
    assert tried not in page
    path = guest.ask("lending.repay", pool=credit.pool)
    assert "依目前狀態估算的結果" in guest.page(f"/zh-hant{path}")
    guest.do("lending.repay", pool=credit.pool)
