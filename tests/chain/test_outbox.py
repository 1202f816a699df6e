# SPDX-License-Identifier: Apache-2.0
"""The outbox on disk: what it keeps, for how long, and what it does when it cannot."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from koinon.chain import anvil
from koinon.chain.contract import Call
from koinon.chain.devnet import free_port
from koinon.chain.keys import Key
from koinon.chain.receipts import Receipt
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.chain.sqlite_outbox import FINAL_DEPTH, SqliteOutbox, chain_name
from koinon.chain.transactions import SignedTransaction, Transaction
from koinon.errors import SetupError

CHAIN = chain_name(31337, "0xaa")
TARGET = "0x" + "11" * 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "outbox.sqlite"


@pytest.fixture(scope="module")
def rpc(anvil_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rpc]:
    """Somebody's node: mines at once, and can be told to go back."""
    port = free_port()
    log = tmp_path_factory.mktemp("node") / "log"
    with log.open("wb") as output:
        child = anvil.spawn(anvil_path, ["--port", str(port), "--accounts", "0", "--quiet"], output)
    with Rpc(f"http://127.0.0.1:{port}") as found:
        anvil.await_answer(found, child, log, 30)
        yield found
    child.kill()
    child.wait()


@pytest.fixture
def key(rpc: Rpc) -> Key:
    made = Key.generate()
    rpc.call("anvil_setBalance", made.address, hex(10**18))
    return made


def signed(key: Key, nonce: int, fee: int = 10**9) -> SignedTransaction:
    return Transaction(31337, nonce, 1, fee, 21_000, TARGET, 1).sign(key)


def receipt(transaction: SignedTransaction, block: int) -> Receipt:
    return Receipt("0x" + transaction.hash.hex(), block, 1, 21_000, ())


def test_what_is_recorded_outlives_the_process_and_comes_back_in_order(path):
    key, other = Key.generate(), Key.generate()
    mine, theirs = [signed(key, nonce) for nonce in (2, 0, 1)], signed(other, 0)
    outbox = SqliteOutbox(path, CHAIN)
    assert outbox.waiting() == []
    assert not path.exists()
    outbox.record([*mine, theirs])
    outbox.close()
    again = SqliteOutbox(path, CHAIN)
    assert again.waiting() == [each.raw for each in (*mine, theirs)]
    assert again.waiting(key.address) == [mine[1].raw, mine[2].raw, mine[0].raw]
    again.record(mine)  # the same once more
    assert len(again.waiting()) == 4
    again.forget([theirs])
    assert again.waiting(other.address) == []
    assert SqliteOutbox(path, chain_name(31337, "0xbb")).waiting() == []


def test_only_its_owner_may_read_it(path):
    outbox = SqliteOutbox(path, CHAIN)
    outbox.record([signed(Key.generate(), 0)])
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(list(path.parent.iterdir())) == 3


def test_250_transactions_wait_for_the_disk_once(path):
    key = Key.generate()
    outbox = SqliteOutbox(path, CHAIN)
    outbox.record([signed(key, 0)])
    said: list[str] = []
    database = outbox._open()
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    database.set_trace_callback(said.append)
    outbox.record([signed(key, nonce) for nonce in range(1, 251)])
    assert said.count("COMMIT") == 1
    assert len(outbox.waiting()) == 251


def test_what_has_a_mined_ones_nonce_can_never_be_mined(path, rpc):
    key = Key.generate()
    cheap, dear, next_one = signed(key, 0), signed(key, 0, 2 * 10**9), signed(key, 1)
    outbox = SqliteOutbox(path, CHAIN)
    outbox.record([cheap, dear, next_one])
    assert outbox.mined([(dear, receipt(dear, 7))], rpc) == []
    assert outbox.waiting() == [next_one.raw]


def test_processes_and_threads_share_it(path):
    keys = [Key.generate() for _ in range(4)]
    faults: list[Exception] = []

    def work(key: Key) -> None:
        own = SqliteOutbox(path, CHAIN)
        try:
            for nonce in range(25):
                own.record([signed(key, nonce)])
        except Exception as fault:
            faults.append(fault)
        own.close()

    threads = [threading.Thread(target=work, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    outbox = SqliteOutbox(path, CHAIN)
    assert all(len(outbox.waiting(key.address)) == 25 for key in keys)


def test_a_transaction_leaves_when_its_block_is_final_and_not_before(path, rpc, key):
    outbox = SqliteOutbox(path, CHAIN)
    sender = Sender(rpc, key, chain_id=31337, outbox=outbox)
    sender.send(Call(TARGET, value=1))
    assert outbox.waiting() == []
    outbox.forget_final(rpc)
    assert rows(path) == 1
    rpc.call("anvil_mine", hex(FINAL_DEPTH + 40))
    outbox.forget_final(rpc)
    assert rows(path) == 0


def test_what_a_reorganisation_dropped_is_sent_again(path, rpc, key):
    outbox = SqliteOutbox(path, CHAIN)
    sender = Sender(rpc, key, chain_id=31337, outbox=outbox)
    before = rpc.call("evm_snapshot")
    sent = sender.send(Call(TARGET, value=1))
    assert rpc.call("evm_revert", before)
    assert rpc.call("eth_getTransactionReceipt", sent.transaction_hash) is None
    outbox.forget_final(rpc)
    assert sender.wait(bytes.fromhex(sent.transaction_hash[2:])).status == 1


def test_what_a_killed_process_signed_is_sent_by_the_next_one(path, rpc, key):
    killed = SqliteOutbox(path, CHAIN)
    killed.record([signed(key, nonce, 10**11) for nonce in range(3)])  # and there it was killed
    sender = Sender(rpc, key, chain_id=31337, outbox=SqliteOutbox(path, CHAIN))
    assert sender.resend() == 3
    assert sender.send(Call(TARGET, value=1)).status == 1
    assert int(rpc.call("eth_getTransactionCount", key.address, "latest"), 16) == 4
    sender.resend()
    assert sender.outbox.waiting() == []


def test_what_can_never_be_mined_is_forgotten_when_it_is_sent_again(path, rpc, key):
    Sender(rpc, key, chain_id=31337).send(Call(TARGET, value=1))
    outbox = SqliteOutbox(path, CHAIN)
    outbox.record([signed(key, 0, 10**11)])
    assert Sender(rpc, key, chain_id=31337, outbox=outbox).resend() == 1
    assert outbox.waiting() == []


def test_a_damaged_outbox_is_an_error_and_is_not_touched(path):
    path.parent.mkdir()
    path.write_bytes(b"no database at all, but quite long" * 100)
    with pytest.raises(SetupError) as caught:
        SqliteOutbox(path, CHAIN).record([signed(Key.generate(), 0)])
    assert caught.value.code == "chain.outbox"
    assert caught.value.hint
    assert path.read_bytes().startswith(b"no database")


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SetupError) as caught:
        SqliteOutbox(tmp_path / "file" / "outbox.sqlite", CHAIN).record([signed(Key.generate(), 0)])
    assert caught.value.code == "chain.outbox"


FULL_DISK = """
import resource, sys
from pathlib import Path
from koinon.chain.contract import Call
from koinon.chain.keys import Key
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.chain.sqlite_outbox import SqliteOutbox
from koinon.errors import SetupError

path, url = Path(sys.argv[1]), sys.argv[2]
key = Key.from_bytes(bytes.fromhex(sys.stdin.readline()))
with Rpc(url) as rpc:
    outbox = SqliteOutbox(path, sys.argv[3])
    sender = Sender(rpc, key, chain_id=31337, outbox=outbox)
    sender.send(Call(sys.argv[4], value=1))
    size = max(file.stat().st_size for file in path.parent.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    done, big = 1, Call(sys.argv[4], bytes(20_000), value=1, gas=500_000)
    before = count = None
    for _ in range(3):
        try:
            while True:
                sender.send(big)
                done += 1
        except SetupError as error:
            assert error.code == "chain.outbox", error.code
            count = int(rpc.call("eth_getTransactionCount", key.address, "latest"), 16)
            waiting = len(outbox.waiting())
    assert count - done in (0, 1, 2, 3), (count, done)  # mined, but not acknowledged
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sender.resend()
    assert sender.send(big).status == 1
    assert outbox.waiting() == []
    print("went on")
"""


def test_on_a_full_disk_nothing_is_sent_and_all_goes_on_when_there_is_room(path, rpc, key):
    secret = key._private.secret.hex()
    child = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), rpc.url, CHAIN, TARGET],
        input=secret + "\n",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout == "went on\n"
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def rows(path: Path) -> int:
    database = sqlite3.connect(path)
    count = int(database.execute("SELECT count(*) FROM transactions").fetchone()[0])
    database.close()
    return count


def test_opening_it_again_in_one_process_keeps_the_locks_of_the_others(path):
    """Closing any descriptor of a file drops all of a process's locks on it: another process that closed the
    database would then take itself for the last one and delete the log under us."""
    outbox = SqliteOutbox(path, CHAIN)
    outbox.record([signed(Key.generate(), 0)])
    again = SqliteOutbox(path, CHAIN)
    again.record([signed(Key.generate(), 0)])
    again.close()
    program = (
        "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('SELECT 1 FROM blocks'); d.close()"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    assert path.with_name(path.name + "-wal").exists()
    outbox.record([signed(Key.generate(), 0)])
    assert rows(path) == 3
