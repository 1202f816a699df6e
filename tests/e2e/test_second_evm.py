# SPDX-License-Identifier: Apache-2.0
"""Koinon on an EVM that is not anvil: a hardhat node, from the first contract to the last unit withdrawn."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from koinon.chain import testnode
from koinon.chain.child import bound
from koinon.chain.devnet import free_port
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc
from koinon.errors import NodeUnavailable
from koinon.node import Node
from koinon.settings import Settings

pytestmark = pytest.mark.e2e

SCRIPT = Path(__file__).with_name("second_evm.mjs")
CALLS = 20
PRICE = 1000


@pytest.fixture(scope="module")
def hardhat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a hardhat node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed.")
    folder, port = tmp_path_factory.mktemp("hardhat"), free_port()
    (folder / "package.json").write_text('{"type": "module"}')
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(bound([node, str(SCRIPT), str(port), str(folder)]), stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        with Rpc(url) as rpc:
            while True:
                try:
                    rpc.call("eth_chainId")
                    break
                except NodeUnavailable:
                    assert child.poll() is None, (folder / "log").read_text()
        yield url
    finally:
        child.kill()
        child.wait()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def koinon(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("KOINON_")}
    return subprocess.run(
        [sys.executable, "-m", "koinon", *arguments, "--json"],
        env={**environment, "KOINON_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.fixture(scope="module")
def deployed(home: Path, hardhat: str):
    done = koinon(home, "network", "deploy", hardhat, "--name", "Second")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_same_contracts_stand_at_the_same_addresses_as_on_anvil(deployed, network, home, hardhat):
    assert deployed["contracts"] == dict(network.contracts)
    assert deployed["test_money"] is True
    codes = Network.load(home / "network.json").code_hashes
    assert codes["Channels"] == network.code_hashes["Channels"]
    with Rpc(hardhat) as rpc:
        assert testnode.dialect(rpc) == "hardhat"


def test_deploying_again_sends_nothing_and_everything_verifies(deployed, home, hardhat):
    with Rpc(hardhat) as rpc:
        before = rpc.call("eth_blockNumber")
        again = json.loads(koinon(home, "network", "deploy", hardhat).stdout)
        assert rpc.call("eth_blockNumber") == before
    assert again["deployed"] == []
    assert again["contracts"] == deployed["contracts"]
    verified = koinon(home, "network", "verify")
    assert verified.returncode == 0, verified.stdout


def test_the_tour_passes_and_its_ledger_is_exact(deployed, home):
    done = koinon(home, "tour", "--calls", str(CALLS))
    assert done.returncode == 0, done.stderr
    ledger = json.loads(done.stdout)
    assert ledger["conserved"] is True
    assert ledger["paid"] == CALLS * PRICE
    assert sum(party["share"] for party in ledger["parties"]) == 10**9
    with Node.open(Settings.load({}, home=home)) as node:
        coin, till = node.chain.coin, node.chain.contract("Till", ledger["model_till"])
        earned = till.call("released", coin.address) + coin.call("balanceOf", till.address)
        assert earned == CALLS * PRICE + ledger["lent"]["fee"]
        for party in ledger["parties"]:
            of_the_loan = ledger["lent"]["received"].get(party["address"], 0)
            assert coin.call("balanceOf", party["address"]) == party["withdrawn"] + of_the_loan


def test_a_development_node_of_this_kind_gives_eth_away(deployed, home):
    with Node.open(Settings.load({}, home=home)) as node:
        assert not node.read_only
        stranger = "0x" + "5a" * 20
        node.fund(stranger)
        assert node.chain.balance(stranger) > 0
