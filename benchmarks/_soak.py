# SPDX-License-Identifier: Apache-2.0
"""A node, its anvil and its gateway under load, killed again and again, with an exact ledger each time.

`Soak` runs a node process and a gateway process on one data directory. In this process three threads use
them as strangers would: one pays, one releases what a till holds, one buys calls by voucher. What they were
told is done is written down; after each kill everything that died is started again, and the chain must agree:

- every payment and release that was acknowledged is in the block it was said to be in, and succeeded;
- every call that was answered is paid: settled into the till, never more than the buyer signed away;
- every account's coins are exactly what the transfers on chain add up to, and all of them together are
  exactly what was ever made.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from koinon.chain.anvil import find_anvil
from koinon.chain.child import bound
from koinon.chain.devnet import free_port
from koinon.chain.handle import Chain
from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.chain.sender import Patience, Sender
from koinon.chain.supervisor import resident_memory
from koinon.errors import KoinonError
from koinon.node import OPERATOR, Node
from koinon.resume import resume_interrupted
from koinon.services.api import Services
from koinon.services.buying.client import Buyer
from koinon.services.prices import to_units
from koinon.settings import Settings
from koinon.store import BlockStore
from koinon.works.api import Works

KINDS = ("node", "anvil", "gateway", "node and anvil", "everything")
PRICE = "0.001"
FRIEND = "0x" + "44" * 20
SHOP = "0x" + "55" * 20
FORTUNE = 10**12
FUNCTION = "def double(number: int) -> int:\n    return 2 * number\n"
PATIENT = Patience(node_silent_s=120.0)


class Sums:
    """What transfers up to block ``seen`` add up to, by account, and what calls brought into the till."""

    def __init__(self) -> None:
        self.seen = 0
        self.sold = 0
        self.of: dict[str, int] = defaultdict(int)


class Child:
    """A process that says what happens as one JSON object a line."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                bound(command), env=environment, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            )
        self.name = name
        self.ready = self._wait()
        self._drainer = threading.Thread(target=self._drain, daemon=True)
        self._drainer.start()

    def _wait(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(b"{"):
                said: dict[str, Any] = json.loads(line)
                if said.get("event") == "ready":
                    return said
        raise RuntimeError(f"{self.name} did not start: {self._log.read_text()[-2000:]}")

    def _drain(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for _ in lines:
                pass

    def kill(self) -> None:
        """-9"""
        self.process.kill()
        self.process.wait()
        self._drainer.join()

    def stop(self) -> None:
        """Ask it to end."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
        self._drainer.join()


class Soak:
    """The whole, on a new data directory; a context manager.

    Parameters
    ----------
    home : Path
    seed : int
        Decides what is killed when.
    """

    def __init__(self, home: Path, seed: int = 1) -> None:
        self.home, self._random = home, random.Random(seed)
        self.settings = Settings.load({"KOINON_ANVIL": str(find_anvil())}, home=home)
        self.environment = {
            name: text for name, text in os.environ.items() if not name.startswith("KOINON_")
        } | {"KOINON_HOME": str(home), "KOINON_ANVIL": str(self.settings.anvil)}
        self.done: dict[str, int] = {}
        self.answered = 0
        self.sums = Sums()
        self.kills: dict[str, int] = defaultdict(int)
        self.faults: list[str] = []
        self._stopping, self._paused = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []

    # Set-up

    def __enter__(self) -> Self:
        try:
            self._prepare()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _prepare(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "service.py").write_text(FUNCTION)
        self.payer, self.buyer_key = Key.generate(), Key.generate()
        with Node.open(self.settings) as node:
            node.fund(self.payer.address)
            services = Services(node.chain, node.store, self.home / "gateway", node.operator)
            publish = f"{self.home / 'service.py'}:double"
            self.listing = services.publish(publish, PRICE, shares={FRIEND: 0.25})  # type: ignore[dict-item]
            coin = node.chain.coin
            self.price = to_units(PRICE, int(coin.call("decimals")))
            node.chain.sender(node.operator).send_all(
                [coin.transaction("mint", key.address, FORTUNE) for key in (self.payer, self.buyer_key)]
            )
            Works(node.chain, node.store, node.operator).deploy_till(self.listing.work_id)
        self._write_gateway_config()
        self._start_node()
        self._start_gateway()
        self.chain = Chain.open(self.settings.network)
        self.buyer = Buyer(self.chain, self.buyer_key, spending_limit=FORTUNE, timeout_s=20.0)
        for work in (self._pay, self._release, self._buy):
            self._threads.append(threading.Thread(target=self._repeat, args=(work,), name=work.__name__))
            self._threads[-1].start()

    def _write_gateway_config(self) -> None:
        ring = Keyring(self.settings.keys, environment={})
        config = {
            "network": str(self.settings.network),
            "key": str(ring.path(OPERATOR)),
            "password_file": str(ring.password_file),
            "data_dir": str(self.home / "gateway"),
            "settle_every_s": 0.5,
            "port": free_port(),
        }
        (self.home / "gateway-soak.json").write_text(json.dumps(config))

    def _start_node(self) -> None:
        command = [sys.executable, "-m", "benchmarks._soak", str(self.home)]
        self.node = Child("node", command, self.environment, self.home / "node.log")

    def _start_gateway(self) -> None:
        command = [sys.executable, "-m", "koinon.services.gateway.app", str(self.home / "gateway-soak.json")]
        self.gateway = Child("gateway", command, self.environment, self.home / "gateway.log")
        self.url = f"{self.gateway.ready['url']}/services/{self.listing.work_id}"

    def _end(self) -> None:
        self._stopping.set()
        self._paused.clear()
        for thread in self._threads:
            thread.join()
        for name in ("buyer", "chain"):
            if hasattr(self, name):
                getattr(self, name).close()
        for name in ("gateway", "node"):
            if hasattr(self, name):
                getattr(self, name).stop()

    # The load

    def _repeat(self, work: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            if self._paused.is_set():
                time.sleep(0.01)
                continue
            with self._working():
                try:
                    work()
                except KoinonError:
                    time.sleep(0.02)  # nobody was told that it is done
                except Exception as error:
                    self.faults.append(f"{work.__name__}: {type(error).__name__}: {error}")
                    time.sleep(0.1)

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        me = threading.current_thread()
        me.busy = True  # type: ignore[attr-defined]
        try:
            yield
        finally:
            me.busy = False  # type: ignore[attr-defined]

    def _sender(self, key: Key) -> Sender:
        sender = self.chain.sender(key)
        assert isinstance(sender, Sender)
        sender.patience = PATIENT
        return sender

    def _pay(self) -> None:
        coin = self.chain.coin
        calls = [
            coin.transaction("transfer", target, amount, gas=100_000)
            for amount in (1, 2)
            for target in (SHOP, self.listing.till)
        ]
        for receipt in self._sender(self.payer).send_all(calls):
            self.done[receipt.transaction_hash] = receipt.block_number
        time.sleep(0.05)

    def _release(self) -> None:
        works = Works(self.chain, BlockStore(self.settings.blocks), self.payer)
        self._sender(self.payer)
        if works.due(self.listing.work_id, FRIEND):
            proof = works.shares_of(self.listing.work_id).proof(FRIEND)
            till = self.chain.contract("Till", self.listing.till)
            call = till.transaction("release", self.chain.coin.address, FRIEND, *proof)
            receipt = self._sender(self.payer).send(call)
            self.done[receipt.transaction_hash] = receipt.block_number
        time.sleep(0.05)

    def _buy(self) -> None:
        answer = self.buyer.call(self.url, {"number": self.answered})
        if answer.result != 2 * self.answered:
            self.faults.append(f"the service answered {answer.result} to {self.answered}")
        self.answered += 1
        time.sleep(0.01)

    # Killing and checking

    def kill_once(self, kind: str | None = None, after_s: float | None = None) -> str:
        """Kill something after a random while, start it again, check the ledger; what was killed."""
        kind = kind or self._random.choice(KINDS)
        time.sleep(self._random.uniform(0.02, 0.6) if after_s is None else after_s)
        anvil = int((self.settings.devnet / "anvil.pid").read_text())
        if kind in ("anvil", "node and anvil", "everything"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(anvil, signal.SIGKILL)
        if kind in ("node", "node and anvil", "everything"):
            self.node.kill()
        if kind in ("gateway", "everything"):
            self.gateway.kill()
        if kind in ("node", "node and anvil", "everything"):
            self._start_node()
        if kind in ("gateway", "everything"):
            self._start_gateway()
        if kind != "gateway":
            self._await_anvil(anvil)
        self.kills[kind] += 1
        self.check()
        return kind

    def _await_anvil(self, killed: int) -> None:
        """Until another anvil than the killed one answers."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(KoinonError, OSError, ValueError):
                if int((self.settings.devnet / "anvil.pid").read_text()) != killed:
                    self.chain.block_number()
                    return
            time.sleep(0.02)
        raise AssertionError("the chain does not come back")

    def check(self, *, all_of_it: bool = False) -> None:
        """Hold the chain to what was acknowledged; AssertionError, in words, where it does not agree.
        ``all_of_it`` looks at every block since the first, not only at those since the last check."""
        self._pause()
        try:
            assert not self.faults, self.faults
            if all_of_it:
                self.sums = Sums()
            check_receipts(self, all_of_them=all_of_it)
            check_ledger(self)
        finally:
            self._paused.clear()

    def _pause(self) -> None:
        self._paused.set()
        deadline = time.monotonic() + 180
        while any(getattr(thread, "busy", False) for thread in self._threads):
            if time.monotonic() > deadline:
                raise AssertionError("the load does not come to rest: something hangs")
            time.sleep(0.005)

    def memory(self) -> tuple[int, int]:
        """Resident bytes of the node process and of its anvil."""
        anvil = int((self.settings.devnet / "anvil.pid").read_text())
        return resident_memory(self.node.process.pid), resident_memory(anvil)


def check_receipts(soak: Soak, *, all_of_them: bool) -> None:
    """What was acknowledged is in the block it was said to be in: the newest thousand, or all."""
    said = list(soak.done.items())[0 if all_of_them else -1000 :]
    receipts = soak.chain.rpc.batch([("eth_getTransactionReceipt", [digest]) for digest, _ in said])
    for (digest, block), receipt in zip(said, receipts, strict=True):
        assert receipt is not None, f"{digest} was acknowledged in block {block} and is gone"
        where = (int(receipt["blockNumber"], 16), receipt["status"])
        assert where == (block, "0x1"), f"{digest} was acknowledged in block {block} and is {where}"


def check_ledger(soak: Soak) -> None:
    """Settle, then compare every balance with the transfers, and the till with what calls cost."""
    chain, sums = soak.chain, soak.sums
    services = Services(
        chain, BlockStore(soak.settings.blocks), soak.home / "gateway", _operator(soak.settings)
    )
    services.settle()
    coin, zero = chain.coin, "0x" + "00" * 20
    channels = chain.contract("Channels").address
    latest = chain.block_number()
    for event in coin.history("Transfer", sums.seen + 1, latest):
        source, target, amount = event.values()
        sums.of[target] += amount
        sums.of[source] -= amount
        sums.sold += amount if (source, target) == (channels, soak.listing.till) else 0
    sums.seen = latest
    holders = [address for address in sums.of if address != zero]
    balances = coin.call_many([("balanceOf", address) for address in holders])
    for address, balance in zip(holders, balances, strict=True):
        assert balance == sums.of[address], f"{address} has {balance}, by its transfers {sums.of[address]}"
    assert sum(balances) == -sums.of[zero] == int(coin.call("totalSupply")), "coins were lost or made"
    paid = soak.answered * soak.price
    assert paid <= sums.sold <= soak.buyer.signed, (
        f"{paid} paid, {sums.sold} settled, {soak.buyer.signed} signed"
    )


def _operator(settings: Settings) -> Key:
    return Keyring(settings.keys, environment={}).open(OPERATOR)


def _node(home: Path) -> None:
    """The node process: open, finish what was interrupted, stay."""
    settings = Settings.load(home=home)
    with Node.open(settings) as node:
        resume_interrupted(node, lambda said: print(said, file=sys.stderr, flush=True))
        node.wait(lambda: print(json.dumps({"event": "ready"}), flush=True))


if __name__ == "__main__":
    _node(Path(sys.argv[1]))
