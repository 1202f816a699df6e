# SPDX-License-Identifier: Apache-2.0
"""The operator's key and a browser's wallet borrow, lend and repay by the same forms as a guest."""

from __future__ import annotations

import time

import pytest

from tests.console.wallet_support import Wallet, send, send_json, sign_in
from tests.lending.credit_town import COIN, UNIT, open_credit
from tests.pages_support import PATIENCE_S, open_town, state


@pytest.fixture(scope="module")
def town(tmp_path_factory, own_chain, own_devnet):
    with open_town(tmp_path_factory.mktemp("town"), own_chain.network, own_devnet) as opened:
        yield opened


@pytest.fixture(scope="module")
def credit(town):
    return open_credit(town)


def answered(visit, wallet, path):
    """Agree to a review and let the wallet answer whatever it is asked; the page that says what happened."""
    assert send(visit.client, f"{path}/begin").status_code == 303
    deadline, seen = time.monotonic() + PATIENCE_S, set()
    while state(page := visit.client.get(path).text) == "running":
        asked = visit.client.get(f"{path}/wish").json()
        if asked is not None and asked["id"] not in seen:
            seen.add(asked["id"])
            said = wallet.request(asked["method"], asked["params"])
            send_json(visit.client, f"{path}/answer", {"wish": asked["id"], "kind": "result", "text": said})
        assert time.monotonic() < deadline, page
        time.sleep(0.02)
    assert state(page) == "done", page
    return page


def test_a_wallet_in_the_browser_signs_each_step_and_the_node_has_no_key_of_it(town, credit):
    wallet = Wallet(town.chain)
    town.house.fund(wallet.address)
    credit.give(wallet.address, loan=1_000, other=3)
    visit = town.nobody()
    sign_in(visit.client, wallet)
    before = len(wallet.asked)
    path = visit.ask("lending.borrow", pool=credit.pool, amount="1000", collateral="2")
    assert "Your wallet signs, in this browser." in visit.page(path)
    assert "1,000.00" in answered(visit, wallet, path)
    sent = [method for method, _ in wallet.asked[before:]]
    assert sent == ["eth_sendTransaction"] * 3, "leave to take the collateral, the collateral, the loan"
    assert credit.lending.position(credit.pool, wallet.address).collateral == 2 * COIN
    answered(visit, wallet, visit.ask("lending.repay", pool=credit.pool))
    assert credit.lending.position(credit.pool, wallet.address).debt == 0
    answered(visit, wallet, visit.ask("lending.collateral", pool=credit.pool, amount="2", way="back"))
    assert credit.holds(credit.other, wallet.address) == 3 * COIN
    answered(visit, wallet, visit.ask("lending.deposit", pool=credit.pool, amount="100"))
    answered(visit, wallet, visit.ask("lending.withdraw", pool=credit.pool))


def test_a_wallet_that_says_no_changes_nothing(town, credit):
    wallet = Wallet(town.chain)
    town.house.fund(wallet.address)
    credit.give(wallet.address, loan=500)
    visit = town.nobody()
    sign_in(visit.client, wallet)
    path = visit.ask("lending.deposit", pool=credit.pool, amount="500")
    assert send(visit.client, f"{path}/begin").status_code == 303
    deadline = time.monotonic() + PATIENCE_S
    while (asked := visit.client.get(f"{path}/wish").json()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    send_json(visit.client, f"{path}/answer", {"wish": asked["id"], "kind": "refused", "text": ""})
    assert "refused to sign" in visit.finished(path)
    assert credit.holds(credit.loan, wallet.address) == 500 * UNIT


def test_the_operator_borrows_and_lends_with_the_nodes_own_key(town, credit):
    operator = town.operator()
    credit.give(operator.address, loan=2_000, other=3)
    operator.do("lending.borrow", pool=credit.pool, amount="1200", collateral="3")
    page = operator.page(f"/credit/{operator.address}")
    assert "borrowed" in page
    operator.do("lending.repay", pool=credit.pool)
    operator.do("lending.deposit", pool=credit.pool, amount="200", tranche="junior")
    assert "200.00" in operator.page(f"/pools/{credit.pool}")


def test_junior_lenders_announce_where_the_pool_asks_for_notice(town):
    patient = open_credit(town, junior_notice_s=86_400)
    guest = town.guest()
    patient.give(guest.address, loan=500)
    guest.do("lending.deposit", pool=patient.pool, amount="500", tranche="junior")
    assert "Nothing can be withdrawn" in guest.refused(
        "lending.withdraw", pool=patient.pool, tranche="junior"
    )
    assert "only after it was announced" in guest.refused(
        "lending.withdraw", pool=patient.pool, tranche="junior", amount="100"
    )
    assert "In 1 days" in guest.review("lending.announce", pool=patient.pool)
    assert "announced" in guest.do("lending.announce", pool=patient.pool)


def test_two_pools_of_the_same_tokens_are_told_apart(town, credit):
    """By address: their names would be the same."""
    again = credit.lending.create_pool(credit.lending.pool(credit.pool).terms, b"\1" * 32)
    page = town.nobody().page("/pools")
    assert f"{again.address[:6]}…{again.address[-4:]}" in page
    assert f"{credit.pool[:6]}…{credit.pool[-4:]}" in page
