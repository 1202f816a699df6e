# SPDX-License-Identifier: Apache-2.0
"""The watch as people use it: screen, scan, look, decide, learn."""

import csv
import json
from dataclasses import replace

import pytest

from koinon.cli import main
from koinon.errors import IntegrityError, NotFound
from koinon.watch import api
from koinon.watch.api import Watch
from koinon.watch.graph import Edges
from koinon.watch.graph.following import CONFIRMATIONS
from koinon.watch.graph.importing import read_labelled
from koinon.watch.laundering.feedback import retrain
from koinon.watch.laundering.measuring import average_precision
from koinon.watch.laundering.model import learn
from koinon.watch.laundering.planted import plant
from koinon.watch.laundering.table import AMOUNT_ONLY, Table

LISTED = "0x" + "ab" * 20


@pytest.fixture(scope="module")
def planted():
    return plant(accounts=600, honest=2_000, patterns=48, days=20, seed=5)


@pytest.fixture(scope="module")
def file(planted, tmp_path_factory):
    path = tmp_path_factory.mktemp("given") / "transfers.csv"
    edges = planted.edges
    with path.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["source", "target", "timestamp", "amount", "illicit"])
        for row, bad in zip(edges.rows(range(len(edges))), planted.illicit, strict=True):
            writer.writerow([row["source"], row["target"], row["timestamp"], row["amount"], int(bad)])
    return path


@pytest.fixture
def koinon(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KOINON_HOME", str(tmp_path))

    def run(*arguments, status=0):
        capsys.readouterr()
        assert main(["watch", *map(str, arguments)]) == status
        return capsys.readouterr()

    return run


def test_a_list_is_added_shown_with_its_source_and_screened_against(koinon, tmp_path):
    (tmp_path / "mine.csv").write_text(f"{LISTED}, a thief\n")
    assert "no list" in koinon("screen", LISTED, status=2).err
    assert "mine" in koinon("lists", "--add", tmp_path / "mine.csv", "--as-of", "2026-01-02").out
    shown = koinon("screen", LISTED, "0x" + "01" * 20).out
    assert "listed" in shown
    assert "on no list" in shown
    answer = json.loads(koinon("screen", LISTED, "--json").out)
    assert answer["subjects"][0]["listed"]
    assert answer["lists"][0]["as_of"] == "2026-01-02"
    (tmp_path / "many.txt").write_text(f"{LISTED}\nexample.org # mine\n")
    assert len(json.loads(koinon("screen", "--file", tmp_path / "many.txt", "--json").out)["subjects"]) == 2
    assert "Nothing was given" in koinon("screen", status=2).err
    assert "cannot be read" in koinon("screen", "--file", tmp_path / "absent", status=2).err


def test_a_file_is_scanned_into_cases_that_are_decided(koinon, file):
    found = json.loads(koinon("scan", file, "--json").out)
    assert found["kinds"]["cycle"] > 0
    assert found["cases"]
    assert found["findings"][0]["accounts"][0].startswith("0x")
    again = json.loads(koinon("scan", file, "--json").out)
    assert again["cases"] == found["cases"]
    queue = json.loads(koinon("cases", "--budget", 3, "--json").out)
    assert len(queue["cases"]) == 3
    first = queue["cases"][0]["id"]
    assert "transfers" in koinon("case", first).out
    assert "confirmed" in koinon("decide", first, "confirmed", "--who", "reviewer", "--why", "Known.").out
    told = koinon("case", first).out
    assert "reviewer: new → confirmed. Known." in told
    assert first not in [each["id"] for each in json.loads(koinon("cases", "--json").out)["cases"]]
    assert "confirmed" in koinon("cases", "--status", "confirmed").out
    assert "no case" in koinon("case", 99_999, status=2).err


def test_looking_only_keeps_nothing(koinon, file):
    assert "findings" in koinon("scan", file, "--look-only", "--threshold", 0).out
    assert json.loads(koinon("cases", "--json").out)["cases"] == []


def test_a_model_is_trained_reported_and_used(koinon, file, tmp_path):
    assert "No model was trained" in koinon("report", status=2).err
    document = json.loads(koinon("train", file, "--json").out)
    assert document["data"]["what"] == "the file transfers.csv"
    assert [each["name"] for each in document["rankings"]] == ["model", "rules only", "amount only"]
    shown = koinon("report").out
    assert "False alarms by age" in shown
    assert "PR-AUC" in shown
    scanned = json.loads(koinon("scan", file, "--json").out)
    assert scanned["model"] == document["model"]
    assert scanned["kinds"]["model"] > 0
    with Watch(tmp_path / "watch") as watch:
        urgent = watch.alerts.take()
        assert urgent
        assert all(each.key.startswith("case ") for each in urgent)
        case = watch.queue(1)[0]
        watch.decide(case.id, "confirmed", who="reviewer", why="Known.")
        edges, illicit, _ = read_labelled(file, "illicit")
        document, retrained = watch.train(edges, illicit, data="the same", draws=5)
    assert retrained is not None
    assert retrained.used == len(case.edges)
    assert document["retrained"]["accepted"] == retrained.accepted
    assert document["looks"] == retrained.looks == 2


def test_the_report_is_of_the_model_that_is_kept(planted, tmp_path, monkeypatch):
    table = Table.of(planted.edges)
    champion, split = learn(table, planted.illicit, columns=AMOUNT_ONLY)
    champion.save(tmp_path / "model.json")

    def refusing(*arguments, **more):
        return replace(retrain(*arguments, **more), model=champion, accepted=False)

    monkeypatch.setattr(api, "retrain", refusing)
    with Watch(tmp_path) as watch:
        document, _ = watch.train(planted.edges, planted.illicit, data="simulated", draws=5)
        kept = watch.model
    assert kept is not None
    assert kept.digest == champion.digest == document["model"]
    measured = average_precision(planted.illicit[split.measure], kept.scores(table)[split.measure])
    assert document["rankings"][0]["pr_auc"]["value"] == round(measured, 4)
    assert document["looks"] == 1


@pytest.mark.parametrize("arguments", [["scan"], ["train"], ["scan", "absent.csv"], ["scan", "x", "--chain"]])
def test_a_command_without_one_source_of_transfers_is_refused(koinon, arguments):
    assert koinon(*arguments, status=2).err


def test_columns_have_four_names(koinon, file):
    assert "four columns" in koinon("scan", file, "--columns", "a,b", status=2).err


class Index:
    def rows(self, sql, parameters=()):
        if "max(number)" in sql:
            return [{"number": 10}]
        self.through = parameters[-1]
        return [{"source": "0xa", "target": "0xb", "timestamp": 7, "amount": 1_500_000}]


def test_the_chains_last_blocks_are_left_out_until_they_are_confirmed(tmp_path):
    index = Index()
    watch = Watch(tmp_path, index=index)
    assert watch.chain_edges(confirmations=2).amount.tolist() == [1.5]
    assert index.through == 8
    watch.chain_edges()
    assert index.through == 10 - CONFIRMATIONS
    assert len(watch.chain_edges(venues={"0xb"})) == 0, "what is exchanged with a market is no payment"
    with pytest.raises(NotFound):
        Watch(tmp_path).chain_edges()


def test_a_listed_account_makes_a_case_and_a_changed_list_is_refused(tmp_path):
    (tmp_path / "mine.csv").write_text(LISTED)
    with Watch(tmp_path / "watch", clock=lambda: 5) as watch:
        watch.add_list(tmp_path / "mine.csv", "own")
        found = watch.scan(Edges.of([LISTED], ["0x" + "01" * 20], [7], [10]))
        assert [each.kind for each in found.findings] == ["listed"]
        assert watch.case(found.cases[0]).priority == pytest.approx(0.9)
        assert [each.key for each in watch.alerts.take()] == ["case 1"]
        (tmp_path / "watch" / "lists" / "mine.list").write_text("")
        with pytest.raises(IntegrityError):
            watch.screen([LISTED])
