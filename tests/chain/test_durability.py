# SPDX-License-Identifier: Apache-2.0
"""A development chain that is killed, with everything around it or alone, keeps all it acknowledged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from koinon.chain.contract import Call
from koinon.chain.deploy import deploy
from koinon.chain.devnet import Devnet, Watch
from koinon.chain.devnet_outbox import DevnetOutbox
from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.chain.local_devnet import folder_of
from koinon.chain.receipts import Receipt
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.chain.transactions import SignedTransaction, Transaction
from koinon.errors import IntegrityError, SetupError
from koinon.works.coin import TRANSFER_BY_KEY, CoinDigests

pytestmark = pytest.mark.e2e

NEVER_SAVED = Watch(look_every_s=0.02, save_every_s=1e9)
TARGET = "0x" + "22" * 20


@pytest.fixture
def make(tmp_path: Path, anvil_path: Path) -> Iterator[Callable[..., Devnet]]:
    made: list[Devnet] = []

    def build(watch: Watch = NEVER_SAVED) -> Devnet:
        made.append(Devnet(tmp_path / "devnet", anvil_path, watch=watch))
        return made[-1]

    yield build
    for devnet in made:
        devnet.stop()


@pytest.fixture
def devnet(make: Callable[..., Devnet]) -> Devnet:
    found = make()
    found.start()
    return found


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        threading.Event().wait(0.01)


def kill_anvil(devnet: Devnet) -> None:
    watcher = devnet.supervisor
    assert watcher is not None
    assert watcher.pid is not None
    before = watcher.restarts
    os.kill(watcher.pid, signal.SIGKILL)
    until(lambda: watcher.restarts > before)


def blocks(devnet: Devnet) -> list[dict[str, Any]]:
    with Rpc(devnet.rpc_url) as rpc:
        latest = int(rpc.call("eth_blockNumber"), 16)
        return rpc.batch([("eth_getBlockByNumber", [hex(number), False]) for number in range(latest + 1)])


def balance(devnet: Devnet, address: str = TARGET) -> int:
    with Rpc(devnet.rpc_url) as rpc:
        return int(rpc.call("eth_getBalance", address, "latest"), 16)


def send(devnet: Devnet, calls: list[Call], account: int = 0) -> list[Receipt]:
    with Rpc(devnet.rpc_url) as rpc:
        sender = Sender(rpc, devnet.key(account), chain_id=devnet.chain_id, outbox=devnet.outbox)
        return sender.send_all(calls)


def recoveries(devnet: Devnet) -> list[dict[str, Any]]:
    file = devnet.data_dir / "recoveries.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_killed_anvil_has_the_very_same_blocks_again(devnet):
    for account in (0, 1, 0, 2):
        send(devnet, [Call(TARGET, value=account + 1, gas=21_000)] * 30, account)
    with Rpc(devnet.rpc_url) as rpc:
        rpc.call("evm_mine")  # an empty one in between
    send(devnet, [Call(TARGET, value=1)])
    before = blocks(devnet)
    kill_anvil(devnet)
    assert [block["hash"] for block in blocks(devnet)] == [block["hash"] for block in before]
    (recovery,) = recoveries(devnet)
    assert recovery["transactions"] == 121
    assert recovery["changed_blocks"] == []
    assert recovery["refused"] == 0
    kill_anvil(devnet)
    assert balance(devnet) == 30 + 60 + 30 + 90 + 1


def test_what_time_allowed_then_it_allows_again(devnet):
    """An authorization that is valid only in a future that the chain was moved to."""
    with Rpc(devnet.rpc_url) as rpc:
        sender = Sender(rpc, devnet.key(0), chain_id=devnet.chain_id, outbox=devnet.outbox)
        network = deploy(rpc, sender)
        coin = network.contract(rpc, "Coin")
        payer = Key.generate()
        sender.send(coin.transaction("mint", payer.address, 100))
        _, name, version, *_ = coin.call("eip712Domain")
        rpc.call("evm_increaseTime", 10**6)
        rpc.call("evm_mine")
        now = int(rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
        digests = CoinDigests(devnet.chain_id, coin.address, name, version)
        window = (now - 10, now + 1000)
        digest = digests.transfer(
            payer.address, TARGET, 40, valid_after=window[0], valid_before=window[1], nonce=b"\x01" * 32
        )
        signature = payer.sign(digest)
        arguments = (payer.address, TARGET, 40, *window, b"\x01" * 32)
        v, r, s = signature[64], signature[:32], signature[32:64]
        sender.send(coin.transaction(TRANSFER_BY_KEY, *arguments, v, r, s))
        kill_anvil(devnet)
        assert coin.call("balanceOf", TARGET) == 40


def test_what_somebody_gave_to_anvil_directly_is_kept_too(devnet):
    watcher = devnet.supervisor
    with Rpc(devnet.rpc_url) as rpc:
        wallet = Sender(rpc, devnet.key(5), chain_id=devnet.chain_id)  # knows nothing of our outbox
        first = wallet.send(Call(TARGET, value=7)).block_number
        until(lambda: watcher.outbox.head()[0] >= first)  # the supervisor has looked
        wallet.send(Call(TARGET, value=8))
        send(devnet, [Call(TARGET, value=1)])  # acknowledged, and with it what came before
    kill_anvil(devnet)
    assert balance(devnet) == 16


def test_what_was_recorded_and_never_sent_is_sent_at_the_next_start(make):
    devnet = make()
    devnet.start()
    key = devnet.key(0)
    left = [Transaction(devnet.chain_id, nonce, 1, 10**10, 21_000, TARGET, 5).sign(key) for nonce in (0, 1)]
    dead = Transaction(devnet.chain_id, 0, 1, 10**9, 21_000, TARGET, 6).sign(devnet.key(1))
    devnet.outbox.record([*left, dead])
    send(devnet, [Call(TARGET, value=1, gas=21_000)], 1)  # takes the nonce of `dead`
    devnet.stop()
    again = make()
    again.start()
    until(lambda: balance(again) == 11)
    until(lambda: again.outbox.waiting() == [])


def test_a_receipt_that_anvil_took_back_is_not_handed_on(devnet):
    """Killed between mining and the acknowledgement: mined again before anyone is told."""
    killed = threading.Event()

    class Killing(DevnetOutbox):
        def mined(self, transactions, rpc):
            if not killed.is_set():
                killed.set()
                kill_anvil(devnet)
            return super().mined(transactions, rpc)

    outbox = Killing(devnet.outbox.path, devnet.outbox.chain)
    with Rpc(devnet.rpc_url) as rpc:
        sender = Sender(rpc, devnet.key(0), chain_id=devnet.chain_id, outbox=outbox)
        receipts = sender.send_all([Call(TARGET, value=2, gas=21_000)] * 50)
        found = rpc.batch([("eth_getTransactionReceipt", [each.transaction_hash]) for each in receipts])
    outbox.close()
    assert [int(each["blockNumber"], 16) for each in found] == [each.block_number for each in receipts]
    assert balance(devnet) == 100


PROGRAM = """
import os, sys, threading
from pathlib import Path
from koinon.chain.contract import Call
from koinon.chain.devnet import Devnet, Watch
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender

devnet = Devnet(sys.argv[1], Path(sys.argv[2]), watch=Watch(save_every_s=float(sys.argv[3])))
devnet.start()
print("anvil", devnet.supervisor.pid, flush=True)

def work(number):
    with Rpc(devnet.rpc_url) as rpc:
        sender = Sender(rpc, devnet.key(number), chain_id=devnet.chain_id, outbox=devnet.outbox)
        while True:
            for receipt in sender.send_all([Call("0x" + "22" * 20, value=1, gas=21_000)] * 7):
                os.write(1, f"acknowledged {receipt.transaction_hash} {receipt.block_number}\\n".encode())

for number in range(3):
    threading.Thread(target=work, args=(number,)).start()
"""


@pytest.mark.parametrize("save_every_s", [1e9, 0.0])
def test_everything_killed_at_once_loses_nothing_acknowledged(make, tmp_path, anvil_path, save_every_s):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "devnet"), str(anvil_path), str(save_every_s)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    acknowledged: dict[str, int] = {}
    for wanted in (60, 200):
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as koinon:
            assert koinon.stdout is not None
            for line in koinon.stdout:
                kind, *rest = line.split()
                if kind == "anvil":
                    pid = int(rest[0])
                else:
                    acknowledged[rest[0]] = int(rest[1])
                if len(acknowledged) == wanted:
                    break
            os.kill(pid, signal.SIGKILL)
            koinon.kill()
            for line in koinon.stdout:  # said before it was killed
                if line.startswith("acknowledged") and line.endswith("\n") and len(line.split()) == 3:
                    acknowledged[line.split()[1]] = int(line.split()[2])
    devnet = make()
    devnet.start()
    with Rpc(devnet.rpc_url) as rpc:
        found = rpc.batch([("eth_getTransactionReceipt", [each]) for each in acknowledged])
    assert [receipt and int(receipt["blockNumber"], 16) for receipt in found] == list(acknowledged.values())
    assert balance(devnet) >= len(acknowledged)


@pytest.mark.parametrize("damage", [lambda _: b"", lambda old: old[: len(old) // 2], lambda _: b"\x00{]"])
def test_a_damaged_copy_is_replaced_by_the_last_good_backup_and_the_outbox(make, damage):
    devnet = make(Watch(look_every_s=0.02, save_every_s=0.0))
    devnet.start()
    watcher = devnet.supervisor
    block = send(devnet, [Call(TARGET, value=1, gas=21_000)] * 20)[-1].block_number
    until(lambda: watcher._saved_block >= block)
    send(devnet, [Call(TARGET, value=1, gas=21_000)] * 5)
    devnet.stop()
    before = (devnet.data_dir / "checkpoint.json").read_bytes()
    for name in ("state.json", "checkpoint.json"):
        (devnet.data_dir / name).write_bytes(damage(before))
    again = make()
    again.start()
    assert balance(again) == 25
    assert recoveries(again)[-1]["changed_blocks"] == []


def test_without_any_good_copy_that_the_outbox_can_complete_it_says_so(make):
    devnet = make()
    devnet.start()
    last = send(devnet, [Call(TARGET, value=1)] * 3)[-1].block_number
    devnet.stop()
    for path in [devnet.data_dir / "checkpoint.json"]:
        path.unlink()
    devnet.outbox.saved(last)  # as if older blocks had been forgotten
    with pytest.raises(IntegrityError) as caught:
        make().start()
    assert caught.value.code == "chain.devnet_state"
    assert "restore" in caught.value.hint


def test_the_outbox_of_a_chain_is_found_by_its_address(devnet):
    assert folder_of(devnet.rpc_url, devnet.genesis_hash) == devnet.data_dir
    assert folder_of(devnet.rpc_url, "0x" + "00" * 32) is None
    assert folder_of("http://127.0.0.1:1", devnet.genesis_hash) is None
    assert folder_of(devnet.rpc_url.replace("127.0.0.1", "10.1.1.1"), devnet.genesis_hash) is None
    with Rpc(devnet.rpc_url) as rpc:
        network = deploy(rpc, Sender(rpc, devnet.key(0), chain_id=devnet.chain_id, outbox=devnet.outbox))
    with Chain.open(network) as chain:
        assert isinstance(chain.outbox, DevnetOutbox)
        assert chain.outbox.path == devnet.data_dir / "outbox.sqlite"


def test_a_chain_that_was_taken_back_is_followed(devnet):
    with Rpc(devnet.rpc_url) as rpc:
        send(devnet, [Call(TARGET, value=1, gas=21_000)] * 3)
        snapshot = rpc.call("evm_snapshot")
        send(devnet, [Call(TARGET, value=1, gas=21_000)] * 3)
        assert rpc.call("evm_revert", snapshot)
        rpc.call("evm_mine")
        devnet.outbox.follow(rpc)
        head = rpc.call("eth_getBlockByNumber", "latest", False)
        assert devnet.outbox.head() == (int(head["number"], 16), head["hash"])
        assert len(devnet.outbox.waiting()) == 3
        (receipt,) = send(devnet, [Call(TARGET, value=1)])
        assert receipt.status == 1


def test_a_full_disk_is_said_and_the_chain_goes_on_when_there_is_room(devnet, monkeypatch):
    watcher = devnet.supervisor

    def full(_: object) -> int:
        raise SetupError("No room.", code="chain.outbox")

    with monkeypatch.context() as patched:
        patched.setattr(watcher.outbox, "follow", full)
        until(lambda: watcher.trouble is not None)
        assert watcher.failure is None
    until(lambda: watcher.trouble is None)
    assert send(devnet, [Call(TARGET, value=1)])[0].status == 1


def test_a_replayed_transaction_keeps_its_place_in_its_block(devnet):
    """In one block across accounts, dearer ones later: not as anvil would sort them by fee."""
    keys = [devnet.key(number) for number in (3, 4)]
    with Rpc(devnet.rpc_url) as rpc:
        rpc.call("evm_setAutomine", False)
        made: list[SignedTransaction] = []
        for nonce in range(4):
            for place, key in enumerate(keys):
                transaction = Transaction(
                    devnet.chain_id, nonce, 10**9 * (place + nonce + 1), 10**11, 21_000, TARGET, 1
                )
                made.append(transaction.sign(key))
        for each in made:
            rpc.call("eth_sendRawTransaction", "0x" + each.raw.hex())
        rpc.call("evm_mine")
        rpc.call("evm_setAutomine", True)
        before = rpc.call("eth_getBlockByNumber", "latest", False)
        assert len(before["transactions"]) == 8
        devnet.outbox.follow(rpc)
    kill_anvil(devnet)
    assert blocks(devnet)[-1]["hash"] == before["hash"]


FULL_DISK = """
import os, resource, sys, time
from pathlib import Path
from koinon.chain.contract import Call
from koinon.chain.devnet import Devnet, Watch
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.errors import SetupError

devnet = Devnet(sys.argv[1], Path(sys.argv[2]), watch=Watch(look_every_s=0.02, save_every_s=0.0))
devnet.start()
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
acknowledged = 0
with Rpc(devnet.rpc_url) as rpc:
    sender = Sender(rpc, devnet.key(0), chain_id=devnet.chain_id, outbox=devnet.outbox)
    sender.send(Call("0x" + "22" * 20, value=1, gas=21_000))
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    refused = False
    while not refused:
        try:
            acknowledged += len(sender.send_all([Call("0x" + "22" * 20, value=1, gas=21_000)] * 20))
        except SetupError as error:
            assert error.code == "chain.outbox", error.code
            refused = True
    wallet = Sender(rpc, devnet.key(1), chain_id=devnet.chain_id)
    wallet.send(Call("0x" + "22" * 20, value=1, gas=21_000))  # by somebody who does not know our outbox
    acknowledged += 1
    while devnet.supervisor.trouble is None:
        time.sleep(0.01)
    assert devnet.supervisor.trouble.code in ("chain.outbox", "chain.devnet_disk")
    assert devnet.supervisor.failure is None
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    while devnet.supervisor.trouble is not None:
        time.sleep(0.01)
    sender.resend()
    acknowledged += len(sender.send_all([Call("0x" + "22" * 20, value=1, gas=21_000)] * 20))
print(acknowledged, flush=True)
os.kill(devnet.supervisor.pid, 9)
os.kill(os.getpid(), 9)
"""


def test_on_a_full_disk_nothing_is_acknowledged_and_the_saved_chain_is_whole(make, tmp_path, anvil_path):
    child = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "devnet"), str(anvil_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    for name in ("state.json", "checkpoint.json"):
        file = tmp_path / "devnet" / name
        assert not file.exists() or isinstance(json.loads(file.read_bytes()), dict)
    devnet = make()
    devnet.start()
    assert balance(devnet) >= int(child.stdout) + 1
