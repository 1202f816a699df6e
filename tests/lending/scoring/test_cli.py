# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from click.testing import CliRunner

from koinon.cli import main
from koinon.lending.cli import group
from koinon.lending.scoring.frame import Categorical, of
from koinon.lending.scoring.scorecard import Scorecard
from tests.lending.scoring.made_up import made_up


def table(folder, frame):
    columns = {
        name: column.texts.tolist() if isinstance(column, Categorical) else of(column).tolist()
        for name, column in frame.columns.items()
    }
    columns |= {name: values.tolist() for name, values in frame.groups.items()}
    columns["bad"] = frame.labels.tolist()
    path = folder / "loans.csv"
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def asked(*arguments):
        status = main(["--home", str(tmp_path / "home"), "lending", *map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return asked


def test_a_table_becomes_a_scorecard_that_explains_itself(run, tmp_path):
    path = table(tmp_path, made_up(500))
    options = ("--binner", "tree", "--actionable", "debt=down", "--monotone", "debt=up", "--tiers", "3")
    status, out, _ = run(
        "train", path, "--label", "bad", "--evidence", "simulated", "--out", "made", *options, "--json"
    )
    assert status == 0
    answer = json.loads(out)
    card = Scorecard.load(tmp_path / "made" / "scorecard.json")
    assert answer["scorecard"] == card.digest
    assert answer["report"]["evidence"] == "simulated"
    assert "simulated" in (tmp_path / "made" / "card.md").read_text()
    assert "def score(" in (tmp_path / "made" / "score.py").read_text()
    status, out, _ = run("explain", "made/scorecard.json", path, "--label", "bad", "--row", 3)
    assert status == 0
    assert "points, tier" in out
    status, _, error = run("explain", "made/scorecard.json", path, "--label", "bad", "--row", 501)
    assert status == 2
    assert "rows 1 to 500" in error


def test_groups_of_ones_own_table_are_compared(run, tmp_path):
    path = table(tmp_path, made_up(600, groups=True))
    status, out, _ = run("fairness", path, "--label", "bad", "--group", "group", "--binner", "tree")
    assert status == 0
    assert "four fifths" in out
    assert "postcode" in out
    assert "exponentiated gradient" in out


def test_known_sets_are_listed_and_a_report_names_its_evidence(run, tmp_path):
    status, out, _ = run("datasets", "--folder", tmp_path, "--json")
    assert status == 0
    assert {row["name"] for row in json.loads(out)} >= {"givemesomecredit", "hmda"}
    assert not any(row["here"] for row in json.loads(out))
    status, out, _ = run("evaluate", "--folder", tmp_path, "--json")
    assert (status, json.loads(out)) == (0, [])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("evaluate", "elliptic"), "no data set"),
        (("evaluate", "--csv", "x.csv"), "name that one"),
        (("evaluate", "hmda", "--tiers", "many"), "neither a number of tiers"),
        (("evaluate", "hmda", "--monotone", "debt=sideways"), "direction"),
        (("train", "none.csv", "--label", "y", "--evidence", "simulated"), "does not exist"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(run, arguments, sentence):
    status, _, error = run(*arguments)
    assert status == 2
    assert sentence in error


def test_the_evidence_must_be_said():
    answer = CliRunner().invoke(group, ["train", "x.csv", "--label", "y"])
    assert answer.exit_code == 2
    assert "--evidence" in answer.output
