# SPDX-License-Identifier: Apache-2.0
"""Publishing a Work from a form: what is written, what is signed, and what is refused before that."""

from __future__ import annotations

import re

import pytest

from koinon.works.api import ParentMode, Works
from koinon.works.terms import Terms, Use, text_digest
from tests.pages_support import COIN

HOSTILE = '<script>alert("1")</script> & “％” 繁體'
FORM = {
    "kind": "dataset",
    "name": "Loans",
    "summary": "Loans of one bank.",
    "data": "Its ledger.",
    "limits": "Not after 2020.\nNot abroad.",
    "unmeasured": "There is nothing to measure.",
}
METRIC = {
    "unmeasured": "",
    "metric": "AUC",
    "metric_value": "0.8",
    "metric_low": "0.7",
    "metric_high": "0.9",
    "metric_baseline": "0.5",
    "metric_baseline_name": "guessing",
    "metric_held_out": "2021",
    "metric_samples": "1000",
}


@pytest.fixture(scope="module")
def reader(town):
    return Works(town.chain, town.house.store)


@pytest.fixture(scope="module")
def parent(town):
    work = town.work("Parent", kind="model")
    Works(town.chain, town.house.store, town.owner).set_parent_rule(work.work_id, ParentMode.OPEN)
    return work


def published(visit, **fields):
    """The id of the Work that a form became."""
    page = visit.do("works.publish", **{**FORM, **fields})
    found = re.search(r"It is Work (\d+) now", page)
    assert found is not None, page
    return int(found.group(1))


@pytest.mark.parametrize("kind", ["dataset", "model", "artwork", "other"])
def test_every_kind_of_work_is_published_by_its_form(guest, reader, kind):
    assert 'action="/publish/work"' in guest.page(f"/publish/{kind}")
    work_id = published(guest, kind=kind, name=f"A {kind}")
    file = reader.registration_of(work_id)
    assert reader.owner_of(work_id) == guest.address == file.signer
    assert (file.registration.card.kind, file.registration.name) == (kind, f"A {kind}")
    assert file.registration.card.limits == ("Not after 2020.", "Not abroad.")
    assert f"A {kind}" in guest.page(f"/works/{work_id}")


def test_shares_parents_and_royalty_are_fixed_as_the_review_said(town, guest, reader, parent):
    fields = {
        **FORM,
        "shares": f"{town.owner.address}=30%",
        "parents": f"{parent.work_id}=20%",
        "royalty": "2.5%",
    }
    review = guest.review("works.publish", **fields)
    for words in (f"{town.owner.address} gets", "30.00%", "20.00%", "50.00%", "fixed for ever"):
        assert words in review
    work_id = published(guest, **fields)
    table = reader.shares_of(work_id)
    assert table[town.owner.address] == 300_000_000
    assert table[parent.till] == 200_000_000
    assert reader.contract.call("royaltyInfo", work_id, 10_000) == (reader.till_of(work_id), 250)


def test_a_download_is_offered_at_the_price_in_the_form(town, guest):
    work_id = published(guest, price="1.25", days="7", terms="Be kind.")
    offer = Terms(town.chain).offer_of(work_id, Use.DOWNLOAD)
    assert offer is not None
    assert (offer.price, offer.period_s) == (125 * COIN // 100, 7 * 86_400)
    assert offer.terms_digest == text_digest("Be kind.")


def test_a_metric_stands_beside_its_baseline(guest, reader):
    work_id = published(guest, **METRIC)
    metric = reader.registration_of(work_id).registration.card.metric
    assert metric is not None
    assert (metric.name, metric.value, metric.baseline, metric.samples) == ("AUC", 0.8, 0.5, 1_000)
    page = guest.page(f"/works/{work_id}")
    assert "the metric is beyond its baseline" in page


def test_names_are_shown_and_never_run(guest):
    work_id = published(guest, name=HOSTILE, summary=HOSTILE, data=HOSTILE, description=HOSTILE)
    for path in (f"/works/{work_id}", "/explore", "/me", "/actions", "/search?q=alert", "/"):
        page = guest.raw(path).text
        assert '<script>alert("1")' not in page
        assert "&lt;script&gt;alert" in page, path


# ------------------------------------------------------------ files


def test_a_file_stays_on_the_node_and_its_digest_is_published(town, guest, reader):
    content = b"income,good\n1,1\n"
    answer = guest.upload("/publish/work", FORM, ("loans.csv", content, "text/csv"))
    assert answer.status_code == 303, answer.text
    guest.agree(answer.headers["location"])
    town.sync()
    newest = int(town.chain.contract("Works").call("total"))
    (kept,) = reader.registration_of(newest).registration.contents
    assert (kept.name, kept.size, kept.media_type) == ("loans.csv", len(content), "text/csv")
    assert town.house.store.get(kept.cid) == content


def test_who_has_not_come_in_leaves_no_files_here(town):
    before = len(list(town.house.store.cids()))
    answer = town.nobody().upload("/publish/work", FORM, ("a.bin", b"somebody's", "text/plain"))
    assert "web.nobody" in answer.text
    assert len(list(town.house.store.cids())) == before


def test_who_has_not_come_in_finds_the_form_again_after_that(town):
    nobody = town.nobody()
    answer = nobody.upload("/publish/work", FORM)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=")


def test_a_file_that_is_too_large_is_refused(guest, monkeypatch):
    monkeypatch.setattr("koinon.works.publishing.LARGEST_FILE", 10)
    answer = guest.upload("/publish/work", FORM, ("a.bin", b"x" * 11, "text/plain"))
    assert "works.upload" in answer.text


def test_a_form_cannot_claim_a_file_that_is_not_here(guest):
    nowhere = "bafkrei" + "a" * 52
    for cid in (nowhere, "../../../etc/passwd", "javascript:alert(1)", "²"):
        guest.refused("works.publish", **FORM, file_cid=cid, file_name="f", file_size="1", file_type="a/b")
    answer = guest.upload("/publish/work", {**FORM, "file_cid": nowhere, "file_size": "1"})
    assert answer.status_code == 303  # what the form says of a file is not believed


@pytest.mark.parametrize("name", ["../../x", "a\r\nb.txt", "<script>.csv", "x" * 1_000, "\u202egnp.exe"])
def test_a_files_name_is_a_text_and_nothing_else(guest, name):
    answer = guest.upload("/publish/work", FORM, (name, name.encode(), "text/plain"))
    assert answer.status_code < 500, answer.text
    if answer.status_code == 303:
        assert guest.raw(answer.headers["location"]).status_code == 200


# ------------------------------------------------------------ refused


@pytest.mark.parametrize("field", ["name", "summary", "data", "limits", "unmeasured"])
@pytest.mark.parametrize("text", ["", "   "])
def test_what_everyone_must_be_told_is_needed(guest, field, text):
    guest.refused("works.publish", **{**FORM, field: text})


@pytest.mark.parametrize("field", ["name", "summary", "data", "unmeasured"])
def test_texts_have_an_end(guest, field):
    assert "works.form" in guest.refused("works.publish", **{**FORM, field: "x" * 4_001})


@pytest.mark.parametrize("kind", ["", "service", "agent", "²", "<b>"])
def test_a_kind_that_has_no_form_is_refused(guest, kind):
    assert "works.form" in guest.refused("works.publish", **{**FORM, "kind": kind})


@pytest.mark.parametrize(
    "shares",
    [
        "nonsense",
        "=30%",
        "{who}",
        "{who}=",
        "{who}=0%",
        "{who}=101%",
        "{who}=-1%",
        "{who}=²%",
        "{who}=1e999999%",
        "{who}=nan%",
        "{who}=1",
        "0x12=10%",
        "{who}=10%\n{who}=10%",
        "{who}=60%\n{other}=60%",
    ],
)
def test_wrong_shares_are_refused_before_anything_is_signed(town, guest, shares):
    text = shares.format(who=town.owner.address, other=town.house.operator.address)
    guest.refused("works.publish", **FORM, shares=text)


@pytest.mark.parametrize(
    "parents",
    ["nonsense", "=20%", "1", "1=", "1=0%", "1=101%", "²=20%", "-1=20%", "9" * 79 + "=1%", "1=1%\n1=1%"],
)
def test_wrong_parents_are_refused(guest, parents):
    guest.refused("works.publish", **FORM, parents=parents)


def test_a_parent_that_does_not_exist_is_refused(guest):
    for work_id in ("999999999", "9" * 77, "0"):
        guest.refused("works.publish", **FORM, parents=f"{work_id}=20%")


def test_a_parent_that_was_not_asked_is_refused_before_anything_is_signed(town, guest):
    closed = town.work("Closed")
    page = guest.refused("works.publish", **FORM, parents=f"{closed.work_id}=20%")
    assert "The register refuses these parents: parent not asked" in page


def test_a_parent_whose_owner_gave_permission_is_taken(town, guest, reader):
    closed = town.work("By permission")
    owner = Works(town.chain, town.house.store, town.owner)
    deadline = town.chain.timestamp() + 10_000
    permission = owner.permission(closed.work_id, guest.address, 200_000_000, deadline)
    fields = {"parents": f"{closed.work_id}=20%", "permissions": f"{closed.work_id}={permission.hex()}"}
    assert reader.parents_of(published(guest, **fields)) == [(closed.work_id, 200_000_000)]
    assert "parent" in guest.refused(
        "works.publish", **FORM, **{**fields, "parents": f"{closed.work_id}=10%"}
    )


@pytest.mark.parametrize("permissions", ["nonsense", "1=zz", "999=ab", "²=ab"])
def test_wrong_permissions_are_refused(guest, parent, permissions):
    guest.refused("works.publish", **FORM, parents=f"{parent.work_id}=20%", permissions=permissions)


@pytest.mark.parametrize("royalty", ["101", "-1", "nan", "inf", "1e999999", "²", "ten", "%"])
def test_a_royalty_is_a_percentage(guest, royalty):
    page = guest.refused("works.publish", **FORM, royalty=royalty) if royalty != "%" else "works.royalty"
    assert "works.royalty" in page


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("metric_value", "high"),
        ("metric_value", "nan"),
        ("metric_value", "inf"),
        ("metric_value", "1e999999"),
        ("metric_value", ""),
        ("metric_low", "0.85"),
        ("metric_high", "0.75"),
        ("metric_samples", "0"),
        ("metric_samples", "-5"),
        ("metric_samples", "²"),
        ("metric_samples", "9" * 30),
        ("metric_samples", "9" * 5_000),
        ("metric_samples", "1.5"),
        ("metric_baseline", "nan"),
        ("metric_baseline_name", ""),
        ("metric_held_out", ""),
    ],
)
def test_a_wrong_metric_is_refused(guest, field, text):
    guest.refused("works.publish", **{**FORM, **METRIC, field: text})


@pytest.mark.parametrize("price", ["-1", "²", "1e999999", "nan", "0.0000001", "9" * 40, "free"])
def test_a_wrong_price_is_refused(guest, price):
    assert "works.amount" in guest.refused("works.publish", **FORM, price=price)


@pytest.mark.parametrize("days", ["-1", "²", "36501", "9" * 5_000, "1.5"])
def test_wrong_days_are_refused(guest, days):
    assert "works.days" in guest.refused("works.publish", **FORM, price="1", days=days)


def test_lists_have_an_end(guest):
    for field in ("limits", "shares", "parents"):
        guest.refused("works.publish", **{**FORM, field: "x\n" * 1_001})


def test_every_field_may_be_missing_without_an_error_of_the_servers(guest):
    for field in FORM:
        guest.refused("works.publish", **{name: text for name, text in FORM.items() if name != field})
    guest.refused("works.publish")
