# SPDX-License-Identifier: Apache-2.0
"""From a file to an offer and from a Work's id to the file, with keepers that are processes."""

from __future__ import annotations

import shutil
import time
from typing import Any

import pytest

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.data.complaint import ComplaintState
from koinon.data.delivery import Delivery
from koinon.data.downloads import Downloads
from koinon.data.fair_exchange import CIPHERTEXT_FILE, LEAVES_FILE, SALE_FILE
from koinon.data.keeper_sale import (
    CONTENT_KEY,
    NOTE,
    Backing,
    download_sold,
    sell_download,
    sold_content,
)
from koinon.data.sale import SaleState
from koinon.errors import (
    BadInput,
    IntegrityError,
    KeyFault,
    NotFound,
    PaymentError,
    PeerError,
    TransactionFailed,
)
from koinon.store import BlockStore, digest_of
from koinon.works.bonds import Bonds
from koinon.works.terms import Consent, Offer, Terms, Use, text_digest
from tests.data.keeper_support import KeeperProcess

pytestmark = pytest.mark.e2e
CONTENT = bytes(range(256)) * 40
PRICE, STAKE = 300, 1_000


@pytest.fixture(scope="module")
def processes(tmp_path_factory, network_file):
    folder = tmp_path_factory.mktemp("keepers")
    started = [
        KeeperProcess(folder / name, network_file, look_s=0.1).start() for name in ("one", "two", "three")
    ]
    with Chain.open(network_file) as chain:
        for each in started:
            chain.rpc.call("anvil_setBalance", each.ready["account"], hex(10**19))
    yield started
    for each in started:
        each.kill()


class Shop:
    """A Work, its owner with money for a stake, a file, and a buyer."""

    def __init__(self, chain, new_account, folder, processes):
        self.chain, self.owner, self.folder, self.processes = chain, new_account(), folder, processes
        works = chain.contract("Works")
        receipt = chain.sender(self.owner).send(works.transaction("register(string)", "ipfs://work"))
        self.work_id = int(works.logs(receipt, "Registered")[0]["agentId"])
        self.store = BlockStore(folder / "store")
        self.buyer = new_account()
        for account in (self.owner, self.buyer):
            chain.sender(account).send(chain.coin.transaction("mint", account.address, STAKE))
        self.content = folder / "content"
        self.content.write_bytes(CONTENT)
        text = text_digest("Read it.")
        self.offer = Offer(chain.coin.address, PRICE, 0, Consent.OPEN, 0, text)

    def sell(self, **changes):
        options: dict[str, Any] = {
            "work_id": self.work_id,
            "keepers": [each.ready["url"] for each in self.processes],
            "threshold": 2,
            "offer": self.offer,
            "backing": Backing(STAKE, PRICE),
        } | changes
        content = options.pop("content", self.content)
        owner = options.pop("owner", self.owner)
        return sell_download(self.chain, self.store, owner, content, self.folder / "sale", **options)

    def buy(self):
        return Terms(self.chain).buy(self.buyer, self.work_id, Use.DOWNLOAD, self.offer)


@pytest.fixture
def shop(chain, new_account, tmp_path, processes):
    return Shop(chain, new_account, tmp_path, processes)


def test_from_a_file_to_an_offer_and_from_a_works_id_to_the_file(shop, tmp_path):
    sold = shop.sell()
    described = sold_content(shop.chain, shop.store, shop.work_id)
    assert described == sold.described
    assert Delivery(shop.chain).cover_left(sold.promise_id) == PRICE
    shop.buy()
    done = download_sold(shop.chain, shop.store, shop.buyer, described, tmp_path / "bought")
    assert (done.path.read_bytes(), done.faults) == (CONTENT, ())


def test_selling_again_changes_nothing_and_a_sale_that_was_cut_off_goes_on(shop, processes):
    processes[2].kill()
    with pytest.raises(PeerError):
        shop.sell()
    assert Terms(shop.chain).offer_of(shop.work_id, Use.DOWNLOAD) is None
    processes[2].start()
    sold = shop.sell()
    bonds = Bonds(shop.chain).contract
    posted = len(bonds.history("Posted", poster=shop.owner.address))
    assert shop.sell() == sold
    assert len(bonds.history("Posted", poster=shop.owner.address)) == posted == 1
    assert shop.sell(offer=shop.offer, backing=None).promise_id is None


def test_a_promise_that_was_cut_off_after_the_stake_takes_the_same_stake(shop):
    sold = shop.sell(backing=None)
    bond_id = Delivery(shop.chain).post_bond(shop.owner, STAKE, sold.described)
    again = shop.sell()
    assert Delivery(shop.chain).promise_of(again.promise_id).bond_id == bond_id


def test_a_folder_remembers_one_sale(shop, tmp_path):
    shop.sell(backing=None)
    (tmp_path / "other").write_bytes(b"other")
    changes: list[dict[str, Any]] = [{"threshold": 1}, {"keepers": []}, {"content": tmp_path / "other"}]
    for change in changes:
        with pytest.raises(BadInput) as other:
            shop.sell(**change)
        assert other.value.code == "data.other_sale"


def test_only_the_owner_sells_and_only_with_the_money_to_stake(shop, new_account):
    with pytest.raises(PeerError, match="not signed by the owner"):
        shop.sell(owner=new_account())
    (shop.folder / "sale" / NOTE).unlink()
    with pytest.raises(TransactionFailed):
        shop.sell(backing=Backing(STAKE + 1, PRICE))
    assert Terms(shop.chain).offer_of(shop.work_id, Use.DOWNLOAD) is None


def test_what_is_not_the_owners_description_is_not_bought(shop, tmp_path):
    works = shop.chain.contract("Works")

    def named(cid):
        shop.chain.sender(shop.owner).send(
            works.transaction("setMetadata", shop.work_id, CONTENT_KEY, digest_of(cid))
        )

    def refused(kind, code):
        with pytest.raises(kind) as error:
            sold_content(shop.chain, shop.store, shop.work_id)
        assert error.value.code == code

    refused(NotFound, "data.not_sold")
    sold = shop.sell(backing=None)
    named(shop.store.put(b"{}"))
    refused(IntegrityError, "data.sealed_content")
    named(shop.store.put(sold.described.signed(Key.generate(), Delivery(shop.chain).domain).to_json()))
    refused(IntegrityError, "data.content_signature")
    other = sold.described.to_json().replace(f'"{shop.work_id}"'.encode(), b'"1"')
    named(shop.store.put(other))
    refused(IntegrityError, "data.description")


def test_one_class_sells_buys_complains_and_reads_the_answers(shop, tmp_path):
    seller = Downloads(shop.chain, shop.store, tmp_path / "seller", shop.owner)
    buyer = Downloads(shop.chain, shop.store, tmp_path / "buyer", shop.buyer)
    urls = [each.ready["url"] for each in shop.processes]
    with pytest.raises(NotFound):
        seller.promise(shop.work_id, Backing(STAKE, PRICE))
    assert seller.sell(shop.work_id, shop.content, urls).promise_id is None
    assert buyer.covered(shop.work_id) == 0
    promise_id = seller.promise(shop.work_id, Backing(STAKE, PRICE, answer_s=3_600))
    assert seller.promise(shop.work_id, Backing(STAKE, PRICE)) == promise_id
    sold = seller.sell(
        shop.work_id, shop.content, urls, offer=shop.offer, backing=Backing(STAKE, PRICE, answer_s=3_600)
    )
    assert (sold.described.threshold, sold.promise_id) == (2, promise_id)
    assert buyer.covered(shop.work_id) == PRICE
    with pytest.raises(NotFound) as unpaid:
        buyer.paid_grant(shop.work_id)
    assert unpaid.value.code == "data.no_paid_grant"
    grant_id = buyer.buy(shop.work_id, shop.offer)
    assert buyer.paid_grant(shop.work_id) == grant_id
    assert buyer.download(shop.work_id, tmp_path / "bought").path.read_bytes() == CONTENT
    assert buyer.complaint(grant_id) == (ComplaintState.NONE, None)
    made = buyer.complain(grant_id)
    assert made.cover == PRICE
    end = time.monotonic() + 60
    while buyer.complaint(grant_id)[0] is not ComplaintState.SERVED:
        assert time.monotonic() < end, "the keepers do not answer"
        time.sleep(0.1)
    assert buyer.fetch_answered(grant_id, tmp_path / "answered").path.read_bytes() == CONTENT
    with pytest.raises(PaymentError) as served:
        buyer.refund(grant_id)
    assert served.value.code == "data.answered"
    with pytest.raises(KeyFault):
        Downloads(shop.chain, shop.store, tmp_path).buy(shop.work_id, shop.offer)


def test_the_same_class_exchanges_without_keepers(shop, tmp_path):
    seller = Downloads(shop.chain, shop.store, tmp_path / "seller", shop.owner)
    buyer = Downloads(shop.chain, shop.store, tmp_path / "buyer", shop.buyer)
    Terms(shop.chain).offer(
        shop.owner, shop.work_id, Use.DOWNLOAD, price=PRICE, terms_digest=shop.offer.terms_digest
    )
    with pytest.raises(NotFound):
        seller.prepare(shop.work_id, shop.content, shop.buyer.address, tmp_path / "hers")
    root = seller.announce(shop.work_id, shop.content)
    (tmp_path / "other").write_bytes(b"other")
    with pytest.raises(BadInput) as other:
        seller.prepare(shop.work_id, tmp_path / "other", shop.buyer.address, tmp_path / "hers")
    assert other.value.code == "data.not_announced"
    seller.prepare(shop.work_id, shop.content, shop.buyer.address, tmp_path / "hers")
    (tmp_path / "his").mkdir()
    for name in (SALE_FILE, CIPHERTEXT_FILE, LEAVES_FILE):
        shutil.copy(tmp_path / "hers" / name, tmp_path / "his" / name)
    agreed = buyer.agreed(shop.work_id)
    assert (agreed.root, agreed.offer) == (root, shop.offer)
    assert buyer.lock(agreed, tmp_path / "his") is SaleState.LOCKED
    assert seller.seller_step(tmp_path / "hers") is SaleState.REVEALED
    assert buyer.buyer_step(tmp_path / "his", tmp_path / "bought") is SaleState.COMPLETED
    assert (tmp_path / "bought").read_bytes() == CONTENT
