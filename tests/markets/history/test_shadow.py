# SPDX-License-Identifier: Apache-2.0
"""Following a chain that is not ours: to a depth, over a reorganisation, and on from where it stopped."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator

import click
import pytest

from koinon.chain.abi import Function
from koinon.chain.devnet import free_port
from koinon.chain.rpc import Rpc, RpcError
from koinon.errors import BadInput, NodeUnavailable
from koinon.markets.history.cli import COMMANDS
from koinon.markets.history.paced import PacedRpc
from koinon.markets.history.shadow import Shadow
from koinon.markets.history.tables import read_rows
from koinon.settings import Settings
from koinon.terminal import Session, Terminal
from tests.markets.history.real_protocols import packaged, role

SUPPLY = 10**24


class Foreign:
    """A plain chain with Uniswap v2's test token on it."""

    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc
        self.owner = rpc.call("eth_accounts")[0]
        artifact = packaged("@uniswap", "v2-core", "build", "ERC20.json")
        self.move = Function(next(each for each in artifact["abi"] if each.get("name") == "transfer"))
        code = "0x" + artifact["bytecode"].removeprefix("0x") + f"{SUPPLY:064x}"
        self.token = self._send(data=code)["contractAddress"]

    def transfer(self, amount: int) -> None:
        self._send(to=self.token, data="0x" + self.move.encode(role("receiver"), amount).hex())

    def mine(self, blocks: int) -> None:
        self.rpc.call("anvil_mine", hex(blocks))

    def _send(self, **fields: str) -> dict[str, str]:
        sent = self.rpc.call("eth_sendTransaction", {"from": self.owner, "gas": hex(3_000_000), **fields})
        receipt: dict[str, str] | None = None
        while receipt is None:  # the node answers before it has mined
            receipt = self.rpc.call("eth_getTransactionReceipt", sent)
        assert receipt["status"] == "0x1"
        return receipt


@pytest.fixture(scope="module")
def node(anvil_path) -> Iterator[Foreign]:
    port = free_port()
    child = subprocess.Popen([str(anvil_path), "--port", str(port), "--silent"])
    try:
        with Rpc(f"http://127.0.0.1:{port}") as rpc:
            for _ in range(200):
                try:
                    rpc.call("eth_chainId")
                    break
                except NodeUnavailable:
                    time.sleep(0.05)
            yield Foreign(rpc)
    finally:
        child.kill()
        child.wait()


@pytest.fixture
def foreign(node) -> Iterator[Foreign]:
    """As it was founded, for each test."""
    snapshot = node.rpc.call("evm_snapshot")
    yield node
    assert node.rpc.call("evm_revert", snapshot)


def amounts(shadow: Shadow, **options: bool) -> list[int]:
    return [row.amount for row in shadow.history(**options).rows if row.kind == "transfer"]


def test_rows_come_once_enough_blocks_stand_on_them(foreign, tmp_path):
    with Shadow(foreign.rpc, tmp_path, depth=3) as shadow:
        shadow.watch({foreign.token: "erc20"})
        foreign.transfer(7)
        shadow.sync()
        assert amounts(shadow, unconfirmed=True) == [SUPPLY, 7]
        assert 7 not in amounts(shadow)
        foreign.mine(3)
        shadow.sync()
        assert amounts(shadow) == [SUPPLY, 7]
        row = shadow.history().rows[-1]
        block = foreign.rpc.call("eth_getBlockByNumber", hex(row.block_number), False)
        assert (row.block_hash, row.timestamp) == (block["hash"], int(block["timestamp"], 16))
        assert shadow.facts.decimals == {row.asset: 18}


def test_it_goes_on_where_it_stopped_and_takes_more_contracts(foreign, tmp_path):
    with Shadow(foreign.rpc, tmp_path, depth=0) as shadow:
        shadow.watch({foreign.token: "erc20"})
        shadow.sync()
    foreign.transfer(5)
    with Shadow(foreign.rpc, tmp_path, depth=0) as shadow:
        assert list(shadow.contracts().values()) == ["erc20"]
        shadow.watch({foreign.token: "erc20", role("pool"): "aave-v3"})
        shadow.sync()
        assert amounts(shadow) == [SUPPLY, 5]
        assert shadow.contracts()[role("pool")] == "aave-v3"


def test_a_reorganisation_takes_its_rows_back(foreign, tmp_path):
    with Shadow(foreign.rpc, tmp_path, depth=8) as shadow:
        shadow.watch({foreign.token: "erc20"})
        foreign.mine(10)
        before = foreign.rpc.call("evm_snapshot")
        foreign.transfer(5)
        shadow.sync()
        scored = shadow.history(unconfirmed=True)
        anchor = scored.anchor(scored.rows[-1].block_number)
        assert foreign.rpc.call("evm_revert", before)
        foreign.transfer(6)
        foreign.mine(1)
        shadow.sync()
        assert amounts(shadow, unconfirmed=True) == [SUPPLY, 6]
        with pytest.raises(Exception, match="not the block that this was computed as of"):
            shadow.history(unconfirmed=True).check_anchor(anchor)


def test_the_command_writes_a_table_that_can_be_imported(foreign, tmp_path, capsys):
    foreign.transfer(9)
    follow, import_, *_ = COMMANDS
    session = Session(Settings.load({}, home=tmp_path), Terminal(json_output=True))
    out = tmp_path / "rows.csv"

    def run(command: click.Command, *arguments: str) -> dict[str, object]:
        command.main(list(arguments), standalone_mode=False, obj=session)
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    contract = f"erc20={foreign.token}"
    told = run(
        follow, foreign.rpc.url, "--contract", contract, "--depth", "0", "--rate", "1000", "--out", str(out)
    )
    assert (told["rows"], told["kinds"]) == (2, {"transfer": 2})
    assert [row.amount for row in read_rows([out])] == [SUPPLY, 9]
    assert run(import_, str(out))["rows"] == 2
    with pytest.raises(BadInput, match="PROTOCOL=ADDRESS"):
        run(follow, foreign.rpc.url, "--contract", "erc20")


def test_nothing_to_follow_is_told(foreign, tmp_path):
    session = Session(Settings.load({}, home=tmp_path), Terminal(json_output=True))
    with pytest.raises(BadInput, match="nothing to follow"):
        COMMANDS[0].main([foreign.rpc.url], standalone_mode=False, obj=session)


def paced(*answers, rate=10.0):
    """A paced node, whose clock moves only when it waits, and its waits."""
    waits: list[float] = []
    rpc = PacedRpc("http://127.0.0.1:1", rate, clock=lambda: sum(waits), sleep=waits.append)
    given = list(answers)

    def answer(message, *, retry):
        assert retry
        found = given.pop(0)
        if isinstance(message, list):
            return [{"id": each["id"], **found} for each in message]
        return {"id": message["id"], **found}

    rpc._exchange = answer  # type: ignore[method-assign]
    return rpc, waits


def test_no_more_is_asked_than_was_agreed():
    rpc, waits = paced(*[{"result": "0x1"}] * 5)
    rpc.call("eth_chainId")
    rpc.batch([("eth_chainId", [])] * 25)
    assert sum(waits) == pytest.approx(2.1), "25 requests in batches of 10, after one"


def test_it_waits_where_the_node_says_that_it_is_too_much():
    refusal = {"error": {"code": -32005, "message": "limit exceeded"}}
    rpc, waits = paced(refusal, refusal, {"result": "0x1"}, rate=1e9)
    assert rpc.call("eth_chainId") == "0x1"
    assert [wait for wait in waits if wait > 0.5] == [1.0, 2.0]
    rpc, _ = paced({"error": {"code": -32000, "message": "no"}}, rate=1e9)
    with pytest.raises(RpcError):
        rpc.call("eth_chainId")


def test_a_rate_is_above_nothing():
    with pytest.raises(BadInput):
        PacedRpc("http://127.0.0.1:1", 0)
