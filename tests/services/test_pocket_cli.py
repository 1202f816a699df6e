# SPDX-License-Identifier: Apache-2.0
"""``koinon coins``: who has none is given some, where they are worth nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from koinon.chain.keys import Key
from koinon.cli import main

STRANGER = Key.generate().address


@pytest.fixture
def run(network, devnet, tmp_path, monkeypatch, capsys):
    network.save(tmp_path / "network.json")
    monkeypatch.setenv("KOINON_HOME", str(tmp_path))
    monkeypatch.setenv("KOINON_RPC_URL", devnet.rpc_url)

    def command(*words, status=0):
        assert main(["coins", *words, "--json"]) == status
        said = capsys.readouterr()
        return json.loads(said.err if status else said.out)

    return command


def test_the_operator_a_key_and_an_address_are_given_coins(run, chain):
    mine = run("--amount", "7")
    assert (mine["given"], mine["balance"]) == ("7000000", "7000000")
    assert run("auditor", "--amount", "0.5")["balance"] == "500000"
    before = chain.coin.call("balanceOf", STRANGER)
    assert run(STRANGER)["account"] == STRANGER
    assert chain.coin.call("balanceOf", STRANGER) == before + 100_000_000
    assert chain.balance(STRANGER) > 0


def test_no_more_is_given_at_once_than_the_coin_mints(run, chain):
    assert int(run("--amount", "2000000")["given"]) == chain.coin.call("mintLimit")


def test_an_amount_that_is_none_is_refused(run):
    assert run("--amount", "many", status=2)["code"].startswith("service.")


def test_where_money_is_real_none_are_given(run, network, tmp_path):
    replace(network, test_money=False).save(tmp_path / "network.json")
    assert run(status=3)["code"] == "setup.no_coins"
