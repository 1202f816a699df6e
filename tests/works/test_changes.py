# SPDX-License-Identifier: Apache-2.0
"""What visitors change about Works: collecting, speaking, offering, buying."""

from __future__ import annotations

import pytest

from koinon.works.terms import Consent, Terms, Use, text_digest
from tests.pages_support import COIN

NOT_NUMBERS = ["", "²", "-1", "1.5", "0x1", "one", "9" * 5_000, "٣", " ", "1e999999"]


@pytest.fixture(scope="module")
def work(town):
    return town.work("Contested")


@pytest.fixture(scope="module")
def offered(town, work):
    Terms(town.chain).offer(
        town.owner, work.work_id, Use.DOWNLOAD, price=2 * COIN, terms_digest=text_digest("t"), period_s=86_400
    )
    return work


def mark_of(page):
    return page.split('name="offer" value="', 1)[1].split('"', 1)[0]


# ------------------------------------------------------------ collect


def test_collecting_pays_everyone_along_the_way_and_says_how_much(town, guest):
    parent = town.work("Parent")
    child = town.work("Child", shares={guest.address: 0.25, parent.till: 0.25})
    town.pay(child.till, 8 * COIN)
    before = town.coins(guest.address)
    review = guest.review("works.collect", work_ids=str(child.work_id))
    assert "8.00 tUSD" in review
    page = guest.do("works.collect", work_ids=str(child.work_id))
    assert "2.00 tUSD came to you" in page
    assert town.coins(guest.address) - before == 2 * COIN
    assert town.coins(parent.till) == 2 * COIN


@pytest.mark.parametrize("text", [*NOT_NUMBERS, "1,²", "1,,2", "1;2"])
def test_collecting_from_what_is_no_work_is_refused(guest, text):
    assert "works.form" in guest.refused("works.collect", work_ids=text)


def test_collecting_from_a_work_that_does_not_exist_is_refused(guest):
    guest.refused("works.collect", work_ids="999999999")


# ------------------------------------------------------------ speak


def test_words_stand_beside_the_work_with_their_mark(guest, work):
    guest.do("works.word", work_id=str(work.work_id), value="80", reason="It <b>works</b>.")
    answer = guest.raw(f"/works/{work.work_id}").text
    assert "It &lt;b&gt;works&lt;/b&gt;." in answer
    assert "mark 80" in answer


def test_contesting_a_work_stands_beside_it(town, work):
    other = town.guest()
    page = other.do("works.word", work_id=str(work.work_id), value="50", reason="Wrong.", contest="1")
    assert "Your objection stands beside the Work." in page
    assert "contested" in other.page(f"/works/{work.work_id}")


def test_nobody_speaks_of_their_own_work(town, work):
    owner = town.as_wallet(town.owner.address)
    assert "works.own_feedback" in owner.refused(
        "works.word", work_id=str(work.work_id), value="100", reason="Perfect."
    )


@pytest.mark.parametrize("mark", ["²", "-1", "101", "1.5", "nan", "9" * 5_000])
def test_a_mark_is_a_whole_number_up_to_100(guest, work, mark):
    assert "works.mark" in guest.refused("works.word", work_id=str(work.work_id), value=mark, reason="So.")


@pytest.mark.parametrize("reason", ["", " ", "x" * 4_001])
def test_words_are_needed_and_have_an_end(guest, work, reason):
    assert "works.reason" in guest.refused("works.word", work_id=str(work.work_id), value="1", reason=reason)


@pytest.mark.parametrize("text", NOT_NUMBERS)
def test_speaking_of_what_is_no_work_is_refused(guest, text):
    assert "works.form" in guest.refused("works.word", work_id=text, value="1", reason="So.")


# ------------------------------------------------------------ offers


def test_taking_up_an_offer_pays_the_till_and_gives_a_receipt(town, guest, offered):
    mark = mark_of(guest.page(f"/works/{offered.work_id}"))
    before, till = town.coins(guest.address), town.coins(offered.till)
    fields = {"work_id": str(offered.work_id), "use": str(int(Use.DOWNLOAD)), "offer": mark}
    assert "for 1.0 days" in guest.review("works.buy", **fields)
    assert "grant" in guest.do("works.buy", **fields)
    assert before - town.coins(guest.address) == 2 * COIN
    assert town.coins(offered.till) - till == 2 * COIN
    assert Terms(town.chain).is_granted(offered.work_id, Use.DOWNLOAD, guest.address)
    assert "One receipt" in guest.page(f"/works/{offered.work_id}")


def test_an_offer_that_rose_after_it_was_read_is_not_paid(town, guest):
    work, terms = town.work("Dearer"), Terms(town.chain)
    terms.offer(town.owner, work.work_id, Use.TRAIN, price=COIN, terms_digest=text_digest("t"))
    mark = mark_of(guest.page(f"/works/{work.work_id}"))
    fields = {"work_id": str(work.work_id), "use": str(int(Use.TRAIN)), "offer": mark}
    path = guest.ask("works.buy", **fields)
    terms.offer(town.owner, work.work_id, Use.TRAIN, price=50 * COIN, terms_digest=text_digest("t"))
    before = town.coins(guest.address)
    assert "works.offer_changed" in guest.page(path, status=422)
    assert "works.offer_changed" in guest.refused("works.buy", **fields)
    assert town.coins(guest.address) == before


def test_an_offer_that_was_closed_is_refused_with_the_reason(town, guest):
    work, terms = town.work("Closed"), Terms(town.chain)
    terms.offer(town.owner, work.work_id, Use.CALL, price=1, terms_digest=text_digest("t"))
    mark = mark_of(guest.page(f"/works/{work.work_id}"))
    terms.close(town.owner, work.work_id, Use.CALL)
    assert "works.no_offer" in guest.refused(
        "works.buy", work_id=str(work.work_id), use=str(int(Use.CALL)), offer=mark
    )


@pytest.mark.parametrize("consent", [Consent.LISTED, Consent.SIGNED])
def test_an_offer_that_needs_consent_is_refused_with_the_reason(town, guest, consent):
    work = town.work("By consent")
    Terms(town.chain).offer(
        town.owner, work.work_id, Use.REMIX, price=1, terms_digest=text_digest("t"), consent=consent
    )
    assert 'action="/act/works.buy"' not in guest.page(f"/works/{work.work_id}")
    assert "works.offer_kind" in guest.refused(
        "works.buy", work_id=str(work.work_id), use=str(int(Use.REMIX)), offer="1-0-0x"
    )


def test_an_offer_dearer_than_what_one_has_is_refused_before_anything_is_signed(town, guest):
    work = town.work("Dear")
    Terms(town.chain).offer(
        town.owner, work.work_id, Use.DOWNLOAD, price=2**127, terms_digest=text_digest("t")
    )
    page = guest.page(f"/works/{work.work_id}")
    assert "170,141,183,460,469,231,731,687,303,715,884.11" in page
    assert "works.too_little" in guest.refused(
        "works.buy", work_id=str(work.work_id), use=str(int(Use.DOWNLOAD)), offer=mark_of(page)
    )


def test_an_owner_makes_and_closes_an_offer(town):
    operator = town.operator()
    work = town.work("Given away")
    town.transact(
        town.chain.contract("Works").transaction(
            "transferFrom", town.owner.address, operator.address, work.work_id
        )
    )
    fields = {"work_id": str(work.work_id), "use": str(int(Use.DOWNLOAD))}
    assert "Anyone may download it for 0.25" in operator.review(
        "works.offer", **fields, price="0.25", days="30", text="Be kind."
    )
    operator.do("works.offer", **fields, price="0.25", days="30", text="Be kind.")
    offer = Terms(town.chain).offer_of(work.work_id, Use.DOWNLOAD)
    assert offer is not None
    assert (offer.price, offer.period_s, offer.terms_digest) == (
        COIN // 4,
        30 * 86_400,
        text_digest("Be kind."),
    )
    operator.do("works.offer", **fields, close="1")
    assert Terms(town.chain).offer_of(work.work_id, Use.DOWNLOAD) is None


def test_nobody_offers_what_is_not_theirs(guest, work):
    assert "works.not_owner" in guest.refused("works.offer", work_id=str(work.work_id), use="1", price="1")


@pytest.mark.parametrize("use", [*NOT_NUMBERS, "99"])
def test_a_use_that_nobody_knows_is_refused(guest, work, use):
    assert "works.use" in guest.refused("works.buy", work_id=str(work.work_id), use=use, offer="")


@pytest.mark.parametrize(
    "price", ["", "²", "-1", "1e999999", "1.0000001", "0x10", ".", "1.", "9" * 30, "nan"]
)
def test_a_price_that_is_none_is_refused(town, price):
    owner = town.as_wallet(town.owner.address)
    assert "works.amount" in owner.refused("works.offer", work_id=_own(town), use="1", price=price)


@pytest.mark.parametrize("days", ["²", "-1", "36501", "9" * 5_000, "1.5"])
def test_days_are_a_whole_number(town, days):
    owner = town.as_wallet(town.owner.address)
    assert "works.days" in owner.refused("works.offer", work_id=_own(town), use="1", price="1", days=days)


def _own(town):
    if not hasattr(town, "own"):
        town.own = str(town.work("Own").work_id)
    return town.own
