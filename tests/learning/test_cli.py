# SPDX-License-Identifier: Apache-2.0
"""`koinon learn` as a person types it: recipes by name and by file, on shipped data and on one's own."""

from __future__ import annotations

import csv

import orjson
import pytest

from koinon.cli import main
from koinon.compute import fixed_point
from koinon.learning import simulation
from koinon.learning.recipes import SHIPPED, recipe_file
from koinon.learning.trained import TrainedModel
from tests.learning.support import COLUMNS, recipe, table

OWN = """
name = "Late payers"
label = "default"
columns = ["late", "age", "income"]
signed_log = [false, false, true]
rounds = 12
learning_rate = 0.02
codec = "int8"
down_codec = "int8"

[model]
kind = "perceptron"
hidden = [4]
"""


@pytest.fixture
def koinon(tmp_path, monkeypatch, capsys):
    """``(status, what stdout said as JSON or text, stderr)``."""
    monkeypatch.setenv("KOINON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KOINON_LANG", "en")
    monkeypatch.delenv("KOINON_RPC_URL", raising=False)

    def run(*arguments):
        status = main(["learn", *map(str, arguments)])
        said = capsys.readouterr()
        return status, orjson.loads(said.out) if "--json" in arguments and said.out else said.out, said.err

    return run


@pytest.fixture
def own_table(tmp_path):
    found, path = table(400), tmp_path / "own.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*COLUMNS, "default"])
        rows.writerows(
            [*features, label] for features, label in zip(found.features, found.labels, strict=True)
        )
    return path


def test_a_run_says_who_gains_how_groups_fare_and_who_differs(koinon, own_table, tmp_path):
    own = OWN.replace("rounds = 12", "rounds = 3") + (
        '[fairness]\ngroup = "age"\nedges = [45]\nnames = ["younger", "[older]"]\n'
        'own_rows = 0.3\ntold = "scores"\npopulations = true\n'
    )
    (tmp_path / "own.toml").write_text(own)
    status, said, _ = koinon("run", own_table, "--recipe", tmp_path / "own.toml", "--owners", 2, "--no-chain")
    assert status == 0
    assert "Who gains by joining?" in said
    assert "Are groups treated alike?" in said
    assert "[older]" in said
    assert "Largest gap in given '0'" in said
    assert "point furthest from the others'" in said


def test_shipped_recipes_are_listed_and_shown(koinon):
    _, listed, _ = koinon("recipes", "--json")
    assert {one["name"] for one in listed["recipes"]} == set(SHIPPED)
    assert koinon("recipes", "spam", "--json")[1]["file"] == recipe_file("spam")
    status, _, said = koinon("recipes", "poems")
    assert status != 0
    assert "spam" in said


@pytest.mark.e2e
def test_a_recipe_of_ones_own_teaches_on_ones_own_table(koinon, own_table, tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    status, answer, said = koinon("run", own_table, "--recipe", path, "--owners", 3, "--no-chain", "--json")
    assert status == 0, said
    assert len(answer["owners"]) == 3
    assert answer["together"]["value"] > 0.7


@pytest.mark.e2e
def test_trees_are_taught_by_processes(koinon):
    status, answer, said = koinon("run", "--recipe", "credit-trees", "--rounds", 4, "--no-chain", "--json")
    assert status == 0, said
    assert answer["together"]["value"] > 0.7


def test_a_table_without_the_recipes_columns_is_refused(koinon, tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("age,spam\n" + "3,0\n4,1\n" * 40)
    status, _, said = koinon("run", path, "--recipe", "spam", "--no-chain")
    assert status != 0
    assert "hash_0" in said


def test_flower_is_said_to_be_missing_and_repeats_nothing(koinon, own_table, tmp_path, monkeypatch):
    monkeypatch.setenv("KOINON_FLOWER", str(tmp_path / "nothing"))
    asked = ("run", own_table, "--label", "default", "--owners", "2", "--no-chain", "--mode", "flower")
    status, _, said = koinon(*asked)
    assert status == 3
    assert "tools/setup.sh flower" in said
    status, _, said = koinon(*asked, "--rebuild", "1")
    assert status == 2
    assert "repeats what was taught" in said


def test_a_taught_model_is_written_in_fixed_point_and_compared(koinon, own_table, tmp_path):
    found = recipe()
    together = simulation.train_together(found, [table(60, owner) for owner in range(3)])
    TrainedModel(found, together.scaling, together.vector).save(tmp_path / "model.npz")
    arguments = ("exact", tmp_path / "model.npz", tmp_path / "exact.npz", "--rows", own_table)
    status, told, _ = koinon(*arguments, "--json")
    assert status == 0
    assert told["rows"] == 400
    assert told["largest_difference"] < 1e-3
    assert fixed_point.load(tmp_path / "exact.npz").inputs.features == COLUMNS
    _, said, _ = koinon(*arguments)
    assert "On 400 rows its probabilities differ by at most" in said
