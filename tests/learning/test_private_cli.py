# SPDX-License-Identifier: Apache-2.0
"""A private recipe as a person runs it from a file."""

from __future__ import annotations

import numpy as np
import pytest

from koinon.cli import main
from koinon.learning.evidence import Evidence
from tests.learning.support import table

PRIVATE = """
name = "Late payers"
label = "default"
columns = ["age", "income", "late"]
rounds = 3
aggregation = "mean"
contribution = "equal"
minimum_owners = 3

[privacy]
mode = "private_sum"
noise = "distributed"
clip_norm = 2.0
epsilon = 100.0

[scaling]
center = [45, 8, 1]
scale = [15, 1, 1]
signed_log = [false, true, false]

[model]
kind = "perceptron"
hidden = [4]
"""


@pytest.fixture
def koinon(tmp_path, monkeypatch, capsys):
    """Status, stdout and stderr of ``koinon learn run`` with a recipe's text, without a chain."""
    monkeypatch.setenv("KOINON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KOINON_LANG", "en")
    rows, path = table(400), tmp_path / "own.csv"
    columns = np.column_stack([rows.features, rows.labels])
    np.savetxt(path, columns, delimiter=",", header="age,income,late,default", comments="", fmt="%g")

    def run(recipe):
        (tmp_path / "own.toml").write_text(recipe)
        arguments = ["learn", "run", str(path), "--recipe", str(tmp_path / "own.toml"), "--owners", "4"]
        status = main([*arguments, "--no-chain"])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.mark.e2e
def test_owners_processes_teach_under_masks_and_the_terminal_says_what_was_spent(koinon, tmp_path):
    status, said, _ = koinon(PRIVATE)
    assert status == 0
    told = " ".join(said.split())
    assert "The leader saw the sum of the owners' changes and nobody's own" in told
    assert "hidden to an epsilon of 100.00 at a delta of 1e-05 (distributed noise" in told
    kept = Evidence.from_bytes((tmp_path / "home/learning/runs/unrecorded/evidence.bin").read_bytes())
    assert all(one.opening for one in kept.rounds)
    assert len(kept.replay()) == 3


@pytest.mark.parametrize(
    ("asked", "reason"),
    [('"multi_krum"', "a rule must look at every owner's change"), ('"shapley"', "when nobody sees it")],
)
def test_a_recipe_that_asks_for_both_modes_is_refused_at_once_with_the_reason(koinon, asked, reason):
    name = '"mean"' if "krum" in asked else '"equal"'
    status, _, said = koinon(PRIVATE.replace(name, asked))
    assert status == 2
    assert reason in " ".join(said.split())
    assert "accountable" in said
