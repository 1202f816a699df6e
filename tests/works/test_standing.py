# SPDX-License-Identifier: Apache-2.0
"""Rights that an account lent to others: seen, and taken back."""

from __future__ import annotations

import pytest

from koinon.chain.keys import Key
from tests.pages_support import COIN, words

SOMEBODY = Key.generate().address


@pytest.fixture(scope="module")
def operator(town):
    return town.operator()


def test_a_right_to_move_coins_is_seen_and_taken_back(town, operator):
    coin = town.chain.coin
    town.transact(coin.transaction("approve", SOMEBODY, 3 * COIN), town.house.operator)
    assert "move up to 3.00 tUSD of your coins" in words(operator.page("/me"))
    review = operator.review("works.revoke", kind="coins", to=SOMEBODY, work_id="0")
    assert f"{SOMEBODY} may move none of your coins any more." in review
    operator.do("works.revoke", kind="coins", to=SOMEBODY, work_id="0")
    assert coin.call("allowance", operator.address, SOMEBODY) == 0
    assert SOMEBODY not in operator.page("/me")


@pytest.mark.parametrize("amount", [2**256 - 1, 2**255, 2**255 - 1, 2**200])
def test_huge_allowances_are_told_without_an_error(town, operator, amount):
    town.transact(town.chain.coin.transaction("approve", SOMEBODY, amount), town.house.operator)
    rows = [row for row in operator.page("/me").split("<tr>") if SOMEBODY in row]
    assert len(rows) == 1
    assert ("move any amount of your coins" in rows[0]) == (amount >= 2**255)


def test_rights_over_works_are_seen_and_taken_back(town, operator):
    works = town.chain.contract("Works")
    work = town.work("Lent")
    town.transact(works.transaction("transferFrom", town.owner.address, operator.address, work.work_id))
    town.transact(works.transaction("setApprovalForAll", SOMEBODY, True), town.house.operator)
    town.transact(works.transaction("approve", SOMEBODY, work.work_id), town.house.operator)
    page = operator.page("/me")
    assert "act for all of your Works" in page
    assert f"move Work {work.work_id}" in page
    operator.do("works.revoke", kind="works", to=SOMEBODY, work_id="0")
    operator.do("works.revoke", kind="work", to=SOMEBODY, work_id=str(work.work_id))
    assert not works.call("isApprovedForAll", operator.address, SOMEBODY)
    assert int(works.call("getApproved", work.work_id), 16) == 0
    page = operator.page("/me")
    assert "act for all of your Works" not in page
    assert f"move Work {work.work_id}" not in page


def test_a_right_over_a_work_that_was_given_away_is_no_right_of_ones_own(town, operator):
    works = town.chain.contract("Works")
    work = town.work("Passed on")
    town.transact(works.transaction("approve", SOMEBODY, work.work_id))
    town.transact(
        works.transaction("transferFrom", town.owner.address, town.house.operator.address, work.work_id)
    )
    assert f"move Work {work.work_id}" not in town.as_wallet(town.owner.address).page("/me")
    assert f"move Work {work.work_id}" not in operator.page("/me")


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": ""},
        {"kind": "everything"},
        {"to": ""},
        {"to": "0x12"},
        {"to": SOMEBODY[:-1] + "²"},
        {"work_id": "²"},
        {"work_id": "-1"},
        {"work_id": "9" * 5_000},
        {"work_id": ""},
    ],
)
def test_a_right_that_is_none_is_refused(operator, changed):
    operator.refused("works.revoke", **{"kind": "coins", "to": SOMEBODY, "work_id": "0", **changed})


def test_nobody_takes_back_anything_before_coming_in(town):
    path = town.nobody().ask("works.revoke", kind="coins", to=SOMEBODY, work_id="0")
    assert path.startswith("/login?next=")
