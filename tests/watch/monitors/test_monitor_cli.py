# SPDX-License-Identifier: Apache-2.0
"""``koinon watch monitor`` and ``koinon watch alerts`` as people and programs run them."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest

from koinon.errors import BadInput
from koinon.markets.history.files import write_rows
from koinon.settings import Settings
from koinon.terminal import Session, Terminal
from koinon.watch.cli import group
from tests.markets.test_pairs import new_token
from tests.watch.monitors.stage import role
from tests.watch.monitors.test_telling import ROW


@pytest.fixture
def run(tmp_path):
    """Run a command: its document with ``--json``, what it says without."""

    def command(*arguments, as_json=True, node=None):
        out = io.StringIO()
        terminal = Terminal(json_output=as_json, stdout=out, stderr=io.StringIO())
        session = Session(Settings.load({}, home=tmp_path), terminal, opener=lambda _: nullcontext(node))
        group.main([str(each) for each in arguments], standalone_mode=False, obj=session)
        return json.loads(out.getvalue()) if as_json else out.getvalue()

    return command


@pytest.fixture
def file(tmp_path):
    path, contract = tmp_path / "rows.csv", role("treasury")
    taken = replace(ROW, contract=contract, market=contract, account=role("attacker"), counterparty="")
    write_rows([replace(ROW, block_number=4, kind="transfer"), taken], path)
    return path


def test_the_past_is_replayed_and_nothing_of_it_kept(run, file):
    found = run("monitor", "--replay", file)
    assert found["alerts"] == {"powers": 1}
    assert found["found"][0]["urgency"] == "act"
    assert role("attacker") in found["found"][0]["accounts"]
    said = run("monitor", "--replay", file, as_json=False)
    assert "2 rows in 2 transactions" in said
    assert "another owner" in said
    assert run("alerts")["alerts"] == []
    assert "There is no alert" in run("alerts", as_json=False)


def test_a_simulated_market_is_said_to_be_simulated(run):
    found = run("monitor", "--simulated", "calm", "--months", 0.02)
    assert "simulated" in found["source"]
    assert found["alerts_per_day"] == 0


@pytest.mark.parametrize("arguments", [(), ("--chain", "--simulated", "calm"), ("--replay", "x", "--chain")])
def test_one_source_is_named(run, arguments):
    with pytest.raises(BadInput, match="Give --replay"):
        run("monitor", *arguments)


def test_a_contract_is_named_with_its_protocol(run, file):
    with pytest.raises(BadInput, match="PROTOCOL=ADDRESS"):
        run("monitor", "--replay", file, "--contract", role("treasury"))
    with pytest.raises(BadInput, match="not a protocol"):
        run("monitor", "--replay", file, "--contract", f"magic={role('treasury')}")


def test_a_chain_is_followed_and_its_alerts_are_told_once(run, own_chain, own_account):
    """Much of a token is made two days after it began."""
    holder = own_account()
    token = new_token(own_chain, holder, "tNEW", 18)
    named = ("--contract", f"erc20={token.address}")
    node = SimpleNamespace(chain=own_chain, operator=holder)
    contract = own_chain.contract("Coin", token.address)
    assert run("monitor", "--chain", *named, node=node)["alerts"] == {}
    own_chain.rpc.call("evm_increaseTime", 2 * 86_400)
    own_chain.sender(holder).send(contract.transaction("mint", role("attacker"), 5 * 10**23))
    found = run("monitor", "--chain", *named, node=node)
    assert [each["monitor"] for each in found["found"]] == ["minting"]
    assert run("monitor", "--chain", *named, node=node)["found"] == [], "told already"
    told = run("alerts")
    assert told["alerts"][0]["evidence"][0]["accounts"][:2] == [token.address, role("attacker")]
    assert run("alerts")["alerts"] == []
    assert "minting" in run("alerts", "--all", as_json=False)
