# SPDX-License-Identifier: Apache-2.0
"""An index equals what the chain says now: after growth, reorganisations, kills and late additions."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from koinon.chain import artifacts
from koinon.chain.address import checksum
from koinon.chain.handle import Chain
from koinon.chain.index import EventIndex
from koinon.chain.rpc import Rpc
from koinon.errors import BadInput, IntegrityError, NodeUnavailable
from koinon.works.shares import OWNER
from tests.index_support import Place, Town, content


def fresh(town: Town, place: Path) -> EventIndex:
    made = EventIndex.open(place, town.chain)
    made.sync()
    return made


def test_a_payment_can_be_read_by_sql_once_it_is_mined(index: EventIndex, town: Town) -> None:
    town.mint(5)
    index.sync()
    (row,) = index.rows('SELECT * FROM coin_transfer WHERE "to" = ?', (checksum(town.accounts[1]),))
    assert row["value"] == 5
    head = index.head()
    assert head is not None
    assert (head.number, row["block_number"]) == (town.chain.block_number(),) * 2


def test_the_largest_number_reads_and_sums_exactly(index: EventIndex, town: Town) -> None:
    largest = 2**256 - 1
    town.send("Coin", "approve", town.accounts[2], largest)
    town.send("Coin", "approve", town.accounts[3], 2**63)
    town.send("Coin", "approve", town.accounts[4], 7)
    index.sync()
    assert [row["value"] for row in index.rows("SELECT value FROM coin_approval ORDER BY value")] == [
        7,
        2**63,
        largest,
    ]
    assert index.rows("SELECT value FROM coin_approval WHERE value = ?", (largest,)) == [{"value": largest}]
    assert index.rows("SELECT sum_uint(value) AS all_of_it FROM coin_approval WHERE value < ?", (2**64,)) == [
        {"all_of_it": 2**63 + 7}
    ]
    assert index.rows("SELECT sum_uint(value) AS none_of_it FROM coin_approval WHERE value = 1") == [
        {"none_of_it": None}
    ]


def test_what_a_till_pays_is_in_although_the_till_came_later_than_the_index(
    index: EventIndex, town: Town
) -> None:
    index.sync()
    town.send("Works", "register()")
    work_id = index_work(index)
    till = town.chain.contract("Works").call("till_of", work_id)
    town.send("Coin", "mint", till, 100)
    town.send("Works", "deploy_till", work_id)
    town.send("Till", "release", town.chain.coin.address, OWNER, 10**9, [], address=till)
    index.sync()
    (row,) = index.rows("SELECT * FROM till_released WHERE address = ?", (till,))
    assert row["amount"] == 100


def index_work(index: EventIndex) -> int:
    index.sync()
    return int(index.rows("SELECT MAX(agent_id) AS id FROM works_registered")[0]["id"])


def test_a_reorganisation_leaves_no_row_of_what_is_gone(
    index: EventIndex, town: Town, tmp_path: Path
) -> None:
    town.mint(1)
    fork = town.snapshot()
    for amount in (2, 3, 4):
        town.mint(amount)
    index.sync()
    town.revert(fork)
    town.mint(20)
    town.mint(30, to=2)
    index.sync()
    assert [row["value"] for row in index.rows("SELECT value FROM coin_transfer ORDER BY block_number")] == [
        1,
        20,
        30,
    ]
    with fresh(town, tmp_path / "fresh.sqlite") as other:
        assert content(index) == content(other)


def test_a_chain_that_became_shorter_is_followed(index: EventIndex, town: Town) -> None:
    fork = town.snapshot()
    town.mint(1)
    town.mint(2)
    index.sync()
    town.revert(fork)
    index.sync()
    assert index.rows("SELECT * FROM coin_transfer") == []


def test_a_feed_says_which_events_were_undone_and_goes_on(index: EventIndex, town: Town) -> None:
    town.mint(1)
    fork = town.snapshot()
    town.mint(2)
    town.mint(3)
    index.sync()
    seen = list(index.feed(endless=False, tables=["coin_transfer"]))
    assert [event.row["value"] for event in seen] == [1, 2, 3]
    town.revert(fork)
    town.mint(9)
    index.sync()
    undone, again = list(index.feed(seen[-1].cursor, endless=False, tables=["coin_transfer"]))
    assert (undone.kind, undone.undone) == ("undone", (seen[2].cursor, seen[1].cursor))
    assert (again.kind, again.row["value"]) == ("event", 9)
    assert list(index.feed(again.cursor, endless=False)) == []


def test_a_feed_says_so_where_final_blocks_without_events_went_too(index: EventIndex, town: Town) -> None:
    """Found by the state machine: such blocks are not kept, so the way back through parents had a gap."""
    town.mint(1)
    fork = town.snapshot()
    town.mine(90)
    index.sync()
    town.mint(2)
    index.sync()
    seen = list(index.feed(endless=False, tables=["coin_transfer"]))
    town.revert(fork)
    index.sync()
    (undone,) = list(index.feed(seen[-1].cursor, endless=False, tables=["coin_transfer"]))
    assert undone.undone == (seen[1].cursor,)
    assert list(index.feed(undone.cursor, endless=False)) == []


@pytest.mark.parametrize(
    "cursor", ["", "1:2", "1:2:0x12", "-1:2:0x" + "00" * 32, "1:2:0x" + "zz" * 32, "一:1:0x" + "00" * 32]
)
def test_a_malformed_cursor_is_refused(index: EventIndex, cursor: str) -> None:
    with pytest.raises(BadInput) as refused:
        list(index.feed(cursor, endless=False))
    assert refused.value.code == "index.cursor"


def test_a_cursor_of_another_chain_is_refused(index: EventIndex, town: Town) -> None:
    town.mint(1)
    index.sync()
    with pytest.raises(BadInput) as refused:
        list(index.feed(f"{town.chain.block_number()}:0:0x{'11' * 32}", endless=False))
    assert refused.value.code == "index.cursor_unknown"


def test_a_contract_added_later_catches_up_without_disturbing_the_others(
    index: EventIndex, town: Town
) -> None:
    town.mint(1)
    town.mint(2)
    index.sync()
    before = content(index)
    index.add("mirror", town.chain.coin.address, artifacts.load("Coin").abi)
    index.sync()
    assert index.rows("SELECT * FROM mirror_transfer") == index.rows("SELECT * FROM coin_transfer")
    after = content(index)
    assert {name: after[name] for name in before if name != "block"} == {
        name: before[name] for name in before if name != "block"
    }
    town.mint(3)
    index.sync()
    assert index.rows("SELECT * FROM mirror_transfer") == index.rows("SELECT * FROM coin_transfer")


@pytest.mark.parametrize("name", ["coin", "Coin", "1x", "a b", 'a"; DROP TABLE block', ""])
def test_a_contract_cannot_take_another_ones_name_or_a_wrong_one(
    index: EventIndex, town: Town, name: str
) -> None:
    with pytest.raises(BadInput) as refused:
        index.add(name, town.chain.coin.address, artifacts.load("Coin").abi)
    assert refused.value.code == "index.name"


def test_a_contract_cannot_take_the_tables_of_pages(index: EventIndex, town: Town) -> None:
    word = [{"type": "event", "name": "Word", "inputs": [{"name": "word", "type": "uint256"}]}]
    with pytest.raises(BadInput) as refused:
        index.add("work", town.chain.coin.address, word)
    assert refused.value.code == "index.name"


@pytest.mark.parametrize(
    "abi", [[], [{"type": "function", "name": "f", "inputs": []}], [{"type": "event"}], ["x"]]
)
def test_an_abi_without_events_is_refused(index: EventIndex, town: Town, abi: list[object]) -> None:
    with pytest.raises(BadInput) as refused:
        index.add("mine", town.chain.coin.address, abi)  # type: ignore[arg-type]
    assert refused.value.code == "index.abi"


def test_killed_at_any_moment_it_loses_and_doubles_nothing(
    town: Town, new_place: Place, tmp_path: Path
) -> None:
    place = new_place()
    EventIndex.open(place, town.chain).close()
    for amount in range(1, 40):
        town.mint(amount)
    for delay in range(12):
        child = os.fork()
        if child == 0:
            with Rpc(town.rpc.url) as rpc, EventIndex.open(place, Chain(town.chain.network, rpc)) as mine:
                mine.sync()
            os._exit(0)
        threading.Event().wait(delay * 0.004)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with EventIndex.open(place, town.chain) as index, fresh(town, tmp_path / "fresh.sqlite") as other:
        index.sync()
        assert content(index) == content(other)


def test_one_process_follows_and_another_reads_what_it_wrote(index: EventIndex, town: Town) -> None:
    index.sync()
    stop = threading.Event()
    follower = threading.Thread(target=index.follow, args=(stop,), kwargs={"every_s": 0.02})
    follower.start()
    try:
        before = index.head()
        town.mint(77)
        after = index.wait(before, timeout_s=20)
        assert after is not None
        assert index.rows("SELECT value FROM coin_transfer") == [{"value": 77}]
        index.sync()  # waits for the one that follows
    finally:
        stop.set()
        follower.join()


def test_waiting_ends_when_time_is_up(index: EventIndex) -> None:
    index.sync()
    assert index.wait(index.head(), timeout_s=0.05) is None


def test_an_index_of_another_network_is_emptied(town: Town, new_place: Place) -> None:
    place = new_place()
    town.mint(1)
    with EventIndex.open(place, town.chain) as index:
        index.sync()
    other = Chain(replace(town.chain.network, genesis_hash="0x" + "12" * 32), town.rpc)
    with EventIndex.open(place, other) as index:
        assert index.head() is None
        assert index.rows("SELECT * FROM coin_transfer") == []


def test_a_final_block_is_not_replaced_where_money_is_real(town: Town, new_place: Place) -> None:
    real = Chain(replace(town.chain.network, test_money=False), town.rpc)
    fork = town.snapshot()
    town.mint(1)
    with EventIndex.open(new_place(), real, finality_blocks=0) as index:
        index.sync()
        before = content(index)
        town.revert(fork)
        town.mint(2)
        with pytest.raises(IntegrityError) as refused:
            index.sync()
        assert refused.value.code == "index.final_replaced"
        assert content(index) == before


def test_without_a_node_it_can_be_read_only(town: Town, new_place: Place) -> None:
    with EventIndex.open(new_place(), network=town.chain.network) as index:
        assert index.head() is None
        with pytest.raises(NodeUnavailable):
            index.sync()


def test_blocks_without_events_are_forgotten_once_they_are_final(index: EventIndex, town: Town) -> None:
    town.mint(1)
    town.mine(200)
    index.sync()
    number = town.chain.block_number()
    assert index.rows("SELECT COUNT(*) AS n FROM block")[0]["n"] < 120
    assert index.rows("SELECT number FROM block WHERE number = ?", (number,)) == [{"number": number}]
