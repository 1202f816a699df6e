# SPDX-License-Identifier: Apache-2.0
"""Directory, income, the way upstream and an account's purse, from the real index of a real chain."""

from __future__ import annotations

import random

import pytest

from koinon.chain.index.api import EventIndex
from koinon.store.blocks import BlockStore
from koinon.works.api import Parent, ParentMode, Works
from koinon.works.channels import Channels
from koinon.works.directory import RETRY_AFTER_S, Directory
from koinon.works.family import Family
from koinon.works.income import IncomeBook
from koinon.works.purse import Purses
from koinon.works.registration import Card, Registration
from koinon.works.shares import OWNER, WHOLE, ShareTable
from koinon.works.vouchers import Claim
from koinon.works.way import Ways

pytestmark = pytest.mark.e2e


def _file(name, kind="dataset"):
    return Registration(
        name,
        f"{name}, for a test.",
        Card(
            kind,
            "一組貸款資料 of a test.",
            "None.",
            ("Only a test.",),
            "Tell the tester.",
            unmeasured="Taste.",
        ),
    )


class Hall:
    """Two publishers, and everything that reads what they do."""

    def __init__(self, chain, devnet, folder, place):
        self.chain, self.store, self.now = chain, BlockStore(folder / "blocks"), [1_000.0]
        self.maker = Works(chain, self.store, devnet.key(1))
        self.remixer = Works(chain, self.store, devnet.key(2))
        self.friend = devnet.key(3)
        self.index = EventIndex.open(place, chain)
        self.family = Family.of(self.index, self.store, chain)
        self.directory = Directory(self.family, self.index, clock=lambda: self.now[0])
        self.book = IncomeBook(
            self.index,
            self.family,
            token=chain.coin.address,
            channels=chain.network.address("Channels"),
        )
        self.ways = Ways(self.family, self.book)
        self.purses = Purses(self.index, self.ways)

    def mint(self, works, to, amount):
        works.chain.sender(works.key).send(works.chain.coin.transaction("mint", to, amount))

    def balance(self, address):
        return int(self.chain.coin.call("balanceOf", address))

    def sync(self):
        self.index.sync()
        while self.directory.refresh():
            pass

    def family_tree(self):
        """A song, and a remix of it that owes it a fifth."""
        song = self.maker.publish(_file("A song", "artwork"), shares={self.friend.address: 0.25})
        self.maker.set_parent_rule(song.work_id, ParentMode.OPEN, WHOLE // 10)
        remix = self.remixer.publish(
            _file("A remix", "artwork"),
            parents=[Parent(song.work_id, WHOLE // 5)],
            shares={self.friend.address: 0.1},
        )
        return song, remix


@pytest.fixture
def hall(chain, devnet, tmp_path, new_place):
    made = Hall(chain, devnet, tmp_path, new_place())
    yield made
    made.index.close()


def test_random_payments_and_releases_agree_with_every_balance_to_the_unit(hall):
    dice = random.Random(7)
    song, remix = hall.family_tree()
    for _ in range(12):
        match dice.randrange(3):
            case 0:
                works, target = dice.choice([(hall.maker, song), (hall.remixer, remix)])
                hall.mint(works, target.till, dice.randrange(1, 10**9))
            case 1:
                hall.maker.release(remix.work_id, dice.choice([song.till, hall.friend.address]))
            case 2:
                dice.choice([hall.maker, hall.remixer]).release(song.work_id, hall.friend.address)
        hall.sync()
        for published in (song, remix):
            income = hall.book.of(published.work_id)
            assert income.waiting == hall.balance(published.till)
            assert sum(income.by_payer.values()) == sum(income.by_rail.values()) == income.earned
            for payee, share in published.shares.items():
                assert income.due(payee, share) == hall.maker.due(published.work_id, payee)
        way = hall.ways.of(remix.work_id)
        for work_id in way.works:
            parts = sum(flow.amount for flow in way.flows if flow.source == work_id)
            assert parts + way.held[work_id] == way.arrived[work_id]
        ends = sum(flow.amount for flow in way.flows if flow.parent is None)
        on_the_way = sum(flow.waiting for flow in way.flows if flow.parent is not None)
        assert ends + on_the_way + sum(way.held.values()) == way.income.earned


def test_what_one_button_would_collect_is_what_it_then_collects(hall):
    song, remix = hall.family_tree()
    hall.mint(hall.remixer, remix.till, 1_000_003)
    hall.sync()
    planned = hall.ways.gather([remix.work_id], hall.remixer.key.address)
    collected = hall.remixer.collect(remix.work_id)
    assert [(move.work_id, move.payee, move.amount) for move in planned.moves] == [
        (payout.work_id, payout.payee, payout.amount) for payout in collected.payouts
    ]
    assert planned.receives == collected.received(hall.remixer.key.address) == 700_002
    assert planned.works == (remix.work_id, song.work_id)
    hall.sync()
    assert hall.book.of(song.work_id).by_rail == {"share": 200_000}
    assert hall.ways.gather([remix.work_id], hall.remixer.key.address).moves == ()
    assert hall.ways.gather([song.work_id], hall.maker.key.address).receives == 150_000


def test_a_payment_out_of_a_channel_is_told_by_who_filled_it(hall, devnet):
    song, _ = hall.family_tree()
    channels, gateway = Channels(hall.chain), hall.maker.key
    payers = [devnet.key(4), devnet.key(5)]
    claims = []
    for position, payer in enumerate(payers):
        hall.chain.sender(payer).send(hall.chain.coin.transaction("mint", payer.address, 1_000))
        config = channels.config(payer.address, song.till, gateway.address)
        deposit = channels.authorize_deposit(
            payer, config, 500, valid_before=hall.chain.timestamp() + 900, salt=random.getrandbits(200)
        )
        channels.deposit(gateway, config, deposit)
        amount = 120 + position
        voucher = channels.digests.sign(payer, channels.digests.channel_id(config), amount)
        claims.append(Claim(config, voucher, amount))
    channels.claim(gateway, claims)
    hall.sync()
    assert hall.book.of(song.work_id).unsettled == {payers[0].address: 120, payers[1].address: 121}
    channels.settle(gateway, song.till)
    channels.initiate_withdraw(payers[0], claims[0].config, 100)
    hall.sync()
    income = hall.book.of(song.work_id)
    assert income.unsettled == {}
    assert income.by_rail == {"channel": 241}
    assert income.by_payer == {payers[1].address: 121, payers[0].address: 120}
    channel = hall.purses.channels(payers[0].address)[0]
    state = channels.state(channels.digests.channel_id(claims[0].config))
    assert (channel.balance, channel.claimed, channel.exit_amount) == (500, 120, 100)
    assert (state.balance, state.claimed, state.withdrawing) == (500, 120, 100)
    assert channel.exit_after == state.withdraw_requested_at + channel.withdraw_delay_s
    assert hall.purses.channels(song.till, as_receiver=True)[0].receiver == song.till


def test_a_purse_holds_what_an_account_was_paid_and_may_withdraw(hall):
    song, remix = hall.family_tree()
    hall.mint(hall.remixer, remix.till, 1_000)
    hall.mint(hall.maker, song.till, 1_000)
    hall.maker.release(remix.work_id, hall.friend.address)
    hall.sync()
    friend = hall.friend.address
    works = hall.directory.of_payee(friend)
    assert {song.work_id, remix.work_id} <= set(works)
    purse = hall.purses.of(friend, [song.work_id, remix.work_id])
    assert purse.by_till[remix.till] == 100
    assert {part.work_id: part.withdrawable for part in purse.parts} == {song.work_id: 250, remix.work_id: 0}
    owned = hall.directory.of_owner(hall.remixer.key.address)
    assert remix.work_id in owned
    mine = hall.purses.of(hall.remixer.key.address, [remix.work_id])
    assert [(part.as_owner, part.withdrawable) for part in mine.parts] == [(True, 700)]


def test_works_are_found_by_kind_word_chinese_and_owner_newest_first(hall):
    song, remix = hall.family_tree()
    loans = hall.maker.publish(_file("Loans of Taipei 台北貸款"))
    hall.sync()
    newest = hall.directory.newest(limit=2)
    assert [entry.work_id for entry in newest.entries] == [loans.work_id, remix.work_id]
    assert hall.directory.newest(before=newest.before, limit=1).entries[0].work_id == song.work_id
    assert hall.directory.newest(kind="artwork", limit=1).entries[0].work_id == remix.work_id
    assert hall.directory.newest(search="taip").entries[0].name == "Loans of Taipei 台北貸款"
    assert hall.directory.newest(search="北貸 LOANS", limit=1).entries[0].work_id == loans.work_id
    assert hall.directory.newest(search="loans nowhere").entries == ()
    assert hall.directory.newest(search="%'\"").entries == ()
    owner = hall.remixer.key.address
    assert hall.directory.newest(owner=owner, limit=1).entries[0].work_id == remix.work_id
    assert hall.directory.kinds()["artwork"] >= 2
    assert hall.directory.names([song.work_id, 10**9]) == {song.work_id: "A song"}
    assert hall.directory.entry(10**9) is None
    assert hall.directory.total() >= loans.work_id


def test_a_file_that_was_missing_is_found_later_and_a_forged_one_is_told(hall):
    away = BlockStore(hall.store.path.parent / "elsewhere")
    stranger = Works(hall.chain, away, hall.maker.key)
    lost = stranger.publish(_file("Kept elsewhere"))
    cid = hall.store.put(b'{"name": "nobody signed this"}')
    receipt = hall.chain.sender(hall.maker.key).send(
        hall.maker.contract.transaction("register(string)", f"ipfs://{cid}")
    )
    forged = int(hall.maker.contract.logs(receipt, "Registered")[0]["agentId"])
    hall.sync()
    assert hall.directory.entry(lost.work_id).state == "missing"
    assert hall.directory.entry(forged).state == "forged"
    assert hall.directory.entry(forged).name == ""
    hall.store.put(away.get(lost.uri.removeprefix("ipfs://")))
    hall.directory.refresh()
    assert hall.directory.entry(lost.work_id).state == "missing"
    hall.now[0] += RETRY_AFTER_S + 1
    hall.directory.refresh()
    assert hall.directory.entry(lost.work_id).name == "Kept elsewhere"


def test_shares_are_told_only_where_they_are_known(hall):
    song, remix = hall.family_tree()
    hall.sync()
    assert hall.family.sharing(remix.work_id).table == remix.shares
    assert hall.family.sharing(remix.work_id).fixed
    assert hall.family.parents_of(remix.work_id) == [(song.work_id, WHOLE // 5)]
    assert hall.family.children_of(song.work_id) == [(remix.work_id, WHOLE // 5)]
    blind = Family.of(hall.index, BlockStore(hall.store.path.parent / "empty"), hall.chain)
    assert blind.sharing(remix.work_id).reason == "no file"
    alone = hall.maker.publish(_file("All mine"))
    hall.sync()
    assert hall.family.sharing(alone.work_id).table == ShareTable.of_owner()
    assert hall.ways.of(alone.work_id).owners == {alone.work_id: hall.maker.key.address}
    assert hall.ways.of(alone.work_id).flows[0].payee == OWNER
