# SPDX-License-Identifier: Apache-2.0
"""Anybody's contract in the index: arrays in tables of their own, logs that lie about themselves, forks."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from eth_abi.abi import encode as encode_abi

from koinon.chain.address import checksum
from koinon.chain.hashing import keccak256
from koinon.chain.index import EventIndex
from koinon.errors import IntegrityError
from tests.index_support import Town

ADDRESS = checksum("0x" + "0d" * 20)
EMITTER = "0x604036038060405f375f35602035915fa200"
"""Logs what it is called with: first topic, second topic, data."""

ABI: list[dict[str, Any]] = [
    {
        "type": "event",
        "name": "Shared",
        "inputs": [
            {"name": "id", "type": "uint256", "indexed": True},
            {"name": "payees", "type": "address[]"},
            {
                "name": "parts",
                "type": "tuple[]",
                "components": [{"name": "amount", "type": "uint256"}, {"name": "tag", "type": "bytes4"}],
            },
        ],
    }
]
SHARED = keccak256(b"Shared(uint256,address[],(uint256,bytes4)[])")
TYPES = ["address[]", "(uint256,bytes4)[]"]


class Stall:
    """Where the contract stands, and what it is made to say."""

    def __init__(self, town: Town) -> None:
        self.town = town
        town.rpc.call("anvil_setCode", ADDRESS, EMITTER)

    def says(self, number: int, data: bytes) -> None:
        call = SHARED + number.to_bytes(32, "big") + data
        fields = {"from": self.town.accounts[0], "to": ADDRESS, "data": "0x" + call.hex(), "gas": "0x100000"}
        sent = self.town.rpc.call("eth_sendTransaction", fields)
        while self.town.rpc.call("eth_getTransactionReceipt", sent) is None:
            pass

    def shares(self, number: int, payees: list[str], parts: list[tuple[int, bytes]]) -> None:
        self.says(number, encode_abi(TYPES, [payees, parts]))


@pytest.fixture
def stall(town: Town) -> Stall:
    return Stall(town)


def test_arrays_can_be_joined_with_their_event_and_are_undone_with_it(
    index: EventIndex, town: Town, stall: Stall
) -> None:
    index.add("stall", ADDRESS, ABI)
    first, second = (checksum("0x" + digits * 20) for digits in ("a1", "b2"))
    stall.shares(1, [first, second], [(2**255, b"abcd")])
    fork = town.snapshot()
    stall.shares(2, [second], [])
    index.sync()
    joined = (
        "SELECT e.id, p.position, p.value FROM stall_shared e JOIN stall_shared_payees p "
        "ON p.block_number = e.block_number AND p.log_index = e.log_index ORDER BY e.id, p.position"
    )
    assert index.query(joined).rows == [(1, 0, first), (1, 1, second), (2, 0, second)]
    assert index.query("SELECT position, amount, tag FROM stall_shared_parts").rows == [
        (0, 2**255, "0x61626364")
    ]
    town.revert(fork)
    stall.shares(3, [first], [])
    index.sync()
    assert index.query(joined).rows == [(1, 0, first), (1, 1, second), (3, 0, first)]


def test_a_log_that_does_not_fit_its_event_is_kept_aside_and_stops_nothing(
    index: EventIndex, town: Town, stall: Stall
) -> None:
    index.add("stall", ADDRESS, ABI)
    stall.shares(1, [], [])
    fork = town.snapshot()
    stall.says(2, b"\xff" * 64)
    town.mint(5)
    stall.shares(3, [], [])
    index.sync()
    assert index.query("SELECT id FROM stall_shared ORDER BY id").rows == [(1,), (3,)]
    assert index.query("SELECT value FROM coin_transfer").rows == [(5,)]
    (aside,) = index.rows("SELECT * FROM undecoded")
    assert (aside["address"], aside["source"], aside["data"]) == (ADDRESS, "stall", "0x" + "ff" * 64)
    assert aside["reason"]
    numbers = [event.row["id"] for event in index.feed(endless=False, tables=["stall_shared"])]
    assert numbers == [1, 3]
    town.revert(fork)
    town.mint(6)
    index.sync()
    assert index.rows("SELECT * FROM undecoded") == []
    assert index.query("SELECT id FROM stall_shared").rows == [(1,)]


def test_an_afterwards_check_passes_over_what_cannot_be_decoded(
    index: EventIndex, town: Town, stall: Stall
) -> None:
    index.add("stall", ADDRESS, ABI)
    stall.says(1, b"")
    stall.shares(2, [ADDRESS], [(1, b"dcba")])
    index.sync()
    assert index.verify() == town.chain.block_number()
    index.keep([("UPDATE stall_shared_parts SET amount = 2", [()])])
    with pytest.raises(IntegrityError) as refused:
        index.verify()
    assert refused.value.code == "index.differs"
    assert "stall_shared_parts" in refused.value.message


def test_a_feed_that_waits_tells_of_a_contract_whose_past_is_still_being_fetched(
    index: EventIndex, stall: Stall
) -> None:
    stall.shares(1, [], [])
    index.sync()
    index.add("stall", ADDRESS, ABI)
    stop = threading.Event()
    feed = index.feed(tables=["stall_shared"], stop=stop)
    fetching = threading.Timer(0.5, index.sync)
    fetching.start()
    try:
        assert next(feed).row["id"] == 1
    finally:
        stop.set()
        fetching.join()
