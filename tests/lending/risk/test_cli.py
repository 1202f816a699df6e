# SPDX-License-Identifier: Apache-2.0
"""``koinon lending risk`` and ``replay`` as people and programs run them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from koinon.chain import artifacts
from koinon.chain.contract import Contract
from koinon.errors import BadInput
from koinon.lending.risk.book import UNSCORED, Book, Venue
from koinon.lending.risk.cli import RISK
from koinon.lending.risk.opened import OpenedStage
from koinon.lending.risk.reading import read_pool, read_pools
from koinon.lending.risk.scenario import Scenario
from koinon.lending.risk.stage import person
from koinon.markets.history.decoding import Decoder
from koinon.markets.history.facts import Facts, MarketFacts, read_market
from koinon.settings import Settings
from koinon.terminal import Session, Terminal

RISK_COMMAND, REPLAY_COMMAND = RISK
POSITIONS = [
    {"account": f"borrower {at}", "collateral": 1.0 + at, "debt": 1_350.0 * (1 + at), "lltv": 0.8, "pd": 0.05}
    for at in range(6)
]
DOCUMENT: dict[str, Any] = {
    "name": "a small pool",
    "evidence": "made up",
    "positions": POSITIONS,
    "venue": {"base": 60, "quote": 120_000, "gas": 2},
    "junior": 3_000,
    "senior": 30_000,
    "tiers": [{"pd": 0.02, "lltv": 0.8}, {"pd": 1.0, "lltv": 0.5}],
    "network": {
        "pools": [
            {
                "name": "pool",
                "asset": "ETH",
                "positions": POSITIONS,
                "idle": 100,
                "depositors": {"vault": 28_000},
            }
        ],
        "holders": [{"name": "vault", "cash": 500, "owes_outside": 28_000}],
        "prices": {"ETH": 2_000},
        "depth": {"ETH": 60},
    },
}


@pytest.fixture
def run(tmp_path):
    """A command's answer, as JSON or (``people=True``) as text."""

    def call(command, *arguments: str, people: bool = False) -> Any:
        out = io.StringIO()
        terminal = Terminal(json_output=not people, stdout=out, stderr=io.StringIO())
        session = Session(Settings.load({}, home=tmp_path), terminal)
        command.main(list(arguments), standalone_mode=False, obj=session)
        return out.getvalue() if people else json.loads(out.getvalue())

    return call


@pytest.fixture
def described(tmp_path: Path) -> Path:
    path = tmp_path / "pool.json"
    path.write_text(json.dumps(DOCUMENT))
    return path


def test_the_report_says_what_can_be_lost_and_on_what_it_rests(run, described):
    found = run(RISK_COMMAND, str(described), "--runs", "100", "--deviation", "0.08")
    assert (found["evidence"], found["runs"]) == ("made up", 100)
    assert "simulated" in found["prices"]
    assert found["book"]["loans"] == 6
    assert found["credit"]["expected_loss"] == pytest.approx(0.05 * 0.4 * found["book"]["debt"])
    var = found["market"]["value_at_risk"]
    assert var["low"] <= var["value"] <= var["high"]
    borne = found["market"]["value_at_risk_borne_by"]
    assert sum(borne.values()) == pytest.approx(var["value"], abs=1e-5)
    with_scores = found["market_with_scores"]
    assert with_scores["value_at_risk"]["value"] <= var["value"]
    assert found["contagion"]["falls"][-1]["before"]["failed"]
    text = run(RISK_COMMAND, str(described), "--runs", "50", people=True)
    assert "VaR 95 %" in text
    assert "with scores" in text
    assert "If one fails" in text


def test_a_table_needs_to_know_where_collateral_is_sold(run, tmp_path):
    path = tmp_path / "positions.csv"
    path.write_text("account,collateral,debt,lltv\na,10,15000,0.8\n")
    found = run(RISK_COMMAND, str(path), "--reserves", "100:200000", "--runs", "20")
    assert found["book"]["unsound"] == 0
    assert found["credit"] is None, "nobody's PD is known"
    for arguments in ((str(path),), (str(path), "--reserves", "many"), ("nowhere",)):
        with pytest.raises(BadInput):
            run(RISK_COMMAND, *arguments)


def test_real_returns_can_be_resampled(run, described, tmp_path):
    returns = tmp_path / "returns.txt"
    returns.write_text("\n".join(map(str, np.random.default_rng(0).normal(0, 0.05, 200))))
    found = run(RISK_COMMAND, str(described), "--returns", str(returns), "--runs", "30")
    assert found["prices"] == "resampled from 200 returns in returns.txt"
    returns.write_text("up\n")
    with pytest.raises(BadInput):
        run(RISK_COMMAND, str(described), "--returns", str(returns))


def test_the_worst_runs_are_exported_and_replayed(run, described, tmp_path):
    folder = tmp_path / "worst"
    arguments = (
        "--runs",
        "60",
        "--steps",
        "4",
        "--deviation",
        "0.15",
        "--worst",
        "2",
        "--export",
        str(folder),
    )
    found = run(RISK_COMMAND, str(described), *arguments)
    assert found["exported"] == [str(folder / f"scenario-0{number}.json") for number in (1, 2)]
    replayed = run(REPLAY_COMMAND, *found["exported"])
    assert len(replayed) == 2
    for each in replayed:
        assert max(abs(value) for value in each["differences"].values()) < 0.02
    assert "realised on the real contracts" in run(REPLAY_COMMAND, found["exported"][0], people=True)


@pytest.mark.parametrize(
    "content", ["{}", "[]", "no json", '{"positions": [], "venue": {"base": 1, "quote": 1}}']
)
def test_what_is_no_book_is_refused(run, tmp_path, content):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(BadInput):
        run(RISK_COMMAND, str(path))


class BenchRpc:
    """As much of a node as reading takes, over a chain in memory."""

    def __init__(self, bench: Any) -> None:
        self.bench, self.url = bench, "http://127.0.0.1:1"

    def call(self, method: str, *parameters: Any) -> Any:
        if method == "eth_blockNumber":
            return hex(self.bench.block_number)
        if method == "eth_getLogs":
            wanted, topics = parameters[0]["address"].lower(), parameters[0]["topics"]
            logs = (log.rpc() for log in self.bench.logs)
            return [log for log in logs if log["address"].lower() == wanted and log["topics"][0] == topics[0]]
        if method == "eth_getCode":
            return "0x" + self.bench.code(parameters[0]).hex()
        assert method == "eth_call"
        call = parameters[0]
        return "0x" + self.bench.view(call["to"], bytes.fromhex(call["data"][2:])).hex()

    def batch(self, requests, *, raise_errors: bool = True) -> list[Any]:
        return [self.call(method, *parameters) for method, parameters in requests]


def staged() -> tuple[OpenedStage, Book, Any]:
    book = Book(
        np.array([5.0, 9.0, 3.0]),
        np.array([7_000.0, 9_000.0, 0.0]),
        np.array([0.8, 0.7, 0.8]),
        np.full(3, UNSCORED),
    )
    stage = OpenedStage(Scenario.of("a pool", book, Venue(100, 200_000, min_debt=1), np.zeros(1)))
    return stage, book, BenchRpc(stage.bench)


def test_a_pool_on_the_chain_is_read_as_it_stands():
    stage, book, rpc = staged()
    chain: Any = SimpleNamespace(
        rpc=rpc, contract=lambda name, address: Contract(rpc, address, artifacts.load(name))
    )
    found = read_pool(chain, stage.pool.address)
    assert found.book.owners == stage.borrowers[:2]
    np.testing.assert_allclose(found.book.debt, book.debt[:2])
    np.testing.assert_allclose(found.book.collateral, book.collateral[:2])
    assert found.book.lltv.tolist() == [0.8, 0.7]
    assert (found.venue.base, found.venue.quote) == (100, 200_000)
    assert found.junior == pytest.approx(4_000, abs=1)
    assert "simulated prices" in found.evidence


def test_pools_that_share_collateral_are_one_network():
    stage, _, rpc = staged()
    chain: Any = SimpleNamespace(
        rpc=rpc, contract=lambda name, address: Contract(rpc, address, artifacts.load(name))
    )
    again = stage.pool.address
    with pytest.raises(BadInput, match="name of its own"):
        read_pools(chain, [again, again])
    assert read_pools(chain, [again]).network is None
    terms = [stage.bench.ask(stage.pool, name) for name in ("market", "tiers")]
    second = stage.bench.deploy("CreditPool", *terms, salt=b"\1" * 32)
    found = read_pools(chain, [again, second.address]).network
    assert found is not None
    first, other = found.pools
    assert first.depositors == {person("lender"): pytest.approx(12_000, abs=1)}
    assert first.idle == pytest.approx(0, abs=1)
    assert (first.asset, len(other.book), dict(other.depositors)) == (stage.collateral.address, 0, {})
    assert found.prices == {first.asset: 2_000}
    assert found.depth == {first.asset: 100}


def test_our_own_pools_events_are_read_as_rows():
    stage, _, rpc = staged()
    facts = Facts()
    contracts = {
        stage.pool.address: "koinon-pool",
        stage.market.address: "koinon-pair",
        stage.feed.address: "koinon-feed",
    }
    for address, protocol in contracts.items():
        facts.markets[address] = read_market(rpc, protocol, address)
    tokens = (stage.money.address, stage.collateral.address)
    assert facts.markets[stage.pool.address] == MarketFacts.of_tiers(*tokens, stage.lltvs)
    found = Decoder(contracts, facts).decode([log.rpc() for log in stage.bench.logs])
    assert found.refused == {}
    told = [(row.kind, row.account, row.asset, row.amount) for row in found.rows]
    first = stage.borrowers[0]
    assert ("deposit_collateral", first, stage.collateral.address, 5 * 10**18) in told
    assert ("borrow", first, stage.money.address, 7_000 * 10**6) in told
    assert {"supply", "reserves", "price"} <= {row.kind for row in found.rows}
