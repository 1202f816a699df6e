# SPDX-License-Identifier: Apache-2.0
"""Buyers whose keepers fail them, with keepers that are processes and a chain whose clock moves."""

from __future__ import annotations

import time
from typing import Any

import pytest

from koinon.chain.keys import Key
from koinon.data.complaint import (
    ComplaintState,
    answered_key,
    complain,
    open_answers,
    refund,
    refute_false,
    state_of,
)
from koinon.data.delivery import ANSWER_S, CHECK_S, Delivery
from koinon.data.download import download, gather, keepers_of
from koinon.data.hidden_share import ComplaintKeys
from koinon.data.keeper_answers import ComplaintDesk
from koinon.data.keeper_sale import download_answered
from koinon.data.keeper_server import Keeper
from koinon.data.sealed_box import BoxKey
from koinon.errors import IntegrityError, KeyFault, NotFound, PaymentError, PeerError, TransactionFailed
from koinon.works.terms import Use
from tests.data.keeper_support import KeeperProcess
from tests.data.sold_support import CONTENT, PRICE, TEXT, Sold

pytestmark = pytest.mark.e2e
STAKE = 1_000
LOOK_S = 0.1
PATIENCE_S = 60


@pytest.fixture(scope="module")
def processes(tmp_path_factory, own_chain, own_devnet):
    """Two honest keepers, one that never gives anything, one that answers rubbish; all with ETH for gas."""
    folder = tmp_path_factory.mktemp("keepers")
    own_chain.network.save(folder / "network.json")
    started = {}
    for name in ("honest", "honest too", "silent", "rubbish"):
        kind = name.partition(" ")[0]
        started[name] = KeeperProcess(folder / name, folder / "network.json", kind, look_s=LOOK_S).start()
        own_chain.rpc.call("anvil_setBalance", started[name].ready["account"], hex(10**19))
    yield started
    for each in started.values():
        each.kill()


class Deal:
    """A content with a promise behind it, bought by somebody."""

    def __init__(self, chain, account, folder, processes, names):
        self.chain, self.folder = chain, folder
        self.keepers = [processes[name] for name in names]
        self.sold = Sold(chain, account(), folder, self.keepers)
        self.described = self.sold.described
        self.delivery = Delivery(chain)
        chain.sender(self.sold.owner).send(chain.coin.transaction("mint", self.sold.owner.address, STAKE))
        self.bond_id = self.delivery.post_bond(self.sold.owner, STAKE, self.described)
        self.promise_id = self.delivery.promise(
            self.sold.owner, self.described, bond_id=self.bond_id, max_refund=PRICE
        )
        self.buyer = account()
        chain.sender(self.buyer).send(chain.coin.transaction("mint", self.buyer.address, PRICE))
        self.grant_id = self.sold.terms.buy(self.buyer, self.sold.work_id, Use.DOWNLOAD, self.sold.offer)
        self.secret = folder / f"complaint{self.grant_id}.key"

    @property
    def case(self):
        return self.described, self.grant_id, self.secret

    def complain(self, **options):
        return complain(self.chain, self.buyer, *self.case, **options)

    def refund(self):
        return refund(self.chain, self.buyer, *self.case)

    def download_answered(self, target):
        return download_answered(
            self.chain, self.sold.store, self.described, self.grant_id, target, secret_file=self.secret
        )

    def state(self):
        return state_of(self.chain, *self.case)

    def coins(self):
        return int(self.chain.coin.call("balanceOf", self.buyer.address))

    def until_answered(self, count):
        end = time.monotonic() + PATIENCE_S
        while len(self.delivery.answers_to(self.grant_id)) < count:
            assert time.monotonic() < end, "the keepers do not answer"
            time.sleep(LOOK_S)

    def wait(self, seconds):
        self.chain.rpc.call("evm_increaseTime", seconds)
        self.chain.rpc.call("evm_mine")


@pytest.fixture
def deal(own_chain, own_account, tmp_path, processes):
    return lambda *names: Deal(own_chain, own_account, tmp_path, processes, names)


def test_keepers_that_never_give_their_shares_cost_the_seller_the_price(deal, tmp_path):
    case = deal("honest", "silent")
    with pytest.raises(PeerError) as failed:
        download(
            case.sold.store,
            case.described,
            tmp_path / "bought",
            keepers_of(case.chain, case.buyer, case.described),
        )
    assert failed.value.code == "data.too_few_shares"
    with pytest.raises(NotFound):
        case.refund()
    assert case.state() is ComplaintState.NONE
    made = case.complain()
    assert (made.cover, made.payer) == (PRICE, case.buyer.address)
    assert case.complain() == made
    case.until_answered(1)
    assert case.state() is ComplaintState.WAITING
    with pytest.raises(PaymentError) as early:
        case.refund()
    assert early.value.code == "data.answers_due"
    with pytest.raises(PeerError):
        answered_key(case.chain, *case.case)
    with pytest.raises(PeerError, match="did not answer the complaint"):
        case.download_answered(tmp_path / "bought")
    assert case.sold.terms.is_granted(case.sold.work_id, Use.DOWNLOAD, case.buyer.address)
    case.wait(ANSWER_S + 1)
    assert case.state() is ComplaintState.REFUNDABLE
    assert case.refund() == PRICE == case.coins()
    assert case.refund() == PRICE == case.coins()
    assert case.state() is ComplaintState.CLOSED
    assert not case.sold.terms.is_granted(case.sold.work_id, Use.DOWNLOAD, case.buyer.address)
    with pytest.raises(PeerError, match="no running grant"):
        gather(case.described, keepers_of(case.chain, case.buyer, case.described))


def test_a_buyer_cut_off_between_giving_up_and_closing_still_gets_the_money(deal):
    case = deal("honest", "silent")
    case.complain()
    case.wait(ANSWER_S + 1)
    case.sold.terms.surrender(case.buyer, case.sold.work_id, Use.DOWNLOAD)
    assert case.refund() == PRICE == case.coins()


def test_rubbish_on_chain_is_refuted_and_the_price_comes_back(deal):
    case = deal("honest", "rubbish")
    case.complain()
    case.until_answered(2)
    assert open_answers(case.chain, *case.case).false == (1,)
    with pytest.raises(PeerError, match="rubbish"):
        answered_key(case.chain, *case.case)
    case.wait(ANSWER_S + 1)
    assert case.refund() == PRICE == case.coins()


def test_rubbish_that_nobody_refuted_in_time_counts(deal):
    case = deal("honest", "rubbish")
    case.complain()
    case.until_answered(2)
    case.wait(ANSWER_S + CHECK_S + 1)
    with pytest.raises(PaymentError) as late:
        case.refund()
    assert late.value.code == "data.answered"
    assert case.sold.terms.is_granted(case.sold.work_id, Use.DOWNLOAD, case.buyer.address)


def test_who_was_served_and_complains_is_served_on_chain_and_paid_nothing(deal, tmp_path):
    case = deal("honest", "honest too", "rubbish")
    ask = keepers_of(case.chain, case.buyer, case.described)
    key = gather(case.described, ask).key
    case.complain()
    case.until_answered(3)
    assert case.state() is ComplaintState.SERVED
    received = answered_key(case.chain, *case.case)
    assert received.key == key
    assert [fault.lied for fault in received.faults] == [True]
    done = case.download_answered(tmp_path / "bought")
    assert done.path.read_bytes() == CONTENT
    assert refute_false(case.chain, case.buyer, *case.case) == ()
    case.wait(ANSWER_S + 1)
    with pytest.raises(PaymentError) as refused:
        case.refund()
    assert refused.value.code == "data.answered"
    case.secret.unlink()
    with pytest.raises(KeyFault):
        case.state()


def test_a_keeper_that_was_killed_answers_after_it_comes_back(deal, processes):
    case = deal("honest", "honest too")
    processes["honest"].kill()
    case.complain()
    case.until_answered(1)
    processes["honest"].start()
    case.until_answered(2)
    assert case.state() is ComplaintState.SERVED


def test_a_promise_of_somebody_elses_content_under_ones_own_work_opens_nothing(
    deal, own_account, tmp_path, processes
):
    """The attacker sells a worthless Work to itself, promises another's content, and complains."""
    victim = deal("honest", "honest too")
    attacker = own_account()
    other = Sold(victim.chain, attacker, tmp_path, victim.keepers)
    delivery = victim.delivery
    victim.chain.sender(attacker).send(victim.chain.coin.transaction("mint", attacker.address, STAKE + PRICE))
    bond = delivery.post_bond(attacker, STAKE, victim.described)
    receipt = victim.chain.sender(attacker).send(
        delivery.contract.transaction(
            "promise",
            other.work_id,
            bond,
            victim.sold.content_id,
            [keeper.account for keeper in victim.described.keepers],
            list(victim.described.commitments),
            2,
            PRICE,
            3_600,
            3_600,
        )
    )
    promise_id = int(delivery.contract.logs(receipt, "Promised")[0]["promise_id"])
    with pytest.raises(IntegrityError):
        delivery.check(promise_id, victim.described)
    assert promise_id not in delivery.promises(victim.described)
    grant_id = other.terms.buy(attacker, other.work_id, Use.DOWNLOAD, other.offer)
    delivery.complain(attacker, promise_id, grant_id, ComplaintKeys(bytes(range(32)), 2).points)
    victim.complain()
    victim.until_answered(2)
    assert delivery.answers_to(grant_id) == {}


def test_nothing_is_complained_about_where_nothing_was_promised(deal, own_account, tmp_path):
    case = deal("honest", "silent")
    other = Sold(case.chain, own_account(), tmp_path, case.keepers)
    with pytest.raises(NotFound) as none:
        complain(case.chain, case.buyer, other.described, case.grant_id, tmp_path / "none")
    assert none.value.code == "data.no_promise"
    with pytest.raises(IntegrityError):
        complain(
            case.chain,
            case.buyer,
            other.described,
            case.grant_id,
            tmp_path / "none",
            promise_id=case.promise_id,
        )
    assert not (tmp_path / "none").exists()
    gift = case.sold.terms.give(
        case.sold.owner, case.sold.work_id, Use.COMPUTE, case.buyer.address, terms_digest=TEXT
    )
    with pytest.raises(TransactionFailed, match="another Work or use"):
        complain(case.chain, case.buyer, case.described, gift, tmp_path / "none")


def test_a_complaint_goes_under_the_promise_that_was_made_when_the_grant_was_bought(deal):
    case = deal("silent", "rubbish")
    case.wait(1)
    later = case.delivery.promise(case.sold.owner, case.described, bond_id=case.bond_id, max_refund=PRICE * 2)
    case.delivery.end(case.sold.owner, case.promise_id)
    case.wait(2 * CHECK_S)
    assert case.delivery.promises(case.described) == [later, case.promise_id]
    assert case.complain().promise_id == case.promise_id


class NotingDesk(ComplaintDesk):
    """Notes what it looks at and answers nothing; it has lost the share of one content."""

    def __init__(self, chain, depth=0, lost=0):
        no_book: Any = None
        super().__init__(chain, Keeper(chain, Key.generate(), BoxKey.generate(), no_book), depth)
        self.looked, self.lost = [], lost

    def _answer_to(self, delivery, grant_id, log):
        if grant_id == self.lost:
            raise IntegrityError("The share was lost.", code="data.share")
        self.looked.append(grant_id)


def test_a_complaint_that_cannot_be_answered_keeps_no_other_waiting(deal, own_chain):
    first, second = deal("silent", "rubbish"), deal("silent", "rubbish")
    first.complain()
    second.complain()
    desk = NotingDesk(own_chain, lost=first.grant_id)
    assert desk.answer() == []
    assert desk.trouble is not None
    assert second.grant_id in desk.looked
    assert list(desk._waiting) == [first.grant_id]


def test_a_complaint_waits_until_it_is_deep_enough(deal, own_chain):
    case = deal("silent", "rubbish")
    case.complain()
    desk = NotingDesk(own_chain, depth=50)
    desk.answer()
    assert case.grant_id not in desk.looked
    own_chain.rpc.call("anvil_mine", hex(50))
    desk.answer()
    assert desk.looked.count(case.grant_id) == 1
    desk.answer()
    assert desk.looked.count(case.grant_id) == 1
