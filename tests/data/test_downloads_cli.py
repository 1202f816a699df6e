# SPDX-License-Identifier: Apache-2.0
"""Downloads as sellers, buyers and keepers type them, on a chain whose clock moves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from koinon.cli import main
from koinon.data.delivery import ANSWER_S
from koinon.node import Node
from koinon.settings import Settings
from tests.data.keeper_support import KeeperProcess
from tests.data.market_support import COIN, POLICY, table

pytestmark = pytest.mark.e2e
TERMS = POLICY + '\n[download]\nprice = "3"\n'


class Shell:
    """One person's commands, in this process, in a data directory of their own."""

    def __init__(self, home, rpc_url, patch, captured):
        self.home, self.patch, self.captured = home, patch, captured
        self.environment = {"KOINON_HOME": str(home), "KOINON_RPC_URL": rpc_url, "KOINON_LANG": "en"}

    def __call__(self, *arguments):
        """What a command says; its error's code where it refuses."""
        for name, text in self.environment.items():
            self.patch.setenv(name, text)
        status = main(["data", *arguments, "--json"])
        said = self.captured.readouterr()
        return json.loads(said.out) if status == 0 else json.loads(said.err)["code"]

    def account(self):
        for name, text in self.environment.items():
            self.patch.setenv(name, text)
        with Node.open(Settings.load()) as node:
            return node.operator.address


@pytest.fixture
def people(tmp_path, own_chain, own_devnet, monkeypatch, capsys):
    """An owner, a buyer, and somebody who keeps; owner and buyer read one store."""
    shells = []
    for name in ("owner", "buyer", "keeper"):
        (tmp_path / name).mkdir()
        own_chain.network.save(tmp_path / name / "network.json")
        shells.append(Shell(tmp_path / name, own_devnet.rpc_url, monkeypatch, capsys))
    (tmp_path / "owner" / "blocks").mkdir()
    (tmp_path / "buyer" / "blocks").symlink_to(tmp_path / "owner" / "blocks")
    return shells


@pytest.fixture
def published(people, tmp_path):
    table().save(tmp_path / "loans.npz")
    (tmp_path / "policy.toml").write_text(TERMS)
    arguments = ("publish", str(tmp_path / "loans.npz"), str(tmp_path / "policy.toml"), "--label", "paid")
    return str(people[0](*arguments)["work_id"])


def give_coins(chain, account, coins):
    """Whoever can reach a development chain can mint its coin."""
    chain.rpc.call("anvil_impersonateAccount", account)
    data = "0x" + chain.coin.transaction("mint", account, coins * COIN).data.hex()
    chain.rpc.call("eth_sendTransaction", {"from": account, "to": chain.coin.address, "data": data})


def test_a_keeper_that_fails_costs_the_seller_and_not_the_buyer(people, published, own_chain, tmp_path):
    owner, buyer, keeper = people
    file = str(tmp_path / "loans.npz")
    honest = subprocess.Popen(
        [sys.executable, "-m", "koinon", "data", "keep", "--look", "0.2", "--json"],
        env={**os.environ, **keeper.environment},
        stdout=subprocess.PIPE,
    )
    own_chain.network.save(tmp_path / "network.json")
    silent = KeeperProcess(tmp_path / "silent", tmp_path / "network.json", "silent").start()
    try:
        assert honest.stdout is not None
        ready = json.loads(honest.stdout.readline())
        assert ready["event"] == "ready"
        give_coins(own_chain, owner.account(), 100)
        give_coins(own_chain, buyer.account(), 3)
        assert owner("promise", published, "--stake", "100", "--most", "2.5") == "data.not_sold"
        owner("seal", published, file, "--keeper", ready["url"], "--keeper", silent.ready["url"])
        promised = owner("promise", published, "--stake", "100", "--most", "2.5")
        assert promised["covered"] == 2.5 * COIN
        assert buyer("complain", published) == "data.no_paid_grant"
        grant_id = str(buyer("buy", published, "download", "--most", "3")["grant_id"])
        assert buyer("download", published, str(tmp_path / "bought")) == "data.too_few_shares"
        assert buyer("money-back", grant_id) == "data.no_complaint"
        made = buyer("complain", published)
        assert (str(made["grant_id"]), made["cover"]) == (grant_id, 2.5 * COIN)
        end = time.monotonic() + 90
        while buyer("complaint", grant_id)["answers"] < 1:
            assert time.monotonic() < end, "the keeper does not answer"
            time.sleep(0.3)
        assert buyer("complaint", grant_id)["state"] == "waiting"
        assert buyer("complaint", grant_id, "--out", str(tmp_path / "bought")) == "data.too_few_shares"
        assert buyer("money-back", grant_id) == "data.answers_due"
        own_chain.rpc.call("evm_increaseTime", ANSWER_S + 1)
        own_chain.rpc.call("evm_mine")
        assert buyer("complaint", grant_id)["state"] == "refundable"
        assert buyer("money-back", grant_id)["returned"] == 2.5 * COIN
        assert buyer("complaint", grant_id)["state"] == "closed"
    finally:
        honest.send_signal(signal.SIGTERM)
        said, _ = honest.communicate(timeout=30)
        silent.kill()
    assert honest.returncode == 0
    assert {"event": "answered", "grant_id": int(grant_id)} in map(json.loads, said.splitlines())


def test_two_strangers_exchange_a_file_for_money(people, published, own_chain, tmp_path):
    owner, buyer, _ = people
    file, hers, his = tmp_path / "loans.npz", tmp_path / "hers", tmp_path / "his"
    account = buyer.account()
    give_coins(own_chain, account, 3)
    assert owner("exchange", "prepare", published, str(file), account, str(hers)) == "data.not_exchanged"
    owner("exchange", "announce", published, str(file))
    assert owner("exchange", "prepare", published, str(file), account, str(hers))["price"] == 3 * COIN
    his.mkdir()
    for name in ("sale.json", "ciphertext", "leaves"):
        shutil.copy(hers / name, his / name)
    assert buyer("exchange", "lock", published, str(his), "--most", "2.99") == "data.price_rose"
    assert owner("exchange", "reveal", str(hers)) == {"state": "unknown"}
    assert buyer("exchange", "lock", published, str(his), "--most", "3") == {"state": "locked"}
    assert owner("exchange", "reveal", str(hers)) == {"state": "revealed"}
    assert buyer("exchange", "open", str(his), str(tmp_path / "bought")) == {"state": "completed"}
    assert (tmp_path / "bought").read_bytes() == file.read_bytes()
