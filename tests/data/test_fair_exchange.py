# SPDX-License-Identifier: Apache-2.0
"""Seller and buyer through a node, each able to crash between any two steps."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.keys import Key
from koinon.data.block_tree import (
    BlockTree,
    block_count,
    block_leaf,
    block_node,
    crypt_block,
    read_blocks,
    tree_of,
)
from koinon.data.exchange_offer import announce, wanted
from koinon.data.fair_buyer import FairBuyer
from koinon.data.fair_exchange import (
    CIPHERTEXT_FILE,
    KEY_FILE,
    LEAVES_FILE,
    SALE_FILE,
    FairSeller,
)
from koinon.data.sale import Sale, SaleState
from koinon.errors import BadInput, IntegrityError, KeyFault, NotFound, PaymentError
from koinon.works.terms import Terms, Use, text_digest

CONTENT = bytes(range(251)) * 20
TEXT = text_digest("Yours to read.")
HOUR = 3_600


@given(size=st.integers(1, 9 * 1024), data=st.data())
def test_every_leaf_leads_to_the_root_and_blocks_give_the_content_back(size, data):
    content = bytes(size)
    blocks = list(read_blocks(io.BytesIO(content), size))
    assert len(blocks) == block_count(size)
    assert b"".join(blocks)[:size] == content
    tree = tree_of(io.BytesIO(content), size)
    index = data.draw(st.integers(0, len(blocks) - 1))
    node = block_leaf(size, index, blocks[index])
    for depth, sibling in enumerate(tree.proof(index)):
        node = block_node(sibling, node) if index >> depth & 1 else block_node(node, sibling)
    assert node == tree.root
    assert tree.leaf(index) == block_leaf(size, index, blocks[index])


@given(
    key=st.binary(min_size=32, max_size=32),
    index=st.integers(0, 2**32),
    block=st.binary(min_size=1024, max_size=1024),
)
def test_encrypting_twice_gives_the_block_back(key, index, block):
    assert crypt_block(key, index, crypt_block(key, index, block)) == block


def test_a_root_binds_size_and_order():
    roots = {
        tree_of(io.BytesIO(content), len(content)).root
        for content in (b"a", b"a\x00", bytes(1024) + b"a", b"a" + bytes(1024))
    }
    assert len(roots) == 4
    assert BlockTree([bytes(32)]).root == bytes(32)


@pytest.mark.parametrize("size", [0, -1, 2**42 + 1])
def test_a_size_that_cannot_be_exchanged_is_refused(size):
    with pytest.raises(BadInput) as refused:
        block_count(size)
    assert refused.value.code == "data.exchange_size"


def test_a_stream_that_ends_early_is_noticed():
    with pytest.raises(BadInput) as refused:
        list(read_blocks(io.BytesIO(bytes(1500)), 2000))
    assert refused.value.code == "data.exchange_short"


class Market:
    """A Work with an offer, its owner and a buyer, on the devnet."""

    def __init__(self, chain, new_account, folder, token=None):
        self.chain, self.owner, self.buyer, self.folder = chain, new_account(), new_account(), folder
        works = chain.contract("Works")
        receipt = chain.sender(self.owner).send(works.transaction("register(string)", "ipfs://work"))
        self.work_id = int(works.logs(receipt, "Registered")[0]["agentId"])
        self.till = str(works.call("till_of", self.work_id))
        self.terms = Terms(chain)
        self.offer = self.terms.offer(
            self.owner, self.work_id, Use.DOWNLOAD, price=300, terms_digest=TEXT, token=token
        )
        chain.sender(self.buyer).send(chain.coin.transaction("mint", self.buyer.address, 1000))
        self.content = folder / "content"
        self.content.write_bytes(CONTENT)
        self.root = tree_of(io.BytesIO(CONTENT), len(CONTENT)).root
        self.target = folder / "bought"
        announce(chain, self.owner, self.work_id, self.content)

    @property
    def agreed(self):
        return wanted(self.chain, self.work_id)

    def seller(self):
        return FairSeller(self.chain, self.owner, self.folder / "seller")

    def purchaser(self):
        return FairBuyer(self.chain, self.buyer, self.folder / "buyer")

    def prepared(self, **options):
        self.seller().prepare(
            self.content, work_id=self.work_id, buyer=self.buyer.address, offer=self.offer, **options
        )
        (self.folder / "buyer").mkdir()
        for name in (SALE_FILE, CIPHERTEXT_FILE, LEAVES_FILE):
            shutil.copy(self.folder / "seller" / name, self.folder / "buyer" / name)

    def coins(self, account):
        return int(self.chain.coin.call("balanceOf", account))

    def wait(self, seconds):
        self.chain.rpc.call("evm_increaseTime", seconds)
        self.chain.rpc.call("evm_mine")


@pytest.fixture
def market(own_chain, own_account, tmp_path):
    return Market(own_chain, own_account, tmp_path)


@pytest.mark.e2e
def test_an_honest_sale_in_coins_survives_a_crash_between_any_two_steps(market):
    market.prepared()
    again = market.seller().prepare(
        market.content, work_id=market.work_id, buyer=market.buyer.address, offer=market.offer
    )
    assert again == market.purchaser().sale()[0]
    assert market.seller().step() is SaleState.UNKNOWN
    assert market.purchaser().step(market.target) is SaleState.UNKNOWN
    assert market.purchaser().lock(market.agreed) is SaleState.LOCKED
    assert market.purchaser().lock(market.agreed) is SaleState.LOCKED
    assert market.coins(market.buyer.address) == 700
    assert market.purchaser().step(market.target) is SaleState.LOCKED
    assert market.seller().step(depth=5) is SaleState.LOCKED
    assert market.seller().step() is SaleState.REVEALED
    assert market.seller().step() is SaleState.REVEALED
    told = []
    assert market.purchaser().step(market.target, progress=lambda *n: told.append(n)) is SaleState.COMPLETED
    assert market.target.read_bytes() == CONTENT
    assert told[-1] == (5, 5)
    assert market.coins(market.till) == 300
    assert market.terms.is_granted(market.work_id, Use.DOWNLOAD, market.buyer.address)
    market.target.unlink()
    assert market.purchaser().step(market.target) is SaleState.COMPLETED
    assert market.target.read_bytes() == CONTENT


@pytest.mark.e2e
def test_a_sale_in_ether(own_chain, own_account, tmp_path):
    market = Market(own_chain, own_account, tmp_path, token=ZERO_ADDRESS)
    market.prepared()
    market.purchaser().lock(market.agreed)
    market.seller().step()
    assert market.purchaser().step(market.target) is SaleState.COMPLETED
    assert own_chain.balance(market.till) == 300


@pytest.mark.e2e
def test_a_buyer_who_never_comes_back_still_pays(market):
    market.prepared(dispute_s=HOUR)
    market.purchaser().lock(market.agreed)
    market.seller().step()
    market.wait(HOUR + 1)
    assert market.seller().step() is SaleState.COMPLETED
    assert market.coins(market.till) == 300
    assert market.purchaser().step(market.target) is SaleState.COMPLETED
    assert market.target.read_bytes() == CONTENT


@pytest.mark.e2e
def test_a_seller_who_does_not_reveal_gets_nothing_and_one_who_is_late_keeps_the_key_secret(market):
    market.prepared(reveal_s=HOUR)
    market.purchaser().lock(market.agreed)
    market.wait(HOUR - 30)
    assert market.seller().step() is SaleState.LOCKED
    market.wait(31)
    assert market.purchaser().step(market.target) is SaleState.REFUNDED
    assert market.coins(market.buyer.address) == 1000
    assert market.seller().step() is SaleState.REFUNDED


def cheat(market):
    """Hand over a ciphertext whose third block is rubbish, signed as if it were right."""
    seller = market.seller()
    sale, _ = seller.sale()
    hidden = bytearray((seller.folder / CIPHERTEXT_FILE).read_bytes())
    hidden[2048:2080] = bytes(32)
    blocks = [bytes(hidden[place : place + 1024]) for place in range(0, len(hidden), 1024)]
    root = BlockTree([block_leaf(sale.size, index, block) for index, block in enumerate(blocks)]).root
    sale = replace(sale, ciphertext_root=root)
    text = sale.to_json(sale.sign(market.owner, seller.domain))
    for folder in (seller.folder, market.purchaser().folder):
        (folder / CIPHERTEXT_FILE).write_bytes(hidden)
        (folder / SALE_FILE).write_bytes(text)


@pytest.mark.e2e
def test_a_seller_who_hands_over_something_else_pays_the_price_back(market):
    market.prepared()
    cheat(market)
    market.purchaser().lock(market.agreed)
    market.seller().step()
    assert market.purchaser().step(market.target) is SaleState.REFUNDED
    assert market.coins(market.buyer.address) == 1000
    assert not market.target.exists()


@pytest.mark.e2e
def test_a_buyer_who_looks_too_late_is_told_which_block_was_wrong(market):
    market.prepared(dispute_s=HOUR)
    cheat(market)
    market.purchaser().lock(market.agreed)
    market.seller().step()
    market.wait(HOUR + 1)
    market.seller().step()
    with pytest.raises(IntegrityError, match="Block 2 "):
        market.purchaser().step(market.target)


@pytest.mark.e2e
def test_a_buyer_who_looks_after_the_time_to_dispute_is_told_before_anyone_completes(market):
    market.prepared(dispute_s=HOUR)
    cheat(market)
    market.purchaser().lock(market.agreed)
    market.seller().step()
    market.wait(HOUR + 1)
    with pytest.raises(IntegrityError) as late:
        market.purchaser().step(market.target)
    assert late.value.code == "data.sale_too_late"


@pytest.mark.e2e
def test_a_ciphertext_that_was_damaged_here_accuses_nobody(market):
    market.prepared()
    market.purchaser().lock(market.agreed)
    market.seller().step()
    file = market.purchaser().folder / CIPHERTEXT_FILE
    right = file.read_bytes()
    file.write_bytes(bytes(32) + right[32:])
    with pytest.raises(IntegrityError) as changed:
        market.purchaser().step(market.target)
    assert changed.value.code == "data.sale_changed"
    file.write_bytes(right)
    assert market.purchaser().step(market.target) is SaleState.COMPLETED


@pytest.mark.e2e
def test_a_sale_that_is_over_is_not_locked(market):
    market.prepared(valid_s=HOUR)
    market.wait(HOUR + 1)
    with pytest.raises(PaymentError) as over:
        market.purchaser().lock(market.agreed)
    assert over.value.code == "data.sale_over"


@pytest.mark.e2e
def test_a_work_without_root_or_offer_has_nothing_to_exchange(market):
    assert announce(market.chain, market.owner, market.work_id, market.content) == market.root
    market.terms.close(market.owner, market.work_id, Use.DOWNLOAD)
    works = market.chain.contract("Works")
    market.chain.sender(market.owner).send(works.transaction("register(string)", "ipfs://other"))
    market.terms.offer(market.owner, market.work_id + 1, Use.DOWNLOAD, price=300, terms_digest=TEXT)
    for work_id in (market.work_id, market.work_id + 1):
        with pytest.raises(NotFound) as none:
            wanted(market.chain, work_id)
        assert none.value.code == "data.not_exchanged"


@pytest.mark.e2e
def test_nothing_is_locked_for_what_does_not_fit(market, own_account):
    market.prepared(dispute_s=HOUR)
    buyer = market.purchaser()

    def refused(code, side=buyer, agreed=market.agreed, **options):
        with pytest.raises((IntegrityError, PaymentError, NotFound)) as error:
            side.lock(agreed, **options)
        assert error.value.code == code

    refused("data.sale_unfit", agreed=replace(market.agreed, root=bytes(32)))
    refused("data.sale_unfit", agreed=replace(market.agreed, work_id=market.work_id + 1))
    for change in ({"price": 299}, {"token": ZERO_ADDRESS}, {"period_s": 1}, {"terms_digest": bytes(32)}):
        cheaper = replace(market.agreed, offer=replace(market.offer, **change))
        refused("data.sale_terms", agreed=cheaper)
    refused("data.sale_dispute", least_dispute_s=HOUR + 1)
    refused("data.sale_reveal", longest_reveal_s=HOUR)
    refused("data.sale_buyer", FairBuyer(market.chain, own_account(), buyer.folder))
    refused("data.no_sale", FairBuyer(market.chain, market.buyer, market.folder / "nowhere"))
    for name in (LEAVES_FILE, CIPHERTEXT_FILE):
        right = (buyer.folder / name).read_bytes()
        for wrong in (b"", right[:-32], right + bytes(32), bytes(len(right))):
            (buyer.folder / name).write_bytes(wrong)
            refused("data.sale_unfit")
        (buyer.folder / name).unlink()
        refused("data.sale_unfit")
        (buyer.folder / name).write_bytes(right)
    sale, _ = buyer.sale()
    (buyer.folder / SALE_FILE).write_bytes(sale.to_json(sale.sign(Key.generate(), buyer.domain)))
    refused("data.sale_unfit")


@pytest.mark.e2e
def test_a_seller_who_lost_the_key_is_told(market):
    market.prepared()
    market.purchaser().lock(market.agreed)
    (market.folder / "seller" / KEY_FILE).unlink()
    with pytest.raises(KeyFault) as lost:
        market.seller().step()
    assert lost.value.code == "data.sale_key"


@pytest.mark.parametrize(
    "change",
    [{"price": "-1"}, {"buyer": "you"}, {"plaintext_root": "0x12"}, {"size": "much"}, {"price": None}],
)
def test_what_is_no_sale_is_refused(change):
    zero = "0x" + "00" * 32
    fields = {
        "work_id": "1",
        "seller": "0x" + "11" * 20,
        "buyer": "0x" + "22" * 20,
        "plaintext_root": zero,
        "ciphertext_root": zero,
        "size": "1",
        "key_commitment": zero,
        "token": ZERO_ADDRESS,
        "price": "1",
        "period": "0",
        "terms_digest": zero,
        "reveal_s": "1",
        "dispute_s": "1",
        "valid_until": "1",
    }
    sale, signature = Sale.from_json(orjson.dumps({"sale": fields, "signature": "00"}))
    assert Sale.from_json(sale.to_json(signature)) == (sale, b"\x00")
    for wrong in ({"sale": fields | change, "signature": "00"}, {"sale": fields}, None):
        with pytest.raises(IntegrityError) as refused:
            Sale.from_json(orjson.dumps(wrong))
        assert refused.value.code == "data.sale"
