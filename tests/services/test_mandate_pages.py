# SPDX-License-Identifier: Apache-2.0
"""Mandates as people see and stop them, in the console and from a shell."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from koinon.chain.address import checksum
from koinon.cli import main
from koinon.errors import KeyFault, NotFound, PaymentError
from koinon.node import Node
from koinon.services.buying.allowance import Payee
from koinon.services.mandates.book import MandateBook
from koinon.services.mandates.spending import MandateSpending
from koinon.settings import Settings
from tests.services.mandates import mandate

DAY = 86_400
TILL = "0x" + "22" * 20


@pytest.fixture(scope="module")
def guest(town):
    return town.guest()


@pytest.fixture
def book(town):
    opened = MandateBook(town.house.chain, town.house.settings.home)
    yield opened
    opened.close()


def given(town, book, owner, **fields: Any):
    """A mandate by the operator of this town for a new program, with something spent under it."""
    chosen = {
        "owner": owner.address,
        "agent": checksum("0x" + os.urandom(20).hex()),
        "token": town.house.chain.coin.address,
        "per_call": 1_000,
        "per_day": 5_000,
        "total": 20_000,
        "per_counterparty": 10_000,
        "not_before": int(time.time()) - DAY,
        "not_after": int(time.time()) + 30 * DAY,
    }
    signed = book.give(owner, mandate(**{**chosen, **fields}))
    spending = MandateSpending(town.house.chain, book.ledger, signed, signed.mandate.agent)
    spending.voucher(Payee(7, TILL, TILL), b"\1" * 32, 0, 1_000)
    spending.forget("", 400)
    return signed, spending


def test_a_page_says_what_who_may_spend_on_what_until_when_and_what_was_spent(town, guest, book):
    signed, _ = given(town, book, town.house.operator, works=(7, 8), verified_lineage=False)
    page = town.operator().page("/me/mandates")
    for shown in (signed.mandate.agent, "Which Works", "0.02", "0.001", "0.0004", "It stands", "Stop it"):
        assert shown in page, shown
    assert signed.id.hex() not in guest.page("/me/mandates"), "it is nobody else's matter"
    chinese = town.operator().page("/zh-hant/me/mandates")
    assert "可花" in chinese
    assert "停止" in chinese


def test_who_gave_it_stops_it_after_a_review_in_words(town, guest, book):
    signed, spending = given(town, book, town.house.operator)
    fields = {"id": signed.id.hex()}
    assert "mandate.owner" in guest.refused("services.stop_mandate", **fields)
    assert "mandate.unknown" in guest.refused("services.stop_mandate", id="ab" * 32)
    operator = town.operator()
    review = operator.review("services.stop_mandate", **fields)
    assert signed.mandate.agent in review
    assert "0.0006" in review, "what was signed and not charged may still be taken"
    assert "There is no way back" in review
    spending.voucher(Payee(7, TILL, TILL), b"\1" * 32, 0, 1_000)
    operator.do("services.stop_mandate", **fields)
    with pytest.raises(PaymentError):
        spending.voucher(Payee(7, TILL, TILL), b"\1" * 32, 0, 1_000)
    assert "Revoked" in operator.page("/me/mandates")
    assert book.entry(signed.id.hex()[:10]).state == "revoked"


def test_a_book_knows_states_and_refuses_what_is_nobodys(town, book):
    now = int(time.time())
    over, _ = given(town, book, town.house.operator)
    early = book.give(
        town.house.operator,
        mandate(owner=town.house.operator.address, not_before=now + DAY, not_after=now + 2 * DAY),
    )
    late = MandateBook(town.house.chain, town.house.settings.home, clock=lambda: now + 40 * DAY)
    assert late.entry(over.id.hex()).state == "over"
    late.close()
    assert book.entry(early.id.hex()).state == "not yet"
    book.ledger.stop(early.id)
    assert book.entry(early.id.hex()).state == "stopped"
    with pytest.raises(KeyFault):
        book.revoke(_Other(), early.id.hex())
    for unknown in ("", "ab", "f" * 64, "not hex"):
        with pytest.raises(NotFound):
            book.entry(unknown)


class _Other:
    address = TILL

    def sign_typed(self, *_: Any) -> bytes:
        return b""


@pytest.mark.e2e
def test_a_mandate_from_the_shell(
    tmp_path: Path, anvil_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = replace(Settings.load({}, home=tmp_path / "home"), anvil=anvil_path)
    file = tmp_path / "mandate.json"

    def koinon(*arguments: str, status: int = 0) -> Any:
        capsys.readouterr()
        assert main(["--home", str(settings.home), *arguments, "--json"]) == status
        said = capsys.readouterr()
        return json.loads(said.out or said.err)

    caps = ("--per-call", "0.001", "--per-day", "1", "--total", "5")
    with Node.open(settings):
        gave = koinon("mandate", "give", "buyer", *caps, "--work", "1", "--out", str(file))
        assert gave["mandate"]["perCall"] == "1000"
        assert (
            koinon("mandate", "give", "buyer", *caps, "--out", str(file), status=2)["code"] == "mandate.file"
        )
        assert koinon("mandate", "give", "0x12", *caps, status=2)
        assert koinon("mandate", "list")[0]["id"] == gave["id"]
        assert koinon("mandate", "show", gave["id"][:8])["state"] == "standing"
        refused = koinon("call", "2", "{}", "--mandate", str(tmp_path / "none.json"), status=2)
        assert refused["code"] == "mandate.file"
        assert koinon("mandate", "revoke", gave["id"])["state"] == "revoked"
        assert koinon("mandate", "revoke", gave["id"])["state"] == "revoked"
        assert koinon("mandate", "show", "ab" * 32, status=2)["code"] == "mandate.unknown"
