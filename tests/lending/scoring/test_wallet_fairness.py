# SPDX-License-Identifier: Apache-2.0
"""Whom an on-chain score refuses: wallets by age, size and origin, red where four fifths are missed."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from koinon.lending.features.catalogue import NAMES
from koinon.lending.features.cli import loan_rows
from koinon.lending.scoring.cli_shown import show_report
from koinon.lending.scoring.on_chain import GROUPS, loan_frame, read_loans, train_on_loans
from koinon.lending.scoring.points import Plan
from koinon.lending.scoring.report import SIMULATED
from koinon.lending.scoring.wallets import SERVICE, groups_of_history
from koinon.terminal import Terminal
from tests.lending.features.chronicle import Chronicle, role
from tests.lending.scoring.test_on_chain import wallets

PLAN = Plan(binner="tree", tiers=3)


def text_of(report):
    out = io.StringIO()
    show_report(Terminal(stdout=out, stderr=io.StringIO()), report)
    return out.getvalue()


@pytest.fixture(scope="module")
def frame():
    """Made-up wallets whose young ones have the thin cushions, and go bad."""
    table, loans, labelled = wallets()
    values = table.values.copy()
    age = values[:, NAMES.index("age_days")]
    values[:, NAMES.index("health_last")] += np.where(age < 180, -0.8, 0.4)
    random = np.random.default_rng(5)
    bad = (random.random(len(table)) < np.where(age < 180, 0.55, 0.1)).astype(np.int64)
    groups = {
        "wallet age": np.where(age < 180, "under 180 days", "older"),
        "wallet size": random.choice(["smallest third", "largest third"], len(table)),
        "origin of funds": np.where(random.random(len(table)) < 0.99, "another wallet", ""),
    }
    return loan_frame(replace(table, values=values), loans, replace(labelled, labels=bad), groups)


def test_the_report_compares_wallets_and_is_red_where_four_fifths_are_missed(frame):
    made = train_on_loans(frame, data="made-up wallets", evidence=SIMULATED, plan=PLAN)
    by = {each.attribute: each for each in made.report.audits}
    assert by["wallet age"].status == "red"
    assert by["wallet age"].ratio.value < 0.8
    assert by["wallet size"].status in {"green", "amber"}
    assert "origin of funds" not in by, "one group alone cannot be compared"
    assert any("origin of funds was not looked at" in note for note in made.report.notes)
    shown = text_of(made.report)
    assert "red by wallet age" in shown
    assert "Groups of wallets" in shown
    assert "wallet size: smallest third" in made.report.text()
    assert "By wallet age: red" in made.report.text()
    assert "- By wallet age: **red**" in made.report.markdown()
    kept = made.scorecard.about["report"]
    assert next(each["status"] for each in kept["fairness"]) == "red", "it travels with the scorecard"
    assert not set(GROUPS) & set(made.scorecard.columns), "audited, never learned from"


def test_origin_and_size_are_those_of_the_block_before_the_loan():
    told = Chronicle().price(2000)
    for number in range(SERVICE):
        told.pay("exchange", f"customer {number}", 100)
    told.wait(1).pay("exchange", "served", 5_000).pay("friend", "helped", 700).pay("friend", "helped", 300)
    told.pay("stranger", "dusted", 0.01)
    before = told.block
    told.wait(10).pay("exchange", "helped", 90_000).pay("whale", "nobody yet", 10**6)
    history = told.history()
    names = [role(each) for each in ("served", "helped", "dusted", "nobody yet", "customer 3")]
    ages = np.array([1.0, 1.0, 1.0, np.nan, 1.0])
    found = groups_of_history(history, names, [before] * 5, ages)
    assert found["origin of funds"].tolist() == ["a service", "another wallet", "", "", "another wallet"]
    sizes = found["wallet size"].tolist()
    assert sizes[0] == "largest third"
    assert sizes[2] == sizes[3] == "smallest third"
    cut = history.as_of(before)
    again = groups_of_history(cut, names, [before] * 5, ages)
    for name, texts in found.items():
        assert texts.tolist() == again[name].tolist(), "what came later changes nothing"


def test_what_the_features_command_writes_tells_the_groups(tmp_path):
    told = Chronicle().price(2000).wait(1).pay("friend", "careful", 50).wait(1)
    told.pledge("careful", 10).borrow("careful", 1000).pledge("rash", 1).borrow("rash", 1500)
    told.wait(5).price(1500).liquidate("rash", 1500, 1).wait(40)
    rows = loan_rows(told.wait(1).price(1500).history(), 30)
    path = tmp_path / "loans.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if row["bad"] != "")
    frame = read_loans(path)
    assert set(frame.groups) == set(GROUPS)
    assert frame.groups["origin of funds"].tolist() == ["another wallet", ""]
    path.write_text("\n".join(line.rsplit(",", 3)[0] for line in path.read_text().splitlines()) + "\n")
    assert set(read_loans(path).groups) == {"wallet age"}, "an older file tells ages alone"
