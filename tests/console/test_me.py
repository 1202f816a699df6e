# SPDX-License-Identifier: Apache-2.0
"""What is a visitor's own: the page, the export that agrees with the chain, the operator's backup."""

from __future__ import annotations

import orjson
import pytest

from koinon.cli import main
from koinon.works.api import Works
from koinon.works.terms import Terms, Use, text_digest
from tests.console.wallet_support import send
from tests.pages_support import COIN

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def operator(town):
    return town.operator()


@pytest.fixture(scope="module")
def used(town, operator):
    """A Work of the operator's that a guest took up, paid and spoke of."""
    works = Works(town.chain, town.house.store, town.house.operator)
    made = town.work("Used", shares={operator.address: 0.25})
    town.transact(
        works.contract.transaction("transferFrom", town.owner.address, operator.address, made.work_id)
    )
    terms = Terms(town.chain)
    offer = terms.offer(
        town.house.operator, made.work_id, Use.TRAIN, price=COIN, terms_digest=text_digest("t")
    )
    guest = town.guest()
    mark = f"{offer.price}-{offer.period_s}-0x{offer.terms_digest.hex()}"
    guest.do("works.buy", work_id=str(made.work_id), use=str(int(Use.TRAIN)), offer=mark)
    guest.do("works.word", work_id=str(made.work_id), value="70", reason="Good.")
    town.pay(made.till, 3 * COIN)
    return made, guest


def export(visit):
    answer = visit.raw("/me/export.json")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith('attachment; filename="koinon-0x')
    assert answer.headers["cache-control"] == "no-store"
    return orjson.loads(answer.content)


def test_who_has_not_come_in_is_told_what_the_page_is_for(town):
    assert "What is yours here?" in town.nobody().page("/me")
    answer = town.nobody().client.get("/me/export.json", headers={"accept": "application/json"})
    assert answer.status_code == 403
    assert answer.json()["code"] == "web.nobody"


def test_a_visitor_without_anything_has_a_page(town):
    page = town.guest().page("/me")
    assert "No Work here is yours yet" in page
    assert "You hold no grants." in page
    assert "nobody else can move your coins or Works" in page


def test_who_uses_what_is_seen_from_both_sides(operator, used):
    _made, guest = used
    assert guest.address in operator.page("/me")
    assert "Used" in guest.page("/me")
    assert "train with it" in guest.page("/me")


def test_the_export_agrees_with_the_chain(town, operator, used):
    made, guest = used
    mine, theirs = export(operator), export(guest)
    (work,) = [each for each in mine["works"] if each["work_id"] == made.work_id]
    assert work["till"] == made.till
    assert int(work["earned"]) == 4 * COIN
    assert int(work["waiting"]) == town.coins(made.till) == 4 * COIN
    assert sum(payment["amount"] for payment in work["payments"]) == 4 * COIN
    works = Works(town.chain, town.house.store)
    due = works.due(made.work_id) + works.due(made.work_id, operator.address)
    parts = [part for part in mine["income"]["parts"] if part["work_id"] == made.work_id]
    assert sum(part["withdrawable"] for part in parts) == due == 4 * COIN
    assert mine["grants_sold"][0]["grantee"] == guest.address
    assert theirs["grants_held"][0]["paid"] == COIN
    assert [(word["work_id"], word["value"]) for word in theirs["words_given"]] == [(made.work_id, 70)]
    assert theirs["account"] == guest.address
    assert mine["chain_id"] == town.chain.chain_id


def test_a_payee_by_name_finds_that_income_in_the_export(town, used):
    guest = town.guest()
    shared = town.work("Shared", shares={guest.address: 0.5})
    town.pay(shared.till, 2 * COIN)
    town.sync()
    guest.page("/explore")
    assert int(export(guest)["income"]["withdrawable"]) == COIN


def test_huge_numbers_stand_as_text_in_the_export(town, operator):
    somebody = "0x00000000000000000000000000000000000000AA"
    town.transact(town.chain.coin.transaction("approve", somebody, 2**256 - 1), town.house.operator)
    assert str(2**256 - 1) in [right["amount"] for right in export(operator)["rights_lent"]]


# ------------------------------------------------------------ backup


def test_the_operators_backup_is_restored_with_its_password(town, operator, tmp_path, monkeypatch):
    (town.house.settings.home / "kept.txt").write_text("kept")
    answer = send(operator.client, "/me/backup", password=PASSWORD, again=PASSWORD)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].endswith('.backup"')
    assert b"kept" not in answer.content
    file = tmp_path / "koinon.backup"
    file.write_bytes(answer.content)
    monkeypatch.setenv("KOINON_BACKUP_PASSWORD", PASSWORD)
    assert main(["restore", str(file), "--home", str(tmp_path / "new")]) == 0
    assert (tmp_path / "new" / "kept.txt").read_text() == "kept"
    monkeypatch.setenv("KOINON_BACKUP_PASSWORD", PASSWORD[:-1])
    assert main(["restore", str(file), "--home", str(tmp_path / "other")]) != 0
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("password", "again"),
    [("", ""), ("short", "short"), (PASSWORD, PASSWORD + "!"), (PASSWORD, ""), ("x" * 11, "x" * 11)],
)
def test_a_password_is_long_and_the_same_twice(operator, password, again):
    answer = send(operator.client, "/me/backup", password=password, again=again)
    assert answer.status_code == 422
    assert "me.password" in answer.text


def test_nobody_else_takes_the_operators_backup(town, operator):
    for visit in (town.guest(), town.nobody(), town.as_wallet(operator.address)):
        answer = send(visit.client, "/me/backup", password=PASSWORD, again=PASSWORD)
        assert answer.status_code == 403
        assert "attachment" not in answer.headers.get("content-disposition", "")
        assert "Back up this node" not in visit.page("/me")
    assert "Back up this node" in operator.page("/me")
