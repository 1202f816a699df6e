# SPDX-License-Identifier: Apache-2.0
"""The sending queue against a real node."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence

import pytest

from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.anvil import spawn
from koinon.chain.contract import Call
from koinon.chain.devnet import free_port
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.chain.outbox import MemoryOutbox
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Patience, Sender
from koinon.chain.transactions import SignedTransaction, Transaction
from koinon.errors import BadInput, NodeUnavailable, TransactionFailed

ETHER = 10**18
TARGET = "0x" + "11" * 20


@pytest.fixture
def account(new_account):
    return new_account()


@pytest.fixture
def sender(chain, account) -> Sender:
    return Sender(chain.rpc, account, chain_id=chain.chain_id)


@pytest.fixture(scope="module")
def slow_node(anvil_path, tmp_path_factory) -> Iterator[Rpc]:
    """A node that mines only when told."""
    port = free_port()
    with (tmp_path_factory.mktemp("slow") / "log").open("wb") as log:
        child = spawn(anvil_path, ["--port", str(port), "--no-mining", "--accounts", "0", "--quiet"], log)
    with Rpc(f"http://127.0.0.1:{port}") as rpc:
        while True:
            try:
                rpc.call("eth_chainId")
                break
            except NodeUnavailable:
                assert child.poll() is None
        yield rpc
    child.kill()
    child.wait()


@pytest.fixture
def slow_account(slow_node) -> Key:
    key = Key.generate()
    slow_node.call("anvil_setBalance", key.address, hex(ETHER))
    return key


def test_a_payment_arrives(chain, sender):
    before = chain.balance(TARGET)
    receipt = sender.send(Call(TARGET, value=5))
    assert receipt.status == 1
    assert receipt.gas_used == 21_000
    assert receipt.contract_address is None
    assert receipt.effective_gas_price > 0
    assert chain.balance(TARGET) == before + 5


def test_a_contract_is_created(chain, sender):
    runtime = b"\x5f\x5f\xfd"
    receipt = sender.send(Call(None, bytes.fromhex("62") + runtime + bytes.fromhex("5f526003601df3")))
    assert receipt.contract_address is not None
    assert chain.rpc.call("eth_getCode", receipt.contract_address, "latest") == "0x" + runtime.hex()


def test_many_calls_are_mined_in_order(chain, sender):
    receipts = sender.send_all([Call(TARGET, value=number, gas=21_000) for number in range(600)], batch=250)
    assert len({receipt.transaction_hash for receipt in receipts}) == 600
    places = [receipt.block_number for receipt in receipts]
    assert places == sorted(places)
    assert sender.outbox.waiting() == []
    count = chain.rpc.call("eth_getTransactionCount", sender.address, "latest")
    assert int(count, 16) == 600


def test_nothing_to_send(sender):
    assert sender.send_all([]) == []


@pytest.mark.parametrize("batch", [0, -1, 251])
def test_a_batch_has_limits(sender, batch):
    with pytest.raises(BadInput):
        sender.send_all([Call(TARGET)], batch=batch)


def test_threads_share_one_queue(chain, sender):
    faults: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(10):
                sender.send(Call(TARGET, value=1))
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert int(chain.rpc.call("eth_getTransactionCount", sender.address, "latest"), 16) == 60


def test_two_programs_may_send_for_one_account(chain, account):
    senders = [Sender(chain.rpc, account, chain_id=chain.chain_id) for _ in range(2)]
    for _ in range(5):
        for sender in senders:
            assert sender.send(Call(TARGET, value=1)).status == 1


def test_a_call_that_would_revert_is_refused_before_it_costs_anything(chain, sender):
    works = chain.contract("Works")
    with pytest.raises(TransactionFailed) as caught:
        sender.send(works.transaction("transferFrom", sender.address, TARGET, 10**9))
    assert "ERC721NonexistentToken" in caught.value.reason
    assert caught.value.code == "chain.call_reverted"
    assert caught.value.transaction_hash is None
    assert int(chain.rpc.call("eth_getTransactionCount", sender.address, "latest"), 16) == 0


def test_a_call_that_reverts_when_mined_says_why(chain, sender):
    works = chain.contract("Works")
    call = works.transaction("transferFrom", sender.address, TARGET, 10**9, gas=200_000)
    with pytest.raises(TransactionFailed) as caught:
        sender.send(call)
    assert "ERC721NonexistentToken" in caught.value.reason
    assert caught.value.code == "chain.reverted"
    assert str(caught.value.transaction_hash).startswith("0x")
    good, bad = sender.send_all([Call(TARGET, gas=21_000), call], check=False)
    assert (good.status, bad.status) == (1, 0)


def test_running_out_of_gas_is_an_error_without_a_reason(sender, chain):
    call = chain.contract("Works").transaction("register()", gas=60_000)
    with pytest.raises(TransactionFailed) as caught:
        sender.send(call)
    assert caught.value.code == "chain.reverted"


def test_an_account_that_cannot_pay_is_told_before_sending(chain, new_account):
    sender = Sender(chain.rpc, new_account(0), chain_id=chain.chain_id)
    for call in (Call(TARGET, value=1, gas=21_000), Call(TARGET, value=1)):
        with pytest.raises(TransactionFailed) as caught:
            sender.send(call)
        assert caught.value.code == "chain.insufficient_funds"
        assert caught.value.hint


def test_a_call_the_node_refuses_for_good_leaves_the_queue_usable(chain, sender):
    too_much_gas = Call(TARGET, gas=10**9)
    with pytest.raises(TransactionFailed):
        sender.send(too_much_gas)
    assert sender.outbox.waiting() == []
    with pytest.raises(TransactionFailed):
        sender.send_all([Call(TARGET, gas=21_000), too_much_gas, Call(TARGET, value=3, gas=21_000)])
    assert sender.send(Call(TARGET, value=1)).status == 1
    assert sender.outbox.waiting() == []


def mine_when(rpc: Rpc, wanted: threading.Event) -> threading.Thread:
    def work() -> None:
        wanted.wait(60)
        rpc.call("anvil_mine", "0x1")

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_an_overdue_transaction_is_replaced_by_one_that_pays_more(slow_node, slow_account):
    replaced = threading.Event()

    class Watching(MemoryOutbox):
        def __init__(self) -> None:
            super().__init__()
            self.recorded: list[SignedTransaction] = []

        def record(self, transactions: Sequence[SignedTransaction]) -> None:
            super().record(transactions)
            self.recorded += transactions
            if len(self.recorded) >= 3:
                replaced.set()

    outbox = Watching()
    patience = Patience(resend_after_s=0.01, replace_after_s=0.05)
    sender = Sender(slow_node, slow_account, chain_id=31337, outbox=outbox, patience=patience)
    miner = mine_when(slow_node, replaced)
    receipt = sender.send(Call(TARGET, value=1))
    miner.join()
    assert receipt.status == 1
    fees = [signed.transaction.max_fee_per_gas for signed in outbox.recorded]
    assert all(later >= earlier * 9 // 8 for earlier, later in itertools.pairwise(fees))
    assert {signed.transaction.nonce for signed in outbox.recorded} == {0}
    assert outbox.waiting() == []


def test_a_transaction_the_node_lost_is_sent_again(slow_node, slow_account):
    sent = threading.Event()

    def drop_then_mine() -> None:
        sent.wait(60)
        slow_node.call("anvil_dropAllTransactions")
        while not slow_node.call("txpool_content")["pending"]:
            pass
        slow_node.call("anvil_mine", "0x1")

    def pause(seconds: float) -> None:
        sent.set()
        threading.Event().wait(seconds)

    sender = Sender(
        slow_node, slow_account, chain_id=31337, patience=Patience(resend_after_s=0.02), pause=pause
    )
    thread = threading.Thread(target=drop_then_mine)
    thread.start()
    assert sender.send(Call(TARGET, value=1)).status == 1
    thread.join()


def test_what_is_never_mined_ends_with_an_error_and_stays_in_the_outbox(slow_node, slow_account):
    sender = Sender(slow_node, slow_account, chain_id=31337, patience=Patience(give_up_after_s=0.05))
    with pytest.raises(TransactionFailed) as caught:
        sender.send(Call(TARGET, value=1))
    assert caught.value.code == "chain.not_mined"
    (raw,) = sender.outbox.waiting()
    slow_node.call("anvil_dropAllTransactions")
    done = threading.Event()
    miner = mine_when(slow_node, done)
    later = Sender(slow_node, slow_account, chain_id=31337, outbox=sender.outbox, pause=lambda _: done.set())
    (receipt,) = later.resume()
    miner.join()
    assert receipt.transaction_hash == "0x" + keccak256(raw).hex()
    assert later.outbox.waiting() == []
    assert later.resume() == []


def test_somebody_elses_transaction_in_our_place_is_noticed(slow_node, slow_account):
    def rob(seconds: float) -> None:
        """The same account, elsewhere, pays more for the same nonce."""
        if not robbed.is_set():
            robbed.set()
            other = Transaction(31337, 0, 10**12, 10**12, 21_000, ZERO_ADDRESS, 1).sign(slow_account)
            slow_node.call("eth_sendRawTransaction", "0x" + other.raw.hex())
            slow_node.call("anvil_mine", "0x1")

    robbed = threading.Event()
    patience = Patience(resend_after_s=0)
    sender = Sender(slow_node, slow_account, chain_id=31337, patience=patience, pause=rob)
    with pytest.raises(TransactionFailed) as caught:
        sender.send(Call(TARGET, value=1))
    assert caught.value.code == "chain.replaced"
    assert sender.outbox.waiting() == []


def test_a_dead_node_is_reported_before_anything_is_sent(new_account):
    with Rpc(f"http://127.0.0.1:{free_port()}") as rpc:
        sender = Sender(rpc, Key.generate(), chain_id=1)
        with pytest.raises(NodeUnavailable):
            sender.send(Call(TARGET, value=1))
        assert sender.outbox.waiting() == []


def test_a_sender_shows_its_address_only(sender):
    assert repr(sender) == f"Sender({sender.address})"
