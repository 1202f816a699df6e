# SPDX-License-Identifier: Apache-2.0
"""``koinon network``: on a bare chain, cut off, with real money, and on one that was never funded."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from koinon.chain import discovery, spending, testnode
from koinon.chain.deploy import deploy, find
from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.cli import main
from koinon.errors import PaymentError, SetupError, TransactionFailed
from koinon.node import OPERATOR, Node
from koinon.settings import Settings
from tests.test_node import run_anvil

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    for name in ("KOINON_PASSWORD", "KOINON_RPC_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KOINON_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def chain_url(tmp_path_factory, anvil_path):
    """A development node with five empty blocks before anything happens."""
    with run_anvil(anvil_path, tmp_path_factory.mktemp("anvil") / "log") as url:
        with Rpc(url) as rpc:
            testnode.mine(rpc, 5)
        yield url


@pytest.fixture
def rpc(chain_url):
    with Rpc(chain_url) as opened:
        yield opened


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def koinon(capsys):
    """Runs a command; its exit status and its answer or error."""

    def run(*arguments: str):
        status = main([*arguments, "--json"])
        said = capsys.readouterr()
        return status, json.loads(said.out or said.err.strip().splitlines()[-1])

    return run


class CutOff(Sender):
    """Ends after some transactions, as a process that is killed between two does."""

    left = 3

    def send(self, call):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().send(call)


class Doubtful(Sender):
    """Every transaction is mined, and said to have failed: somebody else was faster by the same code."""

    def send(self, call):
        super().send(call)
        raise TransactionFailed("It was refused.", code="chain.reverted")


def test_deploying_goes_on_where_it_was_cut_off_and_then_sends_nothing(chain_url, rpc, home, koinon):
    payer = Key.generate()
    testnode.give(rpc, payer.address, 10**18)
    with pytest.raises(KeyboardInterrupt):
        deploy(rpc, CutOff(rpc, payer, chain_id=31337))
    assert find(rpc) is None

    status, made = koinon("network", "deploy", chain_url, "--name", "Harbour")
    assert status == 0
    assert 0 < len(made["deployed"]) < len(made["contracts"])
    assert made["in_use"] is True
    assert made["spent_wei"] > 0
    written = (home / "network.json").read_bytes()

    before = rpc.call("eth_blockNumber")
    status, again = koinon("network", "deploy", chain_url)
    assert (status, again["deployed"], again["spent_wei"]) == (0, [], 0)
    assert rpc.call("eth_blockNumber") == before
    assert (home / "network.json").read_bytes() == written

    network = find(rpc)
    assert network is not None
    assert network.contracts == made["contracts"]
    start, works = network.start_block, network.contracts
    assert start >= 5
    assert start == made["start_block"]
    earlier = rpc.batch(
        [
            ("eth_getCode", [address, hex(start)])
            for name, address in works.items()
            if name not in ("Channels", "ERC3009Collector")
        ]
    )
    assert set(earlier) == {"0x"}, "nothing of ours is earlier"
    assert discovery.first_block(rpc, list(works.values())) <= start


def test_a_contract_that_stands_by_now_is_fine_however_it_came_there(tmp_path, anvil_path):
    with run_anvil(anvil_path, tmp_path / "log") as url, Rpc(url) as rpc:
        payer = Key.generate()
        testnode.give(rpc, payer.address, 10**18)
        deploy(rpc, Doubtful(rpc, payer, chain_id=31337)).verify(rpc)


def test_a_network_is_exported_joined_listed_and_verified(
    chain_url, rpc, home, koinon, tmp_path, monkeypatch
):
    assert koinon("network", "export", str(tmp_path / "early.json"))[0] == 2
    koinon("network", "deploy", chain_url, "--name", "Harbour")
    status, shared = koinon(
        "network", "export", str(tmp_path / "file.json"), "--peer", "http://127.0.0.1:8402"
    )
    assert status == 0
    assert shared["peers"] == ["http://127.0.0.1:8402"]
    assert shared["rpc_urls"] == [chain_url]
    assert shared["signer"] == Keyring(home / "keys", environment={}).open(OPERATOR).address
    assert (
        koinon("network", "export", str(tmp_path / "bad.json"), "--peer", "nonsense")[1]["code"]
        == "network.url"
    )

    monkeypatch.setenv("KOINON_HOME", str(tmp_path / "other"))
    assert koinon("network", "list") == (0, [])
    status, joined = koinon("network", "join", str(tmp_path / "file.json"))
    assert (status, joined["name"]) == (0, "Harbour")
    assert [each["in_use"] for each in koinon("network", "list")[1]] == [True]
    assert koinon("network", "show")[1]["contracts"] == shared["contracts"]
    assert koinon("network", "verify")[0] == 0
    assert koinon("network", "verify", str(tmp_path / "file.json"))[0] == 0
    assert koinon("network", "cap", "5")[1]["code"] == "spending.test_money"
    wrong = replace(Network.load(tmp_path / "other" / "network.json"), genesis_hash="0x" + "11" * 32)
    wrong.save(tmp_path / "other" / "network.json")
    status, report = koinon("network", "verify")
    assert (status, report["fine"]) == (4, False)


def test_real_money_is_spent_only_when_somebody_says_so_and_is_counted(
    chain_url, rpc, home, koinon, tmp_path, monkeypatch
):
    coin = koinon("network", "deploy", chain_url)[1]["contracts"]["Coin"]
    monkeypatch.setenv("KOINON_HOME", str(tmp_path / "real"))
    command = ("network", "deploy", chain_url, "--real-money")
    assert koinon(*command)[1]["code"] == "chain.coin"
    before = rpc.call("eth_blockNumber")
    status, asked = koinon(*command, "--coin", coin)
    assert (status, asked["code"]) == (3, "network.unconfirmed")
    operator = Keyring(tmp_path / "real" / "keys", environment={}).open(OPERATOR)
    rpc.call("anvil_setBalance", operator.address, "0x1")
    assert koinon(*command, "--coin", coin, "--yes")[1]["code"] == "network.cannot_pay"
    assert rpc.call("eth_blockNumber") == before, "nothing was sent"
    assert not (tmp_path / "real" / "network.json").exists()

    rpc.call("anvil_setBalance", operator.address, hex(10**18))
    status, made = koinon(*command, "--coin", coin, "--yes", "--name", "Real")
    assert (status, made["test_money"]) == (0, False)
    assert made["contracts"]["Coin"] == coin
    assert koinon("network", "cap")[1] == {
        "network": "Real", "cap": None, "spent": {"coins": 0, "wei": made["spent_wei"]}
    }  # fmt: skip
    assert koinon("network", "verify")[0] == 0

    settings = Settings.load({}, home=tmp_path / "real")
    with Node.open(settings) as node:
        mint = node.chain.coin.transaction("mint", operator.address, 5_000_000)
        with pytest.raises(PaymentError) as caught:
            node.chain.sender(operator).send(mint)
        assert caught.value.code == "spending.no_cap"
    assert koinon("network", "cap", "1")[1]["code"] == "spending.parts"
    assert koinon("network", "cap", "much", "--gas", "1")[1]["code"] == "spending.amount"
    status, told = koinon("network", "cap", "2.5", "--gas", "0.2")
    assert told["cap"] == {"coins": 2_500_000, "wei": 2 * 10**17}
    with Node.open(replace(settings, spending_cap="3")) as node:
        assert node.chain.purse is not None
        assert node.chain.purse.cap == spending.Cap(3_000_000, 2 * 10**17), "the setting is recorded"
        node.chain.sender(operator).send(mint)
        with pytest.raises(PaymentError):
            node.chain.sender(operator).send(node.chain.coin.transaction("transfer", coin, 3_000_001))


def test_a_chain_with_real_money_is_not_taken_for_a_test_network(chain_url, koinon, monkeypatch):
    monkeypatch.setattr("koinon.networks.cli.TEST_CHAINS", frozenset())
    monkeypatch.setattr("koinon.chain.testnode.dialect", lambda _rpc: None)
    assert koinon("network", "deploy", chain_url)[1]["code"] == "chain.real_money"


def test_a_development_node_that_others_can_reach_gets_nothing(chain_url, koinon, monkeypatch):
    monkeypatch.setattr("koinon.chain.testnode.is_loopback", lambda _url: False)
    assert koinon("network", "deploy", chain_url)[1]["code"] == "chain.test_node_remote"


def test_a_network_one_has_not_funded_is_read_and_nothing_is_put_there(
    chain_url, rpc, home, koinon, tmp_path, monkeypatch
):
    made = koinon("network", "deploy", chain_url)[1]
    before = rpc.call("eth_blockNumber")
    monkeypatch.setattr("koinon.chain.testnode.dialect", lambda _rpc: None)  # a test network like any other
    settings = replace(Settings.load({}, home=tmp_path / "stranger"), rpc_url=chain_url)
    with Node.open(settings) as node:
        assert node.read_only
        assert node.chain.network.contracts == made["contracts"]
        assert node.chain.contract("Works").call("total") >= 0
        with pytest.raises(SetupError) as caught:
            node.chain.sender(node.operator).send(
                node.chain.coin.transaction("mint", node.operator.address, 1)
            )
        assert caught.value.code == "node.read_only"
        assert node.operator.address in caught.value.hint
        assert rpc.call("eth_blockNumber") == before
        rpc.call("anvil_setBalance", node.operator.address, hex(10**18))
        assert not node.read_only, "as soon as it has ETH it can send"
        node.chain.sender(node.operator).send(node.chain.coin.transaction("mint", node.operator.address, 1))
