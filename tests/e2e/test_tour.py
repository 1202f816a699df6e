# SPDX-License-Identifier: Apache-2.0
"""The tour as a newcomer runs it: one command, many processes, a ledger that adds up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from koinon.chain.handle import Chain
from koinon.chain.network import Network
from koinon.lending.api import Lending
from koinon.lending.pool_state import Borne
from koinon.lending.scoring.serving import Scorer
from koinon.node import Node
from koinon.settings import Settings

pytestmark = pytest.mark.e2e

CALLS = 300
PRICE = 1000


def tour(home: Path, anvil: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("KOINON_")}
    environment |= {"KOINON_HOME": str(home), "KOINON_ANVIL": str(anvil)}
    return subprocess.run(
        [sys.executable, "-m", "koinon", "tour", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def first(home: Path, anvil_path: Path):
    done = tour(home, anvil_path, "--json", "--calls", str(CALLS))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_answers_with_one_json_object_that_has_everything(first):
    promised = {
        "alone", "together", "pooled", "calls", "paid", "parties", "conserved", "stages",
        "rpc_url", "contracts", "lent",
    }  # fmt: skip
    assert promised <= first.keys()
    assert set(first["pooled"]) == {"auc", "epochs"}
    for party in first["parties"]:
        assert {"name", "role", "address", "share", "earned", "withdrawn"} <= party.keys()
        assert all(isinstance(party[field], int) for field in ("share", "earned", "withdrawn"))


def test_together_beats_alone_with_certainty_and_comes_close_to_pooled(first):
    alone = list(first["alone"].values())
    assert len(alone) == 5
    assert first["together"] - sum(alone) / 5 >= 0.02
    assert first["gain"]["interval"][0] > 0
    assert first["together"] >= max(alone)
    assert first["pooled"]["auc"] - first["together"] <= 0.015


def test_every_unit_is_accounted_for(first):
    assert first["calls"] == CALLS
    assert first["paid"] == CALLS * PRICE
    assert first["conserved"] is True
    withdrawn = sum(party["withdrawn"] for party in first["parties"])
    assert first["paid"] == withdrawn + first["waiting"]
    assert sum(party["share"] for party in first["parties"]) == 10**9
    lenders = [party for party in first["parties"] if "customers" in party["role"]]
    assert len(lenders) == 5
    assert all(lender["withdrawn"] > 0 for lender in lenders)
    for party in lenders:
        assert party["earned"] == first["paid"] * party["share"] // 10**9


def test_the_chain_says_the_same_when_somebody_else_reads_it(first, home, anvil_path):
    settings = Settings.load({"KOINON_ANVIL": str(anvil_path)}, home=home)
    with Node.open(settings) as node:
        coin, till = node.chain.coin, node.chain.contract("Till", first["model_till"])
        released = till.call("released", coin.address)
        assert released + coin.call("balanceOf", first["model_till"]) == first["paid"] + first["lent"]["fee"]
        of_interest = first["lent"]["received"]
        for party in first["parties"]:
            got = party["withdrawn"] + of_interest.get(party["address"], 0)
            assert coin.call("balanceOf", party["address"]) == got


def test_its_points_decide_a_loan_whose_loss_and_fee_add_up(first, home, anvil_path):
    lent = first["lent"]
    assert (lent["signed"], lent["issuers"]) == (2, 3)
    assert abs(lent["points_auc"] - lent["model_auc"]) < 0.03
    assert 1 <= len(lent["reasons"]) <= 4
    assert lent["sold_below"] > lent["price_after"]
    assert lent["bonus_bps"] >= 300
    assert lent["from_junior"] >= 2_500 * 10**6  # all it put in, and what that had earned
    assert lent["from_senior"] > 0
    assert lent["bad_debt"] == lent["from_junior"] + lent["from_senior"]
    lenders = [party["address"] for party in first["parties"] if party["share"]]
    assert lent["fee"] > 0
    assert set(lent["received"]) == set(lenders)
    assert sum(lent["received"].values()) + lent["waiting"] == lent["fee"]
    settings = Settings.load({"KOINON_ANVIL": str(anvil_path)}, home=home)
    with Node.open(settings) as node:
        state = Lending.of(node).pool(lent["pool"])
        assert state.terms.work_id == first["model_work"]
        assert state.lost == Borne(lent["bad_debt"], lent["from_junior"], lent["from_senior"], 0)
        assert node.chain.coin.call("balanceOf", lent["pool"]) == state.books.cash == lent["cash"]
        assert Lending.of(node).position(lent["pool"], lent["wallet"]).debt == 0


def test_issuers_and_offer_are_left_for_whoever_wants_to_try_again(first, home):
    left = home / "tour" / "finance"
    told, offer = (json.loads((left / name).read_bytes()) for name in ("told.json", "offer.json"))
    answer = Scorer.open(left / "scorecard.json").answer(told)
    assert (answer.points, answer.tier) == (first["lent"]["points"], first["lent"]["tier"])
    assert offer["offer"]["borrower"] == first["lent"]["wallet"]


def test_a_second_tour_continues_on_the_same_chain(first, home, anvil_path):
    done = tour(home, anvil_path, "--json", "--calls", "50")
    assert done.returncode == 0, done.stderr
    second = json.loads(done.stdout)
    assert second["conserved"] is True
    assert second["model_work"] > first["model_work"]
    assert second["paid"] == 50 * PRICE
    assert [party["address"] for party in second["parties"]] == [
        party["address"] for party in first["parties"]
    ]
    assert second["contracts"] == first["contracts"]
    assert second["lent"]["conserved"] is True
    assert second["lent"]["pool"] != first["lent"]["pool"]
    assert second["lent"]["wallet"] == first["lent"]["wallet"]


def test_a_tour_without_anvil_says_what_to_do(tmp_path):
    done = tour(tmp_path / "home", tmp_path / "no-anvil")
    assert done.returncode == 3
    assert "anvil" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_secret_of_any_party_is_in_a_log(first, home, anvil_path):
    passwords = [path.read_text().strip() for path in home.rglob("keys/password")]
    assert len(passwords) >= 9
    logs = [path.read_text(errors="replace") for path in home.rglob("*.log")]
    assert logs
    assert not any(password in log for password in passwords for log in logs)


def test_the_network_file_opens_the_same_network(first, home, anvil_path):
    network = Network.load(home / "network.json")
    assert dict(network.contracts) == first["contracts"]
    with (
        Node.open(Settings.load({"KOINON_ANVIL": str(anvil_path)}, home=home)) as node,
        Chain.open(network, rpc_url=node.chain.rpc.url) as chain,
    ):
        assert chain.contract("Federation").call("total") >= 1
