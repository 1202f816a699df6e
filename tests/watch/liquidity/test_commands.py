# SPDX-License-Identifier: Apache-2.0
"""Liquidity at the command line: a series' tail, a vault, and the warnings."""

import csv
import json

import numpy as np
import pytest

from koinon.chain.address import checksum
from koinon.cli import main
from koinon.markets.history.files import write_rows
from koinon.markets.history.rows import EventRow
from koinon.watch.liquidity.flows import DAY_S
from koinon.watch.liquidity.simulated import pool

VAULT = checksum("0x" + "aa" * 20)
MONEY = "0x" + "11" * 20
OTHER = "0x" + "22" * 20


@pytest.fixture
def koinon(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KOINON_HOME", str(tmp_path))

    def run(*arguments, status=0):
        capsys.readouterr()
        assert main(["watch", "liquidity", *map(str, arguments)]) == status
        return capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A simulated pool's days as rows of a vault with three holders."""
    flows = pool(runs=False, days=150, seed=9).flows
    rows: list[EventRow] = []
    for day in range(len(flows)):
        for kind, amount in (
            ("vault_deposit", flows.deposited[day]),
            ("vault_withdraw", flows.withdrawn[day]),
        ):
            whose = f"0x{day % 3 + 1:040x}"
            place = (len(rows), 0, 0, day * DAY_S, "", "")
            rows.append(
                EventRow(*place, kind, "erc4626", VAULT, VAULT, whose, "", MONEY, int(amount), "", 0, "")
            )
    first = [
        EventRow(
            *(0, holder, 0, 0, "", "", "vault_deposit", "erc4626", VAULT, VAULT, f"0x{holder:040x}", ""),
            *(MONEY, 10**12, "", 0, ""),
        )
        for holder in (1, 2, 3)
    ]
    path = tmp_path_factory.mktemp("rows") / "vault.csv"
    write_rows(sorted([*first, *rows], key=lambda row: row.place), path)
    return path


def test_a_vault_is_measured_from_a_file_of_events(koinon, history, tmp_path):
    position = tmp_path / "position.json"
    position.write_text(
        json.dumps(
            {
                "asset": MONEY,
                "idle": "100000000000",
                "held": [{"token": OTHER, "amount": "900000000000"}],
                "pools": [{"tokens": [OTHER, MONEY], "reserves": ["50000000000000", "50000000000000"]}],
            }
        )
    )
    arguments = ("measure", history, "--contract", VAULT.lower(), "--position", position, "--top", 1)
    found = json.loads(koinon(*arguments, "--json").out)
    assert found["days"] == 150
    (sold,) = found["liquid"]["held"]
    assert found["liquid"]["total"] == 10**11 + sold["brings"]
    assert found["coverage"]["red"] == (found["coverage"]["ratio"] < 1)
    assert found["holders"]["number"] == 3
    assert found["forecast"]["judged"]
    shown = koinon(*arguments).out
    assert "can be paid out" in shown
    assert "If the largest of 3 holders leave at once" in shown
    assert "seasonal naive" in shown or "trees" in shown


def test_a_vault_with_nothing_at_hand_is_red(koinon, history):
    assert json.loads(koinon("measure", history, "--contract", VAULT, "--idle", 1, "--json").out)["red"]
    assert "too little" in koinon("measure", history, "--contract", VAULT, "--idle", 1).out


def test_what_is_at_hand_must_be_said_once(koinon, history, tmp_path):
    assert "Say what can be paid out" in koinon("measure", history, "--contract", VAULT, status=2).err
    wrong = tmp_path / "wrong.json"
    for text in ("{}", "[]", "nonsense", json.dumps({"asset": MONEY, "idle": 1.5})):
        wrong.write_text(text)
        told = koinon("measure", history, "--contract", VAULT, "--position", wrong, status=2).err
        assert "does not say what is held" in told


def test_a_file_of_prices_has_a_tail(koinon, tmp_path):
    path = tmp_path / "prices.csv"
    prices = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.02, 400)))
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["close"], *([price] for price in prices)])
    found = json.loads(koinon("tail", path, "--column", "close", "--window", 250, "--json").out)
    assert [(each["method"], each["level"]) for each in found["figures"]] == [
        *(("historical", 0.95), ("historical", 0.99), ("filtered", 0.95), ("filtered", 0.99))
    ]
    assert all(each["shortfall"] > each["value_at_risk"] > 0.02 for each in found["figures"])
    assert "Christoffersen" in koinon("tail", path, "--column", "close", "--window", 250).out
    assert "no column" in koinon("tail", path, status=2).err
    assert "not more than" in koinon("tail", path, "--column", "close", "--window", 399, status=2).err
    assert "above 0" in koinon("tail", _negative(tmp_path), status=2).err
    assert "Give a file" in koinon("tail", status=2).err


def test_real_returns_have_a_tail_that_filtering_tells_better(koinon):
    found = json.loads(koinon("tail", "--real", "AAPL", "--json").out)
    assert found["days"] > 4000
    p = {(each["method"], each["level"]): each["backtest"]["coverage"]["p"] for each in found["figures"]}
    assert p["filtered", 0.95] > p["historical", 0.95]
    assert "no series" in koinon("tail", "--real", "TULIP", status=2).err


def test_warnings_are_called_simulated_and_shown_beside_simple_watching(koinon):
    found = json.loads(koinon("warnings", "--pools", 3, "--simulated", "--json").out)
    assert list(found) == ["simulated"]
    assert "simulated" in found["simulated"]["data"]
    names = [each["name"] for each in found["simulated"]["signals"]]
    assert {"combined", "yesterday"} <= set(names)
    assert "By chance" in koinon("warnings", "--pools", 3, "--simulated").out


def _negative(folder):
    path = folder / "negative.csv"
    path.write_text("price\n1\n-1\n")
    return path
