# SPDX-License-Identifier: Apache-2.0
"""Nodes that refuse long ranges, lack methods, fail for a while or are not anvil."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from koinon.chain.handle import Chain
from koinon.chain.index import EventIndex
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc
from koinon.errors import ChainError
from tests.chain.index.liar import Liar
from tests.chain.index.test_other_contracts import ABI, ADDRESS, EMITTER, SHARED
from tests.index_support import Town, content
from tests.mirror.hardhat import hardhat

MOST_BLOCKS = 12


def refuses_long_ranges(request: dict[str, Any]) -> dict[str, Any] | None:
    if request["method"] == "eth_getLogs" and "fromBlock" in request["params"][0]:
        query = request["params"][0]
        if int(query["toBlock"], 16) - int(query["fromBlock"], 16) >= MOST_BLOCKS:
            return {"code": -32005, "message": "query returned more than 10000 results"}
    return None


def test_a_node_that_refuses_long_ranges_is_asked_for_shorter_ones(
    town: Town, liar: Liar, tmp_path: Path
) -> None:
    for amount in range(1, 5):
        town.mint(amount)
        town.mine(5)
    liar.refuse = refuses_long_ranges
    with (
        Rpc(liar.url) as rpc,
        EventIndex.open(
            tmp_path / "short.sqlite", Chain(town.chain.network, rpc), finality_blocks=0
        ) as short,
        EventIndex.open(tmp_path / "plain.sqlite", town.chain, finality_blocks=0) as plain,
    ):
        short.sync()
        plain.sync()
        assert content(short) == content(plain)
    ranges = [
        int(request["params"][0]["toBlock"], 16) - int(request["params"][0]["fromBlock"], 16)
        for request in liar.asked
        if request["method"] == "eth_getLogs" and "fromBlock" in request["params"][0]
    ]
    assert max(ranges) >= MOST_BLOCKS > min(ranges)


def test_a_node_that_refuses_everything_is_an_error_and_nothing_is_written(
    town: Town, liar: Liar, tmp_path: Path
) -> None:
    town.mint(1)
    with (
        Rpc(liar.url) as rpc,
        EventIndex.open(tmp_path / "i.sqlite", Chain(town.chain.network, rpc)) as index,
    ):
        before = content(index)
        liar.refuse = lambda request: (
            {"code": -32000, "message": "not today"} if request["method"] == "eth_getLogs" else None
        )
        with pytest.raises(ChainError) as refused:
            index.sync()
        assert "not today" in refused.value.message
        assert content(index) == before
        liar.refuse = lambda request: None
        index.sync()
        assert index.query("SELECT value FROM coin_transfer").rows == [(1,)]


@pytest.mark.parametrize("code", [-32601, -32004])
def test_verified_mode_works_on_a_node_without_receipts_by_block(
    town: Town, liar: Liar, tmp_path: Path, code: int
) -> None:
    town.mint(1)
    town.send("Works", "register()")
    town.mint(2)
    liar.refuse = lambda request: (
        {"code": code, "message": "the method does not exist"}
        if request["method"] == "eth_getBlockReceipts"
        else None
    )
    with (
        Rpc(liar.url) as rpc,
        EventIndex.open(tmp_path / "i.sqlite", Chain(town.chain.network, rpc), verified=True) as index,
        EventIndex.open(tmp_path / "plain.sqlite", town.chain) as plain,
    ):
        index.sync()
        plain.sync()
        assert content(index) == content(plain)
    assert "eth_getTransactionReceipt" in {request["method"] for request in liar.asked}


@pytest.mark.e2e
def test_the_headers_and_receipts_of_a_second_evm_are_verified(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed.")
    with hardhat(chain_id=31337, hardfork="prague", timestamp=1_800_000_000) as rpc:
        rpc.call("hardhat_setCode", ADDRESS, EMITTER)
        account = "0x" + "51" * 20
        rpc.call("hardhat_impersonateAccount", account)
        for number in range(4):
            call = SHARED + number.to_bytes(32, "big") + (64).to_bytes(32, "big") * 2 + bytes(32)
            fields = {"from": account, "to": ADDRESS, "data": "0x" + call.hex(), "gas": "0x100000"}
            rpc.call("eth_sendTransaction", fields)
            rpc.call("evm_mine")
        network = Network("second", 31337, rpc.url, True, {}, {}, 0)
        with EventIndex.open(tmp_path / "i.sqlite", Chain(network, rpc), verified=True) as index:
            index.add("stall", ADDRESS, ABI)
            index.sync()
            assert index.query("SELECT id FROM stall_shared ORDER BY id").rows == [(0,), (1,), (2,), (3,)]
            assert index.verify() == int(rpc.call("eth_blockNumber"), 16)
