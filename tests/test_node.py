# SPDX-License-Identifier: Apache-2.0
"""Opening a data directory: fresh, again, by several at once, on other chains, after kills; and refused."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from koinon.chain import anvil
from koinon.chain.devnet import free_port
from koinon.chain.handle import Chain
from koinon.chain.keyring import Keyring
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc
from koinon.errors import BadInput, KeyFault, NodeUnavailable, SetupError, WrongNetwork
from koinon.node import ALLOWANCE_WEI, OPERATOR, Node
from koinon.settings import Settings
from tests.ports import own_ports

pytestmark = pytest.mark.e2e

STRANGER = "0x" + "22" * 20


@pytest.fixture(autouse=True)
def _no_password(monkeypatch):
    monkeypatch.delenv("KOINON_PASSWORD", raising=False)


@pytest.fixture
def settings(tmp_path, anvil_path):
    return settings_for(tmp_path / "home", anvil_path)


@pytest.fixture
def plain_anvil(tmp_path, anvil_path):
    with run_anvil(anvil_path, tmp_path / "anvil.log") as url:
        yield url


@pytest.fixture
def session_network(network, devnet, tmp_path, anvil_path):
    """A data directory that was handed the session chain's description, as a party of a run is."""
    given = settings_for(tmp_path / "party", anvil_path, rpc_url=devnet.rpc_url)
    given.ensure_home()
    network.save(given.network)
    return given


def settings_for(home: Path, anvil_path: Path, **given: object) -> Settings:
    return replace(Settings.load({}, home=home), anvil=anvil_path, **given)  # type: ignore[arg-type]


@contextlib.contextmanager
def run_anvil(executable: Path, log_path: Path, *arguments: str) -> Iterator[str]:
    """A development chain that is not ours: the address of a plain anvil."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with log_path.open("wb") as log:
        child = anvil.spawn(executable, ["--port", str(port), "--quiet", *arguments], log)
    try:
        with Rpc(url) as rpc:
            until(lambda: answers(rpc) or child.poll() is not None)
        yield url
    finally:
        child.kill()
        child.wait()


@contextlib.contextmanager
def answering(**answers: object) -> Iterator[str]:
    """A node that only says what it is told to say: ``eth_chainId="0x1"``."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            batch = asked if isinstance(asked, list) else [asked]
            said = [
                {"jsonrpc": "2.0", "id": each["id"], "result": answers[each["method"]]}
                if each["method"] in answers
                else {
                    "jsonrpc": "2.0",
                    "id": each["id"],
                    "error": {"code": -32601, "message": "unknown method"},
                }
                for each in batch
            ]
            body = json.dumps(said if isinstance(asked, list) else said[0]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def until(condition):
    """Wait for something that must come; pytest's own time limit ends a test where it does not."""
    while not condition():
        threading.Event().wait(0.01)


def answers(rpc: Rpc) -> bool:
    try:
        rpc.call("eth_chainId")
    except NodeUnavailable:
        return False
    return True


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"


def mint(node: Node, amount: int) -> int:
    """New test coins for the operator; what it has."""
    coin, account = node.chain.coin, node.operator.address
    node.chain.sender(node.operator).send(coin.transaction("mint", account, amount))
    return int(coin.call("balanceOf", account))


# The development chain


def test_a_fresh_data_directory_gets_a_chain_with_contracts_and_an_operator_who_can_pay(settings):
    with Node.open(settings) as node:
        network = Network.load(settings.network)
        assert network == node.chain.network
        assert network.test_money
        network.verify(node.chain.rpc)
        assert {"Works", "Till", "Coin", "Channels", "Terms", "Bonds"} <= set(network.contracts)
        assert node.chain.balance(node.operator.address) == ALLOWANCE_WEI
        assert node.rpc_url.startswith("http://127.0.0.1:")
        assert mint(node, 5) == 5
        cid = node.store.put(b"kept")
        node.fund(STRANGER, node.operator.address)
        assert node.chain.balance(STRANGER) == ALLOWANCE_WEI
        assert node.chain.balance(node.operator.address) < ALLOWANCE_WEI
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700
    for private in (settings.network, settings.keys / "operator.json", settings.keys / "password"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600

    written = settings.network.stat().st_mtime_ns
    with Node.open(settings) as again:
        assert again.operator == node.operator
        assert again.chain.network == network
        assert settings.network.stat().st_mtime_ns == written
        assert mint(again, 2) == 7
        assert again.store.get(cid) == b"kept"
    with Rpc(network.rpc_url) as rpc:
        assert not answers(rpc), "the chain ends with who started it"


def test_processes_that_open_a_fresh_data_directory_at_once_share_one_chain_and_one_key(settings):
    program = (
        "import sys, pathlib\n"
        "from dataclasses import replace\n"
        "from koinon.node import Node\n"
        "from koinon.settings import Settings\n"
        "settings = Settings.load({}, home=pathlib.Path(sys.argv[1]))\n"
        "node = Node.open(replace(settings, anvil=pathlib.Path(sys.argv[2])))\n"
        "print(node.rpc_url, node.operator.address, node.chain.network.genesis_hash, flush=True)\n"
        "sys.stdin.read()\n"
        "node.close()\n"
    )
    command = [sys.executable, "-c", program, str(settings.home), str(settings.anvil)]
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                )
            )
            for _ in range(3)
        ]
        said = {child.stdout.readline() for child in started if child.stdout}
        assert len(said) == 1
        assert said.pop().startswith("http://127.0.0.1:")


def test_a_devnet_whose_folder_was_moved_away_is_a_new_chain(settings, tmp_path):
    with Node.open(settings) as node:
        first = node.chain.network
        mint(node, 5)
    shutil.move(settings.devnet, tmp_path / "old")
    with Node.open(settings) as again:
        assert again.chain.network.genesis_hash != first.genesis_hash
        assert Network.load(settings.network) == again.chain.network
        assert again.operator == node.operator
        assert mint(again, 1) == 1


def test_a_description_handed_to_us_is_never_overwritten(settings, network, tmp_path):
    with Node.open(settings):
        pass
    given = tmp_path / "theirs.json"
    network.save(given)
    before = given.read_bytes()
    with pytest.raises(WrongNetwork) as caught:
        Node.open(replace(settings, network=given))
    assert caught.value.code == "chain.genesis"
    assert "KOINON_RPC_URL" in caught.value.hint
    assert given.read_bytes() == before


def test_without_anvil_it_says_how_to_get_one(settings, tmp_path):
    with pytest.raises(SetupError) as caught:
        Node.open(replace(settings, anvil=tmp_path / "nowhere"))
    assert caught.value.code == "setup.anvil"
    assert "KOINON_ANVIL" in caught.value.hint
    assert not settings.network.exists()
    with Node.open(settings) as node:
        assert mint(node, 1) == 1


def test_a_wrong_password_is_said_and_changes_nothing(settings, monkeypatch):
    monkeypatch.setenv("KOINON_PASSWORD", "right")
    key = Keyring(settings.keys, derivation="pbkdf2").open(OPERATOR)
    keystore = (settings.keys / "operator.json").read_bytes()
    for wrong in ("not-it", None):
        if wrong is None:
            monkeypatch.delenv("KOINON_PASSWORD")
        else:
            monkeypatch.setenv("KOINON_PASSWORD", wrong)
        with pytest.raises(KeyFault) as caught:
            Node.open(settings)
        assert caught.value.code == "key.password"
        assert "KOINON_PASSWORD" in caught.value.hint
        assert "not-it" not in f"{caught.value} {caught.value.hint}"
    assert (settings.keys / "operator.json").read_bytes() == keystore
    assert not settings.devnet.exists(), "no chain is started in vain"
    monkeypatch.setenv("KOINON_PASSWORD", "right")
    with Node.open(settings) as node:
        assert node.operator == key


@pytest.mark.parametrize("content", ["", "{}", "[]", "\x00", '{"name": "half'])
def test_a_damaged_description_is_named_and_kept(settings, content):
    settings.ensure_home()
    settings.network.write_text(content)
    with pytest.raises(BadInput) as caught:
        Node.open(settings)
    assert str(settings.network) in caught.value.message
    assert caught.value.hint
    assert settings.network.read_text() == content


@pytest.mark.parametrize("name", ["keys", "devnet", "lock"])
def test_a_data_directory_that_cannot_be_used_is_said(settings, name):
    (settings.home / name).parent.mkdir(parents=True)
    if name == "lock":
        (settings.home / name).mkdir()
    else:
        (settings.home / name).write_text("in the way")
    with pytest.raises(SetupError) as caught:
        Node.open(settings)
    assert caught.value.code == "setup.home"
    assert name in caught.value.message


# Any other chain


def test_a_plain_anvil_is_deployed_to_with_made_up_money(settings, plain_anvil):
    there = replace(settings, rpc_url=plain_anvil)
    with Node.open(there) as node:
        network = Network.load(settings.network)
        assert (network.chain_id, network.test_money, network.rpc_url) == (31337, True, plain_anvil)
        network.verify(node.chain.rpc)
        assert mint(node, 3) == 3
        node.fund(STRANGER)
        assert node.chain.balance(STRANGER) == ALLOWANCE_WEI
        node.fund(STRANGER)
        assert node.chain.balance(STRANGER) == ALLOWANCE_WEI
    assert not settings.devnet.exists()
    with Node.open(there) as again:
        assert again.chain.network == network
        assert mint(again, 1) == 4
    with Node.open(settings) as from_the_file:
        assert from_the_file.rpc_url == plain_anvil
        assert mint(from_the_file, 1) == 5
    assert not settings.devnet.exists()


def test_a_node_of_another_chain_than_the_description_is_refused(session_network, plain_anvil):
    before = session_network.network.read_bytes()
    with pytest.raises(WrongNetwork) as caught:
        Node.open(replace(session_network, rpc_url=plain_anvil))
    assert caught.value.code == "chain.id"
    assert "31337" in caught.value.message
    for way_out in ("KOINON_RPC_URL", "KOINON_HOME", str(session_network.network)):
        assert way_out in caught.value.hint
    assert session_network.network.read_bytes() == before


def test_another_chain_of_the_same_id_is_refused(session_network, network):
    replace(network, genesis_hash="0x" + "11" * 32).save(session_network.network)
    with pytest.raises(WrongNetwork) as caught:
        Node.open(session_network)
    assert caught.value.code == "chain.genesis"
    assert "KOINON_HOME" in caught.value.hint


def test_other_code_where_ours_should_be_is_refused_with_the_warning(session_network, network):
    codes = {**network.code_hashes, "Works": "0x" + "11" * 32}
    replace(network, code_hashes=codes).save(session_network.network)
    with pytest.raises(WrongNetwork) as caught:
        Node.open(session_network)
    assert caught.value.code == "chain.code"
    assert "Do not send money" in caught.value.hint


def test_a_party_with_a_description_reaches_its_chain_and_can_pay_there(session_network, network):
    replace(network, rpc_url="http://127.0.0.1:9").save(session_network.network)
    with Node.open(session_network) as node:
        assert node.chain.balance(node.operator.address) == ALLOWANCE_WEI
    with Chain.open(session_network.network) as chain:
        assert chain.rpc.url == session_network.rpc_url, "the description follows the node"


def test_a_node_that_is_not_there(settings):
    with pytest.raises(NodeUnavailable) as caught:
        Node.open(replace(settings, rpc_url=f"http://user:secret@127.0.0.1:{free_port()}/key"))
    assert caught.value.hint
    assert "secret" not in str(caught.value)
    assert "/key" not in str(caught.value)


def test_real_money_is_never_begun_on_by_accident(settings):
    with (
        answering(eth_chainId="0x1", web3_clientVersion="Geth/v1.16.0") as url,
        pytest.raises(WrongNetwork) as caught,
    ):
        Node.open(replace(settings, rpc_url=url))
    assert caught.value.code == "chain.real_money"
    assert "Chain 1 " in caught.value.message
    assert str(settings.network) in caught.value.hint
    assert not settings.network.exists()


def test_nothing_is_put_on_a_test_network_unasked(settings):
    with (
        answering(eth_chainId=hex(84532), web3_clientVersion="Geth/v1.16.0", eth_getCode="0x") as url,
        pytest.raises(SetupError) as caught,
    ):
        Node.open(replace(settings, rpc_url=url))
    assert caught.value.code == "network.not_deployed"
    assert Keyring(settings.keys).open(OPERATOR).address in caught.value.message


@pytest.mark.parametrize("client", ["anvil/v1.7.1", "HardhatNetwork/3.18.0/@nomicfoundation/edr/0.3.8"])
def test_a_development_node_that_others_can_reach_is_refused(settings, client, monkeypatch):
    with answering(eth_chainId=hex(31337), web3_clientVersion=client) as url:
        monkeypatch.setattr("koinon.chain.testnode.is_loopback", lambda _url: False)
        with pytest.raises(WrongNetwork) as caught:
            Node.open(replace(settings, rpc_url=url))
    assert caught.value.code == "chain.test_node_remote"
    assert "127.0.0.1" in caught.value.hint
    assert not settings.network.exists()


def test_a_node_that_hides_its_client_is_not_taken_for_a_development_chain(settings):
    with answering(eth_chainId="0x1") as url, pytest.raises(WrongNetwork) as caught:
        Node.open(replace(settings, rpc_url=url))
    assert caught.value.code == "chain.real_money"


@pytest.mark.parametrize("nonsense", ["many", None, 1, "", ["0x1"]])
def test_a_node_that_talks_nonsense(settings, nonsense):
    with answering(eth_chainId=nonsense) as url, pytest.raises(NodeUnavailable) as caught:
        Node.open(replace(settings, rpc_url=url))
    assert caught.value.hint


def test_eth_is_given_away_only_where_it_is_made_up(session_network, network, devnet):
    real = replace(network, test_money=False)
    with Chain.open(real) as chain, pytest.raises(SetupError) as caught:
        Node(session_network, chain, devnet.key(5)).fund("0x" + "33" * 20)
    assert caught.value.code == "setup.no_faucet"
    with Chain.open(network) as chain:
        assert chain.balance("0x" + "33" * 20) == 0


# The command that keeps it running


class Up:
    """``koinon up`` in a data directory."""

    def __init__(self, settings: Settings, **more: str) -> None:
        variables = {name: text for name, text in os.environ.items() if not name.startswith("KOINON_")}
        variables |= {"KOINON_HOME": str(settings.home), "KOINON_ANVIL": str(settings.anvil)} | more
        self.child = subprocess.Popen(
            [sys.executable, "-m", "koinon", "up", "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env={**variables, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert self.child.stdout is not None
        self.said = json.loads(self.child.stdout.readline())
        self.anvil = int((settings.devnet / "anvil.pid").read_text())

    def end(self, number: int) -> int:
        self.child.send_signal(number)
        return self.child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.child.kill()
        self.child.wait()
        if self.child.stdout is not None:
            self.child.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_stops_cleanly_and_leaves_no_anvil_behind(settings, number):
    with Up(settings) as up:
        assert up.said["network"] == str(settings.network)
        assert alive(up.anvil)
        with Node.open(settings) as node:
            assert node.rpc_url == up.said["rpc_url"]
            assert mint(node, 4) == 4
        assert alive(up.anvil), "who only attached does not stop the chain"
        assert up.end(number) == 0
        assert not alive(up.anvil)
    with Node.open(settings) as node:
        assert mint(node, 1) == 5


def test_up_goes_on_after_a_kill_with_everything_in_place(settings):
    ports = own_ports()
    with Up(settings, **ports) as up:
        with Node.open(settings) as node:
            mint(node, 4)
            cid = node.store.put(b"kept")
        assert up.end(signal.SIGKILL) == -signal.SIGKILL
    with Up(settings, **ports) as again, Node.open(settings) as node:
        for lasting in ("rpc_url", "console", "gateway", "network"):  # the same places as before
            assert again.said[lasting] == up.said[lasting]
        assert node.store.get(cid) == b"kept"
        assert mint(node, 1) == 5
        assert again.end(signal.SIGTERM) == 0
    until(lambda: not alive(up.anvil))


def test_up_takes_the_chain_over_from_a_process_that_ends(settings):
    node = Node.open(settings)
    with Up(settings) as up:
        mint(node, 4)
        node.close()
        with Rpc(up.said["rpc_url"]) as rpc:
            until(lambda: answers(rpc))
        with Node.open(settings) as other:
            assert mint(other, 1) == 5
        assert up.end(signal.SIGTERM) == 0


# What a process that opens a node loads


@pytest.mark.parametrize(
    "code",
    [
        "import koinon.node",
        "import koinon.works.cli",
        "from koinon.cli import main; main(['--home', sys.argv[1], 'works', 'show', '1', '--json'])",
    ],
)
def test_what_only_reads_and_signs_starts_lean(settings, code):
    heavy = {"web3", "eth_account", "uvicorn", "fastapi", "pydantic", "httpx", "numpy", "sklearn", "vyper"}
    variables = {name: text for name, text in os.environ.items() if not name.startswith("KOINON_")}
    variables |= {"KOINON_ANVIL": str(settings.anvil), "PYTHONPATH": os.pathsep.join(sys.path)}
    finished = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)", str(settings.home)],
        capture_output=True,
        text=True,
        check=True,
        env=variables,
    )
    loaded = set(finished.stdout.splitlines()[-1].split())
    assert "koinon.chain.keys" in loaded
    assert loaded & heavy == set()
