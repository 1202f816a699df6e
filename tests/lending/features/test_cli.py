# SPDX-License-Identifier: Apache-2.0
"""``koinon lending features`` as people and programs run it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from koinon.errors import BadInput
from koinon.lending.features.catalogue import NAMES
from koinon.lending.features.cli import FEATURES_COMMANDS
from koinon.markets.history.files import write_rows
from koinon.settings import Settings
from koinon.terminal import Session, Terminal
from tests.lending.features.chronicle import FACTS, Chronicle, role


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A chain's rows as a table, and what they leave out."""
    story = Chronicle().price(2_000).pledge("good", 10).borrow("good", 1_000).pledge("bad", 10)
    story.wait(blocks=1).borrow("bad", 14_000).wait(days=5).price(1_600).liquidate("bad", 14_000, 9)
    story.wait(days=40).borrow("good", 100)
    write_rows(story.rows, tmp_path / "rows.csv")
    (tmp_path / "facts.json").write_bytes(FACTS.to_json())
    return str(tmp_path / "rows.csv"), str(tmp_path / "facts.json")


def run(home: Path, *arguments: str, people: bool = False) -> Any:
    out = io.StringIO()
    terminal = Terminal(json_output=not people, stdout=out, stderr=io.StringIO())
    FEATURES_COMMANDS[0].main(
        list(arguments), standalone_mode=False, obj=Session(Settings.load({}, home=home), terminal)
    )
    return out.getvalue() if people else json.loads(out.getvalue())


def test_one_wallet_as_of_a_block(files, tmp_path):
    rows, facts = files
    found = run(tmp_path, rows, "--facts", facts, "--subject", role("bad"), "--block", "1")
    assert found["as_of_block"] == 1
    assert found["block_hash"].startswith("0x")
    assert found["features"]["health_last"] == pytest.approx(20_000 * 0.8 / 14_000)
    assert found["features"]["days_since_liquidation"] is None
    later = run(tmp_path, rows, "--facts", facts, "--subject", role("bad"))
    assert later["features"]["liquidations_365d"] == 1
    assert "liquidations_365d" in run(tmp_path, rows, "--facts", facts, "--subject", role("bad"), people=True)


def test_every_loan_becomes_a_row_to_learn_from(files, tmp_path):
    rows, facts = files
    out = tmp_path / "loans.csv"
    told = run(tmp_path, rows, "--facts", facts, "--out", str(out), "--unripe")
    assert (told["loans"], told["labelled"], told["bad"]) == (3, 2, 1)
    with out.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["bad"] for row in table] == ["0", "1", ""]
    assert {int(row["known_at_s"]) - int(row["time_s"]) for row in table} == {30 * 86_400}
    assert set(NAMES) <= set(table[0])
    assert table[1]["borrows_30d"] == "0", "as of the block before the loan"
    run(tmp_path, rows, "--facts", facts, "--out", str(out))
    assert len(out.read_text().splitlines()) == 1 + 2, "only what has a label"
    assert "2 the 30 days are over" in run(tmp_path, rows, "--facts", facts, people=True)


def test_what_cannot_be_computed_is_told(files, tmp_path):
    rows, facts = files
    with pytest.raises(BadInput):
        run(tmp_path, rows, "--facts", facts, "--subject", "0x12")
    empty = tmp_path / "empty.csv"
    write_rows([], empty)
    with pytest.raises(BadInput, match="no rows"):
        run(tmp_path, str(empty))
    listed = tmp_path / "listed.txt"
    listed.write_text(f"{role('good')}  # for a test\n\n")
    found = run(tmp_path, rows, "--facts", facts, "--subject", role("good"), "--listed", str(listed))
    assert found["features"]["taint_share"] == 1
