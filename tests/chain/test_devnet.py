# SPDX-License-Identifier: Apache-2.0
"""The development chain: started, attached to, killed, damaged, impersonated."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from koinon.chain import artifacts, foreign
from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.canonical import CANONICAL, FACTORY, FACTORY_CODE, FOREIGN
from koinon.chain.contract import Call
from koinon.chain.devnet import CHAIN_ID, FUNDED, Devnet, Watch
from koinon.chain.devnet_outbox import MinedBlock
from koinon.chain.rpc import Rpc
from koinon.chain.saved_state import held, is_held, prepare_state
from koinon.chain.sender import Sender
from koinon.chain.supervisor import Supervisor
from koinon.errors import BadInput, IntegrityError, NodeUnavailable, SetupError, WrongNetwork

pytestmark = pytest.mark.e2e

QUICK = Watch(look_every_s=0.02, save_every_s=0.0, start_s=20, stop_s=20)
TARGET = "0x" + "22" * 20


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "devnet"


@pytest.fixture
def make(folder, anvil_path) -> Iterator[Callable[..., Devnet]]:
    made: list[Devnet] = []

    def build(where: Path = folder, **options: object) -> Devnet:
        made.append(Devnet(where, anvil_path, **{"watch": QUICK, **options}))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for devnet in made:
        devnet.stop()


def pay(devnet: Devnet, amount: int) -> int:
    """One payment; the block it is in."""
    with Rpc(devnet.rpc_url) as rpc:
        sender = Sender(rpc, devnet.key(0), chain_id=devnet.chain_id, outbox=devnet.outbox)
        return sender.send(Call(TARGET, value=amount)).block_number


def balance(devnet: Devnet, address: str = TARGET) -> int:
    with Rpc(devnet.rpc_url) as rpc:
        return int(rpc.call("eth_getBalance", address, "latest"), 16)


def supervisor(devnet: Devnet) -> Supervisor:
    assert devnet.supervisor is not None
    return devnet.supervisor


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come; pytest's own time limit ends a test where it does not."""
    while not condition():
        threading.Event().wait(0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"


def test_genesis_funds_our_accounts_and_holds_the_canonical_contracts(make):
    devnet = make()
    devnet.start()
    with Rpc(devnet.rpc_url) as rpc:
        assert int(rpc.call("eth_chainId"), 16) == CHAIN_ID
        assert rpc.call("eth_accounts") == []
        assert rpc.call("eth_getCode", FACTORY, "latest") == "0x" + FACTORY_CODE.hex()
        for name, address in CANONICAL.items():
            assert rpc.call("eth_getCode", address, "latest") == "0x" + artifacts.load(name).runtime.hex()
        for name, address in FOREIGN.items():
            assert rpc.call("eth_getCode", address, "0x0") == "0x" + foreign.runtime(name).hex()
        assert rpc.call("eth_getBlockByNumber", "0x0", False)["hash"] == devnet.genesis_hash
    accounts = [devnet.key(index).address for index in range(FUNDED)]
    assert len(set(accounts)) == FUNDED
    assert all(balance(devnet, address) == 10_000 * 10**18 for address in accounts)
    assert balance(devnet, devnet.key(FUNDED).address) == 0


def test_it_listens_on_loopback_only(make):
    devnet = make()
    port = int(devnet.start().rsplit(":", 1)[1])
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    found = [line.split()[1] for line in listening if line.split()[3] == "0A"]
    assert [entry for entry in found if entry.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


def test_no_secret_reaches_anvil_or_other_users(make, folder):
    devnet = make()
    devnet.start()
    root = (folder / "root.secret").read_text()
    pid = supervisor(devnet).pid
    command = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    assert root.encode() not in command
    assert stat.S_IMODE((folder / "root.secret").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert root not in repr(devnet)
    for path in folder.iterdir():
        if path.is_file() and path.name != "root.secret":
            assert root.encode() not in path.read_bytes()


def test_the_chain_goes_on_after_a_stop(make):
    devnet = make()
    devnet.start()
    first = (devnet.genesis_hash, devnet.rpc_url, devnet.key(3).address)
    block = pay(devnet, 7)
    devnet.stop()
    for _ in range(2):
        again = make()
        again.start()
        assert (again.genesis_hash, again.rpc_url, again.key(3).address) == first
        assert balance(again) == 7
        with Rpc(again.rpc_url) as rpc:
            assert int(rpc.call("eth_blockNumber"), 16) == block
        again.stop()


def test_a_chain_begun_without_foreign_contracts_gets_them_at_its_next_start(make):
    devnet = make()
    devnet.start()
    genesis_hash = devnet.genesis_hash
    with Rpc(devnet.rpc_url) as rpc:
        rpc.call("anvil_setCode", FOREIGN["Multicall3"], "0x")
        rpc.call("anvil_setCode", FOREIGN["Permit2"], "0x00")
        block = pay(devnet, 7)
    devnet.stop()
    for _ in range(2):
        devnet.start()
        assert devnet.genesis_hash == genesis_hash
        with Rpc(devnet.rpc_url) as rpc:
            code = "0x" + foreign.runtime("Multicall3").hex()
            assert rpc.call("eth_getCode", FOREIGN["Multicall3"], "latest") == code
            assert rpc.call("eth_getCode", FOREIGN["Permit2"], "latest") == "0x00"  # what stands there stays
            assert int(rpc.call("eth_blockNumber"), 16) == block
        devnet.stop()


def test_time_on_the_chain_is_the_clocks_and_never_runs_back(make):
    devnet = make()
    stamps = []
    for _ in range(3):
        devnet.start()
        with Rpc(devnet.rpc_url) as rpc:
            block = pay(devnet, 1)
            stamps.append(int(rpc.call("eth_getBlockByNumber", hex(block), False)["timestamp"], 16))
            born = int(rpc.call("eth_getBlockByNumber", "0x0", False)["timestamp"], 16)
        devnet.stop()
    assert stamps == sorted(stamps)
    started = (devnet.data_dir / "root.secret").stat().st_mtime
    assert stamps[0] >= int(started) - 1
    assert born <= started


def test_a_new_chain_can_begin_in_the_past_and_keeps_its_own_beginning(make):
    begins = int(time.time()) - 90 * 86_400
    devnet = make(begins=begins)
    with Rpc(devnet.start()) as rpc:
        genesis, _ = rpc.call("eth_getBlockByNumber", "0x0", False), rpc.call("evm_mine")
        first = rpc.call("eth_getBlockByNumber", "latest", False)
    assert begins - 600 <= int(genesis["timestamp"], 16) <= begins
    assert 0 < int(first["timestamp"], 16) - int(genesis["timestamp"], 16) < 60
    devnet.stop()
    again = make(begins=begins + 86_400)
    again.start()
    assert again.genesis_hash == genesis["hash"]


def test_no_copy_is_made_while_somebody_mines_without_a_pause(make, folder):
    devnet = make()
    with Rpc(devnet.start()) as rpc:
        with held(folder):
            assert is_held(folder)
            for number in (1, 2):  # whoever has seen the second has decided about the first
                rpc.call("evm_mine")
                until(lambda: any(block.number == number for block in seen(devnet)))  # noqa: B023
            assert not (folder / "checkpoint.json").exists()
        assert not is_held(folder)
        until((folder / "checkpoint.json").exists)


def seen(devnet: Devnet) -> Sequence[MinedBlock]:
    return supervisor(devnet).outbox.after(0)


def test_a_second_process_attaches(make):
    devnet, other = make(), make()
    assert devnet.start() == other.start()
    assert other.supervisor is None
    assert other.genesis_hash == devnet.genesis_hash
    assert other.key(1) == devnet.key(1)
    with Rpc(other.rpc_url) as rpc:
        assert foreign.place_missing(rpc) == []
    other.stop()
    assert pay(devnet, 1)


def test_starting_twice_is_harmless(make):
    devnet = make()
    assert devnet.start() == devnet.start()


def test_two_folders_are_two_chains(make, tmp_path):
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    assert one.start() != two.start()
    assert one.genesis_hash != two.genesis_hash
    assert one.key(0) != two.key(0)


def test_a_killed_anvil_comes_back_with_what_was_saved(make):
    devnet = make()
    devnet.start()
    watcher = supervisor(devnet)
    block = pay(devnet, 9)
    until(lambda: watcher._saved_block >= block)
    pid = watcher.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: watcher.restarts == 1)
    assert watcher.pid != pid
    assert balance(devnet) == 9
    assert pay(devnet, 1) == block + 1


def test_a_frozen_anvil_is_replaced(make):
    devnet = make(watch=Watch(look_every_s=0.02, save_every_s=0.0, answer_s=0.2, silent_looks=2, stop_s=0.2))
    devnet.start()
    watcher = supervisor(devnet)
    block = pay(devnet, 9)
    until(lambda: watcher._saved_block >= block)
    assert watcher.pid is not None
    os.kill(watcher.pid, signal.SIGSTOP)
    until(lambda: watcher.restarts == 1)
    assert balance(devnet) == 9


def test_an_anvil_that_grows_too_large_is_restarted_and_finally_given_up(make):
    devnet = make(watch=Watch(look_every_s=0.02, memory_limit=1, restarts=2, stop_s=20))
    devnet.start()
    watcher = supervisor(devnet)
    until(lambda: watcher.failure is not None)
    assert watcher.restarts == 2
    assert isinstance(watcher.failure, NodeUnavailable)
    assert watcher.pid is None


def test_nothing_outlives_a_killed_koinon(folder, anvil_path, make):
    program = (
        "import sys, pathlib\n"
        "from koinon.chain.devnet import Devnet\n"
        "devnet = Devnet(sys.argv[1], pathlib.Path(sys.argv[2]))\n"
        "devnet.start()\n"
        "print(devnet.supervisor.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder), str(anvil_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as koinon:
        assert koinon.stdout is not None
        pid = int(koinon.stdout.readline())
        other = make()
        other.start()
        block = pay(other, 5)
        other.stop()
        koinon.kill()
        koinon.wait()
    until(lambda: not alive(pid))
    devnet = make()
    devnet.start()
    assert balance(devnet) == 5
    assert pay(devnet, 1) == block + 1


def test_a_leftover_anvil_of_ours_is_ended_first(make, folder, anvil_path):
    devnet = make()
    devnet.start()
    state = folder / "state.json"
    arguments = [*supervisor(devnet)._arguments(), "--port", devnet.rpc_url.rsplit(":", 1)[1]]
    devnet.stop()
    with subprocess.Popen([anvil_path, *arguments], start_new_session=True) as leftover:
        until(lambda: str(state).encode() in Path(f"/proc/{leftover.pid}/cmdline").read_bytes())
        (folder / "anvil.pid").write_text(str(leftover.pid))
        again = make(watch=Watch(stop_s=0.3))
        again.start()
        assert leftover.wait() is not None
    assert pay(again, 1)


def test_a_taken_port_is_given_up_for_another(make):
    devnet = make()
    port = int(devnet.start().rsplit(":", 1)[1])
    pay(devnet, 3)
    devnet.stop()
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        again = make()
        assert int(again.start().rsplit(":", 1)[1]) != port
        assert balance(again) == 3


def test_a_fixed_port_that_is_taken_is_an_error(make):
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        devnet = make(port=stranger.getsockname()[1])
        with pytest.raises(SetupError) as caught:
            devnet.start()
    assert caught.value.code == "setup.port"
    assert caught.value.hint
    devnet.start()


def test_a_stranger_where_our_chain_should_be_is_noticed(make, folder, tmp_path):
    ours, theirs = make(), make(tmp_path / "theirs")
    ours.start()
    theirs.start()
    identity = supervisor(ours)._identity
    with Rpc(theirs.rpc_url) as rpc, pytest.raises(WrongNetwork) as caught:
        identity.check(rpc)
    assert caught.value.code == "chain.devnet_stranger"


def test_nobody_attaches_to_a_stranger(make, folder, tmp_path):
    """A process that holds the lock, but another node answers at the recorded port."""
    ours, theirs = make(), make(tmp_path / "theirs")
    ours.start()
    port = int(theirs.start().rsplit(":", 1)[1])
    record = (folder / "devnet.json").read_bytes()
    own_port = int(ours.rpc_url.rsplit(":", 1)[1])
    (folder / "devnet.json").write_bytes(record.replace(str(own_port).encode(), str(port).encode()))
    other = make(watch=Watch(start_s=0.2))
    with pytest.raises(NodeUnavailable) as caught:
        other.start()
    assert caught.value.code == "chain.devnet_held"


def test_an_anvil_that_does_not_run_is_an_error(folder, tmp_path):
    broken = tmp_path / "anvil"
    broken.write_text("#!/bin/sh\necho this machine is too old >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(NodeUnavailable) as caught:
        Devnet(folder, broken, watch=QUICK).start()
    assert caught.value.hint


def test_a_damaged_state_falls_back_to_the_newest_good_copy(make, folder):
    devnet = make()
    devnet.start()
    pay(devnet, 1)
    devnet.stop()
    devnet.start()
    devnet.stop()
    state = folder / "state.json"
    (folder / "checkpoint.json").unlink(missing_ok=True)
    state.write_bytes(state.read_bytes()[:1000])
    devnet.start()
    assert balance(devnet) == 1
    devnet.stop()
    for path in (state, folder / "checkpoint.json", *(folder / "backups").iterdir()):
        path.write_bytes(b"{")
    with pytest.raises(IntegrityError) as caught:
        devnet.start()
    assert caught.value.hint
    assert state.read_bytes() == b"{"


def test_backups_rotate(tmp_path):
    (tmp_path / "state.json").write_text('{"accounts": {}, "blocks": []}')
    for _ in range(6):
        prepare_state(tmp_path)
    assert len(list((tmp_path / "backups").iterdir())) == 3


def test_the_newer_of_state_and_checkpoint_wins(tmp_path):
    old = '{"accounts": {}, "blocks": [1]}'
    new = '{"accounts": {}, "blocks": [1, 2]}'
    (tmp_path / "state.json").write_text(old)
    (tmp_path / "checkpoint.json").write_text(new)
    os.utime(tmp_path / "state.json", (1, 1))
    prepare_state(tmp_path)
    assert (tmp_path / "state.json").read_text() == new


def test_a_damaged_secret_is_an_error(tmp_path):
    (tmp_path / "root.secret").write_text("not hex")
    with pytest.raises(SetupError):
        Devnet(tmp_path).key(0)


def test_accounts_are_numbered_from_zero(tmp_path):
    with pytest.raises(BadInput):
        Devnet(tmp_path).key(-1)


def test_before_the_start_there_is_no_url(tmp_path):
    devnet = Devnet(tmp_path)
    for read in (lambda: devnet.rpc_url, lambda: devnet.genesis_hash):
        with pytest.raises(NodeUnavailable):
            read()
    devnet.stop()


def test_nobody_is_paid_by_accident(make):
    devnet = make()
    devnet.start()
    assert balance(devnet, ZERO_ADDRESS) == 0
