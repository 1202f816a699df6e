# SPDX-License-Identifier: Apache-2.0
"""``koinon watch taint``, ``stream``, ``scan --asset`` and ``train --known-at`` as people run them."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from koinon.chain.index import EventIndex
from koinon.errors import BadInput, NotFound
from koinon.markets.history.files import write_rows
from koinon.settings import Settings
from koinon.terminal import Session, Terminal
from koinon.watch.api import Watch
from koinon.watch.cli import group
from koinon.watch.laundering.planted import plant
from koinon.watch.laundering.table import split_by_time
from koinon.watch.laundering.truth import label_chain
from tests.lending.features.chronicle import DOLLAR, FACTS, Chronicle, role


@pytest.fixture
def run(tmp_path):
    def ask(*arguments, node=None, as_json=True):
        out = io.StringIO()
        session = Session(
            Settings.load({}, home=tmp_path / "home"),
            Terminal(json_output=as_json, stdout=out, stderr=io.StringIO()),
        )
        if node is not None:
            setattr(session, "node", lambda: nullcontext(node))  # noqa: B010  (a chain that is there already)
        CliRunner().invoke(group, [str(each) for each in arguments], obj=session, catch_exceptions=False)
        return json.loads(out.getvalue()) if as_json else out.getvalue()

    return ask


@pytest.fixture
def paid(tmp_path):
    """A thief pays a friend, who has as much of its own and pays a shop."""
    file = tmp_path / "paid.csv"
    file.write_text(
        "source,target,timestamp,amount\n"
        "employer,friend,100,50\nThief,friend,200,50\nfriend,shop,300,40\nfriend,bank,400,60\n"
    )
    return file


def test_money_is_followed_to_the_unit_by_either_method(run, paid):
    found = run("taint", paid, "--from", "thief")
    assert found["released"] == 50
    assert {each["account"]: each["tainted"] for each in found["held"]} == {"shop": 20, "bank": 30}
    assert {each["share"] for each in found["held"]} == {0.5}
    first = run("taint", paid, "--from", "thief", "--method", "fifo")
    assert {each["account"]: each["tainted"] for each in first["held"]} == {"bank": 50}
    assert "50.00 left 1 accounts" in run("taint", paid, "--from", "thief", as_json=False)


def test_taint_begins_at_those_on_lists_and_says_where_nobody_is(run, paid, tmp_path):
    with pytest.raises(BadInput, match="whose money"):
        run("taint", paid)
    with pytest.raises(NotFound, match="None of these accounts"):
        run("taint", paid, "--from", "nobody")
    with pytest.raises(NotFound, match="None of these accounts"):
        run("taint", paid, "--listed")
    bad = f"0x{0xBAD:040x}"
    own = tmp_path / "own.csv"
    own.write_text(f"{bad}\n")
    run("lists", "--add", own)
    file = tmp_path / "listed.csv"
    file.write_text(f"source,target,timestamp,amount\n{bad.upper().replace('X', 'x')},mixer,1,7\n")
    assert run("taint", file, "--listed")["held"][0]["account"] == "mixer"


def test_rows_of_a_chain_are_scanned_for_one_tokens_payments(run, tmp_path):
    told = Chronicle().price(2000)
    ring = ["a", "b", "c"]
    for payer, payee in zip(ring, [*ring[1:], ring[0]], strict=True):
        told.wait(blocks=1).pay(payer, payee, 900)
    rows, facts = tmp_path / "rows.csv", tmp_path / "facts.json"
    write_rows(told.rows, rows)
    facts.write_bytes(FACTS.to_json())
    found = run("scan", rows, "--asset", DOLLAR, "--facts", facts)
    assert found["kinds"]["cycle"] == 1
    case = run("case", found["cases"][0])
    assert {each["amount"] for each in case["edges"]} == {900}, "decimals come from the facts"
    assert set(case["accounts"]) == {role(each) for each in ring}
    for wrong in (("--facts", facts), ("--asset", role("other token"))):
        with pytest.raises(BadInput):
            run("scan", rows, *wrong)
    with pytest.raises(BadInput):
        run("scan", "--chain", "--asset", DOLLAR)


def test_labels_that_were_known_too_late_are_not_learned_from(run, tmp_path):
    edges = plant(seed=3, patterns=8).edges
    known = edges.timestamp.copy()
    split = split_by_time(edges, known_at=known)
    assert split.purged.size == 0
    known[: split.choose.stop : 3] = edges.timestamp[-1] + 1
    late = split_by_time(edges, known_at=known)
    assert late.purged.tolist() == list(range(0, split.choose.stop, 3))
    assert not set(late.purged) & (set(late.learning) | set(late.choosing))
    file = tmp_path / "labelled.csv"
    file.write_text("source,target,timestamp,amount,illicit,seen\na,b,1,1,0,2026-01-01\nb,c,2,1,1,\n")
    with pytest.raises(BadInput, match="when its label was known"):
        run("train", file, "--known-at", "seen")
    for wrong in (("--known-at", "seen", "--simulated"), (file, "--simulated"), (file, "--truth", file), ()):
        with pytest.raises(BadInput):
            run("train", *wrong)


@pytest.fixture
def node(own_chain, own_account, tmp_path):
    settings = Settings.load({}, home=tmp_path / "home")
    settings.ensure_home()
    with EventIndex.open(settings, own_chain) as index:
        yield SimpleNamespace(chain=own_chain, index=index, account=own_account)


def test_payments_of_the_chain_come_with_their_columns_and_take_labels_from_the_truth(run, node):
    coin, keys, hashes = node.chain.coin, [node.account() for _ in range(3)], []
    for key in keys:
        node.chain.sender(key).send(coin.transaction("mint", key.address, 10**9))
    for payer, payee in zip(keys, [*keys[1:], keys[0]], strict=True):
        sent = node.chain.sender(payer).send(coin.transaction("transfer", payee.address, 10**8))
        hashes.append(sent.transaction_hash)
    found = run("stream", "--confirmations", "0", node=node)
    assert [each["amount"] for each in found["transfers"]] == [100.0] * 3
    assert found["transfers"][2]["columns"]["source_in_count_1h"] == 1
    assert "3 payments" in run("stream", "--confirmations", "0", node=node, as_json=False)
    truth = {
        "people": [],
        "events": [],
        "cases": [
            {"case": 0, "typology": "payroll", "illicit": False, "transfers": [{"transaction": hashes[0]}]},
            {"case": 1, "typology": "cycle", "illicit": True,
             "transfers": [{"transaction": hashes[1]}, {"transaction": hashes[2]}, {"number": 9}]},
        ],
    }  # fmt: skip
    labelled = label_chain(node.index, truth, decimals=6, through_block=10**9)
    assert labelled.illicit.tolist() == [False, True, True]
    assert labelled.pattern.tolist() == [-1, 0, 0]
    assert list(labelled.kinds) == ["cycle"]
    assert np.all(labelled.service == -1)
    with pytest.raises(NotFound, match="None of the payments"):
        label_chain(node.index, {**truth, "cases": truth["cases"][:1]}, decimals=6, through_block=10**9)


def test_a_truth_that_is_not_there_is_said(run, tmp_path, node):
    with pytest.raises(NotFound, match="no ground truth"):
        run("train", "--truth", tmp_path / "none.json", node=node)
    with Watch(tmp_path / "home" / "watch") as watch:
        assert watch.model is None
