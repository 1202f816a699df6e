# SPDX-License-Identifier: Apache-2.0
"""Monitors on the node's own index: told once, over restarts and over blocks that are taken back."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from koinon.chain.index import EventIndex
from koinon.errors import BadInput
from koinon.settings import Settings
from koinon.treasury.api import Treasury
from koinon.watch.api import Watch
from koinon.watch.living import LiveWatch
from koinon.watch.monitors.feeding import FeedFollower
from koinon.watch.monitors.monitoring import Monitoring, all_monitors
from koinon.watch.monitors.own_chain import OwnChain
from tests.treasury.market_support import World
from tests.watch.monitors.stage import role

DAY_S = 86_400


@pytest.fixture
def index(own_chain, tmp_path):
    settings = Settings.load({}, home=tmp_path / "home")
    settings.ensure_home()
    with EventIndex.open(settings, own_chain) as opened:
        opened.sync()
        yield opened


@pytest.fixture
def watch(tmp_path, index):
    with Watch(tmp_path / "watch", index=index) as opened:
        yield opened


@pytest.fixture
def turning(own_chain):
    """The chain can be turned back: its blocks are mined one by one, and undone."""
    rpc = own_chain.rpc

    def snapshot():
        taken = rpc.call("evm_snapshot")
        return lambda: rpc.call("evm_revert", taken)

    return SimpleNamespace(snapshot=snapshot, mine=lambda count: rpc.call("anvil_mine", hex(count)))


def follow(own_chain, index, watch, depth=0):
    own = OwnChain(index, own_chain.rpc)
    return FeedFollower(index, own, "test", lambda: Monitoring(all_monitors(own.facts)), watch.book, depth)


def make_much(own_chain, key, who="attacker"):
    """Half as much of the coin as there is, made two days after its last."""
    own_chain.rpc.call("evm_increaseTime", 2 * DAY_S)
    supply = int(own_chain.coin.call("totalSupply"))
    own_chain.sender(key).send(own_chain.coin.transaction("mint", role(who), supply // 2 + 1))


def subjects(alerts):
    return [each.monitor for each in alerts]


def test_what_the_index_says_is_told_once_and_a_restart_tells_nothing_again(
    own_chain, own_account, index, watch
):
    key = own_account()
    own_chain.sender(key).send(own_chain.coin.transaction("mint", key.address, 10**9))
    index.sync()
    follower = follow(own_chain, index, watch)
    assert follower.look() == []
    make_much(own_chain, key)
    assert follower.look() == [], "the index has not read it yet"
    index.sync()
    assert subjects(follower.look()) == ["minting"]
    assert follower.look() == []
    again = follow(own_chain, index, watch)
    assert again.look() == [], "it knows what the book has"
    assert again.through == index.head().number
    assert [each.key for each in watch.alerts.waiting()] == [
        watch.newest_alerts()[0]["monitor"] + " " + watch.newest_alerts()[0]["subject"]
    ]
    assert watch.alerts.counts()["noticed"] == 1


def test_blocks_that_are_taken_back_take_their_alerts_with_them_and_are_looked_at_anew(
    own_chain, own_account, index, watch, turning
):
    key = own_account()
    own_chain.sender(key).send(own_chain.coin.transaction("mint", key.address, 10**9))
    index.sync()
    follower = follow(own_chain, index, watch)
    known = subjects(follower.look())
    back = turning.snapshot()
    make_much(own_chain, key, "attacker on a branch")
    index.sync()
    assert subjects(follower.look()) == ["minting"]
    kept = len(watch.newest_alerts())
    assert back()
    own_chain.rpc.call("anvil_mine", "0x2")
    index.sync()
    assert follower.look() == []
    assert follower.undone == 1
    assert len(watch.newest_alerts()) == kept - 1 >= 0
    told = {each.key: each.text for each in watch.alerts.waiting()}
    assert "do not hold any more" in told["reorganisation test"]
    make_much(own_chain, key, "attacker on the chain")
    index.sync()
    assert subjects(follower.look()) == ["minting"], (known, "seen in its place")
    assert role("attacker on the chain") in watch.newest_alerts()[0]["accounts"]


def test_what_has_too_few_confirmations_is_held_and_what_is_undone_meanwhile_is_never_told(
    own_chain, own_account, index, watch, turning
):
    key = own_account()
    own_chain.sender(key).send(own_chain.coin.transaction("mint", key.address, 10**9))
    turning.mine(4)
    index.sync()
    follower = follow(own_chain, index, watch, depth=3)
    follower.look()
    back = turning.snapshot()
    make_much(own_chain, key, "undone in time")
    index.sync()
    assert follower.look() == []
    assert back()
    turning.mine(1)
    index.sync()
    assert follower.look() == []
    assert follower.undone == 0
    make_much(own_chain, key, "stays")
    turning.mine(3)
    index.sync()
    found = follower.look()
    assert subjects(found) == ["minting"]
    assert role("stays") in found[0].accounts
    with pytest.raises(BadInput):
        follow(own_chain, index, watch, depth=-1)


def pay_round(own_chain, keys, amount):
    """Money that goes round."""
    coin = own_chain.coin
    for payer, payee in zip(keys, [*keys[1:], keys[0]], strict=True):
        own_chain.sender(payer).send(coin.transaction("transfer", payee.address, amount))


def test_a_case_is_made_of_confirmed_payments_only_whatever_is_undone_while_it_is_scored(
    own_chain, own_account, index, watch, turning
):
    keys = [own_account() for _ in range(4)]
    own_chain.sender(keys[0]).send(own_chain.coin.transaction("mint", keys[0].address, 10**10))
    turning.mine(4)
    index.sync()
    live = LiveWatch(watch, own_chain, index, 3, scan_every_s=0.001)
    live.look()
    names = {key.address for key in keys}

    def rounds():
        every = watch.queue(100)
        return [each for each in every if names <= set(each.accounts)]

    back = turning.snapshot()
    pay_round(own_chain, keys, 5 * 10**9)
    index.sync()
    live.look()
    assert back()
    turning.mine(6)
    index.sync()
    live.look()
    assert rounds() == [], "the payments were undone before they were confirmed"
    pay_round(own_chain, keys, 4 * 10**9)
    turning.mine(4)
    index.sync()
    live.look()
    [case] = rounds()
    assert {each.kind for each in case.findings} >= {"cycle"}
    assert {each["amount"] for each in case.edges} == {4_000.0}
    assert live.look().cases == 0, "nothing new"


def test_pairs_are_read_from_the_index_with_what_they_are_about(own_chain, own_account, index):
    own = OwnChain(index, own_chain.rpc)
    readings = own.readings()
    assert {"coin_transfer", "coin_approval", "pair_sync", "pair_swap", "credit_pool_borrowed"} <= set(
        readings
    )
    assert readings["vault_deposit"].protocol == "erc4626"
    assert "works_registered" not in readings
    assert own.owing() == []


def test_it_runs_until_it_is_told_to_stop_and_waits_for_a_chain_that_is_away(own_chain, index, watch):
    stop = threading.Event()
    said: list[str] = []
    seen: list[Any] = []
    live = LiveWatch(watch, own_chain, index, scan_every_s=0, say=said.append)
    broken = iter([True])

    def sync():
        if next(broken, False):
            raise OSError("away")

    live._index = cast(
        "EventIndex",
        SimpleNamespace(sync=sync, head=index.head, wait=lambda *_args, **_kwargs: stop.set()),
    )

    def ready(looked):
        seen.append(looked)

    stop_soon = threading.Timer(30, stop.set)
    stop_soon.start()
    live.run(stop, ready)
    stop_soon.cancel()
    assert "The chain does not answer (away)" in said[0]
    assert seen[0].through == index.head().number


def test_a_vault_of_the_network_is_measured_on_each_day_and_told_where_too_little_can_be_paid(
    own_chain, own_account, index, watch, tmp_path
):
    key = own_account(100)
    world = World.build(own_chain, key)
    treasury = Treasury(own_chain, tmp_path / "treasury", key)
    vault = treasury.create(world.terms(key.address)).address
    own_chain.sender(key).send(own_chain.coin.transaction("mint", key.address, 2_000 * 10**6))
    treasury.deposit(vault, 1_000 * 10**6)
    for day in range(64):
        own_chain.rpc.call("evm_increaseTime", DAY_S)
        if day % 2:
            treasury.deposit(vault, 20 * 10**6)
        else:
            treasury.withdraw(vault, 20 * 10**6)
    index.sync()
    said: list[str] = []
    live = LiveWatch(watch, own_chain, index, scan_every_s=0, say=said.append)
    assert live.look().measured == 1, said
    [kept] = watch.liquidity.kept("pool")
    assert (kept["contract"], kept["data"]) == (vault, "events in this node's index")
    assert kept["days"] >= 60
    assert kept["liquid"]["idle"] == int(own_chain.coin.call("balanceOf", vault))
    assert kept["coverage"]["liquid"] >= kept["liquid"]["idle"]
    assert live.look().measured == 0, "once a day"
    own_chain.rpc.call("evm_increaseTime", DAY_S)
    treasury.deposit(vault, 10**6)
    index.sync()
    assert live.look().measured == 1
