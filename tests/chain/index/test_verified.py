# SPDX-License-Identifier: Apache-2.0
"""Verified mode against a real node behind a proxy that lies about one thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trie.hexary import HexaryTrie

from koinon.chain.handle import Chain
from koinon.chain.index import EventIndex
from koinon.chain.index.trie import EMPTY_ROOT, trie_root
from koinon.chain.index.verified import header_hash, receipts_root
from koinon.chain.rpc import Rpc
from koinon.errors import IntegrityError
from tests.chain.index.liar import Liar, Lie
from tests.index_support import Place, Town, content


def _receipts(request: dict[str, Any]) -> bool:
    return str(request["method"]) == "eth_getBlockReceipts"


def drops_a_log(request: dict[str, Any], result: Any) -> Any:
    if _receipts(request) and result and result[0]["logs"]:
        result[0]["logs"] = []
    return result


def changes_an_amount(request: dict[str, Any], result: Any) -> Any:
    if _receipts(request) and result and result[0]["logs"]:
        result[0]["logs"][0]["data"] = "0x" + f"{10**6:064x}"
    return result


def invents_a_log(request: dict[str, Any], result: Any) -> Any:
    if _receipts(request) and result and result[0]["logs"]:
        result[0]["logs"].append(result[0]["logs"][0])
    return result


def changes_the_payee_and_every_bloom(request: dict[str, Any], result: Any) -> Any:
    if _receipts(request) and result and result[0]["logs"]:
        result[0]["logs"][0]["topics"][2] = "0x" + "00" * 12 + "66" * 20
        _, bloom = receipts_root(result)
        result[0]["logsBloom"] = "0x" + bloom.hex()
    return result


def gives_a_root_to_fit(request: dict[str, Any], result: Any) -> Any:
    if request["method"] == "eth_getBlockByNumber":
        result["receiptsRoot"] = "0x" + "12" * 32
    return result


def hides_events_from_the_bloom(request: dict[str, Any], result: Any) -> Any:
    if request["method"] == "eth_getBlockByNumber":
        result["logsBloom"] = "0x" + "00" * 256
    return result


def swaps_a_block(request: dict[str, Any], result: Any) -> Any:
    if request["method"] == "eth_getBlockByNumber" and request["params"][0] == swaps_a_block.asked:  # type: ignore[attr-defined]
        result = dict(result, number=hex(int(result["number"], 16) - 1))
    return result


def leaves_out_a_field(request: dict[str, Any], result: Any) -> Any:
    if request["method"] == "eth_getBlockByNumber":
        result.pop("stateRoot")
    return result


@pytest.mark.parametrize(
    "lie",
    [
        drops_a_log,
        changes_an_amount,
        invents_a_log,
        changes_the_payee_and_every_bloom,
        gives_a_root_to_fit,
        hides_events_from_the_bloom,
        leaves_out_a_field,
    ],
)
def test_a_lying_node_is_caught_and_nothing_is_written(
    town: Town, liar: Liar, new_place: Place, lie: Lie
) -> None:
    with (
        Rpc(liar.url) as rpc,
        EventIndex.open(new_place(), Chain(town.chain.network, rpc), verified=True) as index,
    ):
        town.mint(1)
        index.sync()
        before = content(index)
        town.mint(5)
        liar.lie = lie
        with pytest.raises(IntegrityError) as caught:
            index.sync()
        assert caught.value.code == "index.lying_node"
        assert str(town.chain.block_number()) in caught.value.message
        assert liar.url.removeprefix("http://") in caught.value.message
        assert content(index) == before
        liar.lie = lambda request, result: result
        index.sync()
        assert [row["value"] for row in index.rows("SELECT value FROM coin_transfer ORDER BY 1")] == [1, 5]


def test_one_block_for_another_is_caught(town: Town, liar: Liar, tmp_path: Path) -> None:
    with (
        Rpc(liar.url) as rpc,
        EventIndex.open(tmp_path / "i.sqlite", Chain(town.chain.network, rpc), verified=True) as index,
    ):
        index.sync()
        town.mint(5)
        town.mint(6)
        swaps_a_block.asked = hex(town.chain.block_number() - 1)  # type: ignore[attr-defined]
        liar.lie = swaps_a_block
        with pytest.raises(IntegrityError):
            index.sync()
        assert index.rows("SELECT * FROM coin_transfer") == []


def test_verified_and_plain_see_the_same_of_an_honest_node(town: Town, tmp_path: Path) -> None:
    town.send("Works", "register()")
    town.mint(3)
    town.mine(5)
    with (
        EventIndex.open(tmp_path / "plain.sqlite", town.chain) as plain,
        EventIndex.open(tmp_path / "verified.sqlite", town.chain, verified=True) as verified,
    ):
        plain.sync()
        verified.sync()
        assert content(plain) == content(verified)


def test_a_reorganisation_is_followed_in_verified_mode(town: Town, tmp_path: Path) -> None:
    fork = town.snapshot()
    town.mint(1)
    with EventIndex.open(tmp_path / "i.sqlite", town.chain, verified=True) as index:
        index.sync()
        town.revert(fork)
        town.mint(2)
        town.mint(3)
        index.sync()
        assert [row["value"] for row in index.rows("SELECT value FROM coin_transfer ORDER BY 1")] == [2, 3]


def test_what_a_plain_index_was_told_can_be_verified_afterwards(
    town: Town, liar: Liar, tmp_path: Path
) -> None:
    def changes(request: dict[str, Any], result: Any) -> Any:
        if request["method"] == "eth_getLogs":
            for log in result:
                log["data"] = "0x" + f"{999:064x}" if len(log["data"]) == 66 else log["data"]
        return result

    town.mint(5)
    with (
        Rpc(liar.url) as rpc,
        EventIndex.open(tmp_path / "good.sqlite", town.chain) as good,
        EventIndex.open(tmp_path / "bad.sqlite", Chain(town.chain.network, rpc)) as bad,
    ):
        good.sync()
        assert good.verify() == town.chain.block_number()
        liar.lie = changes
        bad.sync()
        with pytest.raises(IntegrityError) as caught:
            bad.verify()
        assert caught.value.code == "index.differs"


def test_the_hash_of_a_block_is_computed_from_its_fields(town: Town) -> None:
    block = town.rpc.call("eth_getBlockByNumber", "latest", False)
    assert header_hash(block) == block["hash"]
    assert header_hash({**block, "timestamp": "0x1"}) != block["hash"]


@given(st.dictionaries(st.binary(min_size=1, max_size=6), st.binary(min_size=1, max_size=80), max_size=40))
def test_the_root_of_a_trie_is_py_tries(entries: dict[bytes, bytes]) -> None:
    oracle = HexaryTrie({})
    for key, value in entries.items():
        oracle[key] = value
    assert trie_root(entries) == oracle.root_hash


def test_the_root_of_nothing_is_the_empty_root() -> None:
    assert trie_root({}) == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
