# SPDX-License-Identifier: Apache-2.0
"""The hall's front door against a real node: publish, permit, earn, collect along a lineage."""

from __future__ import annotations

import pytest

from koinon.chain.contract import Call
from koinon.errors import BadInput, KeyFault, NotFound, TransactionFailed
from koinon.store.blocks import BlockStore
from koinon.works.api import Parent, ParentMode, Works
from koinon.works.registration import Card, Registration
from koinon.works.shares import OWNER, WHOLE, ShareTable
from koinon.works.till import ETH

pytestmark = pytest.mark.e2e

FILE = Registration(
    "A song",
    "Sung by a test.",
    Card("artwork", "A song.", "None.", ("Only a test.",), "Tell the tester.", unmeasured="Taste."),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return BlockStore(tmp_path_factory.mktemp("blocks"))


@pytest.fixture
def artist(chain, store, devnet):
    return Works(chain, store, devnet.key(1))


@pytest.fixture
def remixer(chain, store, devnet):
    return Works(chain, store, devnet.key(2))


def _pay(works, work_id, amount):
    coin = works.chain.coin
    works.chain.sender(works.key).send(coin.transaction("mint", works.till_of(work_id), amount))


def test_a_work_of_ones_own_takes_one_transaction_and_is_read_back(artist):
    published = artist.publish(FILE, royalty_bps=500, metadata=[("colour", b"blue")])
    assert artist.owner_of(published.work_id) == artist.key.address
    assert artist.till_of(published.work_id) == artist.contract.call("till_of", published.work_id)
    assert artist.contract.call("royaltyInfo", published.work_id, 1000) == (published.till, 50)
    assert not artist.is_deployed(published.work_id)
    file = artist.registration_of(published.work_id)
    assert file.signer == artist.key.address
    assert file.registration.shares == ShareTable.of_owner() == artist.shares_of(published.work_id)


def test_income_climbs_from_a_remix_to_its_source(artist, remixer, devnet):
    friend = devnet.key(3).address
    song = artist.publish(FILE, shares={friend: 0.25})
    artist.set_parent_rule(song.work_id, ParentMode.OPEN, WHOLE // 10)
    remix = remixer.publish(FILE, parents=[Parent(song.work_id, WHOLE // 5)], shares={friend: 0.1})
    assert remixer.parents_of(remix.work_id) == [(song.work_id, WHOLE // 5)]
    assert remixer.shares_of(remix.work_id).to_json() == {
        OWNER: 700_000_000,
        song.till: 200_000_000,
        friend: 100_000_000,
    }
    _pay(remixer, remix.work_id, 1_000_003)
    assert remixer.due(remix.work_id) == 700_002
    collected = remixer.collect(remix.work_id)
    assert collected.skipped == {}
    assert collected.received(remixer.key.address) == 700_002
    assert collected.received(friend) == 100_000 + 50_000
    assert artist.balances(song.work_id, [artist.chain.coin.address]) == {artist.chain.coin.address: 150_000}
    assert artist.release(song.work_id) == 150_000
    assert artist.release(song.work_id) == 0
    assert remixer.balances(remix.work_id)[remixer.chain.coin.address] == 1


def test_eth_is_income_too_and_a_till_need_not_be_deployed(artist):
    song = artist.publish(FILE)
    artist.chain.sender(artist.key).send(Call(song.till, value=10**15))
    assert artist.balances(song.work_id) == {artist.chain.coin.address: 0, ETH: 10**15}
    assert artist.due(song.work_id, token=ETH) == 10**15
    assert artist.due(song.work_id, artist.key.address, token=ETH) == 0
    assert not artist.is_deployed(song.work_id)
    assert [payout.amount for payout in artist.collect(song.work_id, ETH).payouts] == [10**15]


def test_a_signed_parent_needs_its_owners_permission(artist, remixer):
    song = artist.publish(FILE)
    with pytest.raises(TransactionFailed) as refused:
        remixer.publish(FILE, parents=[Parent(song.work_id, 5)])
    assert refused.value.reason == "parent not asked"
    with pytest.raises(KeyFault):
        remixer.permission(song.work_id, remixer.key.address, 5, 0)
    deadline = artist.chain.timestamp() + 3600
    leave = artist.permission(song.work_id, remixer.key.address, 5, deadline)
    remix = remixer.publish(FILE, parents=[Parent(song.work_id, 5, leave)])
    assert remixer.shares_of(remix.work_id)[song.till] == 5


def test_a_till_becomes_its_works_agent_wallet(artist):
    song = artist.publish(FILE)
    artist.use_till_as_wallet(song.work_id)
    assert artist.contract.call("getAgentWallet", song.work_id) == song.till


def test_shares_must_leave_parents_what_was_promised(artist, devnet):
    song = artist.publish(FILE)
    with pytest.raises(BadInput) as refused:
        artist.publish(FILE, parents=[Parent(song.work_id, 100)], shares=ShareTable.of_owner())
    assert refused.value.code == "works.parent_share"
    with pytest.raises(BadInput) as refused:
        artist.publish(FILE, parents=[Parent(song.work_id, WHOLE)], shares={devnet.key(4).address: 0.5})
    assert refused.value.code == "shares.sum"


def test_what_cannot_be_paid_is_named_and_the_rest_is_paid(artist, remixer, chain, tmp_path):
    song = artist.publish(FILE)
    artist.set_parent_rule(song.work_id, ParentMode.OPEN)
    stubborn = chain.network.address("Works")  # takes no ETH
    remix = remixer.publish(FILE, parents=[Parent(song.work_id, WHOLE // 10)], shares={stubborn: 0.5})
    remixer.chain.sender(remixer.key).send(Call(remix.till, value=1000))
    collected = remixer.collect(remix.work_id, ETH)
    assert sorted(payout.amount for payout in collected.payouts) == [100, 400]
    assert list(collected.skipped) == [remix.work_id]
    assert stubborn in collected.skipped[remix.work_id]
    elsewhere = Works(chain, BlockStore(tmp_path / "empty"), remixer.key)
    _pay(remixer, remix.work_id, 1000)
    with pytest.raises(NotFound) as refused:
        elsewhere.shares_of(remix.work_id)
    assert refused.value.code == "works.no_shares"
    assert list(elsewhere.collect(remix.work_id).skipped) == [remix.work_id]


def test_a_new_file_does_not_hide_the_shares(artist, devnet):
    song = artist.publish(FILE, shares={devnet.key(5).address: 0.5})
    artist.chain.sender(artist.key).send(
        artist.contract.transaction("setAgentURI", song.work_id, "https://example.com/song.json")
    )
    assert artist.shares_of(song.work_id) == song.shares
    with pytest.raises(NotFound) as refused:
        artist.registration_of(song.work_id)
    assert refused.value.code == "works.uri"


def test_a_child_without_a_root_says_so(artist):
    song = artist.publish(FILE)
    receipt = artist.chain.sender(artist.key).send(
        artist.contract.transaction("publish", "", [], 0, [(song.work_id, 1, b"")])
    )
    child = artist.contract.logs(receipt, "Registered")[0]["agentId"]
    with pytest.raises(NotFound) as refused:
        artist.shares_of(child)
    assert refused.value.code == "works.no_root"
    with pytest.raises(BadInput):
        artist.write_root(child, ShareTable.of_owner())


def test_works_that_do_not_exist_and_hands_without_a_key(artist, chain, store):
    for call in (artist.owner_of, artist.parents_of, artist.registration_of, artist.shares_of, artist.due):
        with pytest.raises(NotFound) as refused:
            call(10_000)
        assert refused.value.code == "works.work"
    with pytest.raises(NotFound):
        artist.publish(FILE, parents=[Parent(10_000, 1)])
    reader = Works(chain, store)
    assert reader.owner_of(1)
    with pytest.raises(KeyFault) as unable:
        reader.publish(FILE)
    assert unable.value.code == "works.no_key"


def test_publishing_that_was_cut_off_pays_nobody_until_it_is_finished(artist, devnet, monkeypatch):
    friend = devnet.key(3).address

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(artist, "write_root", killed)
    with pytest.raises(KeyboardInterrupt):
        artist.publish(FILE, shares={friend: 0.25})
    monkeypatch.undo()
    work_id = int(artist.contract.call("total"))
    _pay(artist, work_id, 1_000)
    assert work_id in artist.collect(work_id).skipped
    with pytest.raises(NotFound, match="Nobody wrote yet"):
        artist.release(work_id)
    assert artist.finish(work_id)[friend] == WHOLE // 4
    assert artist.collect(work_id).received(friend) == 250
    with pytest.raises(NotFound, match="not cut off"):
        artist.finish(work_id)
