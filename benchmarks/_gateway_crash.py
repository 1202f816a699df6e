# SPDX-License-Identifier: Apache-2.0
"""A gateway killed under load, again and again: nothing that was answered is forgotten.

Strangers in threads buy calls by voucher, calls by a prepaid token, and streams; what they were answered is
added up. The gateway is killed (kill -9) at random moments and started again on the same journal. At the end
it settles, and for each stranger: answered ≤ claimed on chain ≤ signed. A voucher that was acknowledged and
lost would break the first, a call charged that nobody asked for the second.
"""

from __future__ import annotations

import json
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.errors import KoinonError
from koinon.node import Node
from koinon.services.api import Services
from koinon.services.buying.client import Buyer
from koinon.services.buying.streaming import StreamingBuyer
from koinon.services.buying.transport import Http
from koinon.services.gateway.registry import Registry, Service
from koinon.services.gateway.serve import owner_token
from koinon.settings import Settings

PASSWORD = secrets.token_hex(8)
PRICE = 1_000
FORTUNE = 10**9
DEPOSIT = 10**8
STARTS_WITHIN_S = 60.0
FUNCTIONS = """
from collections.abc import Iterator

def double(number: int) -> int:
    return 2 * number

def count(to: int) -> Iterator[int]:
    yield from range(to)
"""


@dataclass
class Stranger:
    """One buyer: what it was answered (in coins) and what it signed at most."""

    key: Key
    service: str
    work: Callable[[Stranger], None]
    answered: int = 0
    signed: int = 0
    parts: int = 0


class CrashTest:
    """Use as a context; `kill_once` as often as wanted, then `check`."""

    def __init__(self, home: Path, *, seed: int = 8402) -> None:
        self._home = home
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self.faults: list[str] = []

    def __enter__(self) -> Self:
        self._node = Node.open(Settings.load({"HOME": str(self._home)}, home=self._home))
        node = self._node
        self.chain: Chain = node.chain
        self._key = Key.generate()
        node.fund(self._key.address)
        (self._home / "app.py").write_text(FUNCTIONS)
        data_dir = self._home / "gateway"
        services = Services(node.chain, node.store, data_dir, node.operator, gateway_key=self._key)
        self._urls = {}
        registry = Registry(data_dir)
        for name in ("double", "count"):
            listing = services.publish(f"{self._home / 'app.py'}:{name}", "0.001")
            self._urls[name] = f"/services/{listing.work_id}"
            served = registry.get(listing.work_id)
            if name == "count":
                registry.add(Service(**(served.__dict__ | {"unit": "part", "most_units": 5, "workers": 2})))
        self._key.save(self._home / "key", PASSWORD, derivation="pbkdf2")
        (self._home / "password").write_text(PASSWORD)
        self._config: dict[str, Any] = {
            "network": str(node.settings.network),
            "key": str(self._home / "key"),
            "password_file": str(self._home / "password"),
            "data_dir": str(data_dir),
            "settle_every_s": 2.0,
            "port": 0,
        }
        self._start()
        self.strangers = [
            Stranger(Key.generate(), "double", self._calls),
            Stranger(Key.generate(), "double", self._calls),
            Stranger(Key.generate(), "double", self._prepaid_calls),
            Stranger(Key.generate(), "count", self._streams),
        ]
        coin, sender = node.chain.coin, node.chain.sender(node.operator)
        sender.send_all([coin.transaction("mint", each.key.address, FORTUNE) for each in self.strangers])
        self._threads = [
            threading.Thread(target=self._repeat, args=(each,), daemon=True) for each in self.strangers
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(STARTS_WITHIN_S)
        if self._process.poll() is None:
            self._process.terminate()
        self._process.communicate()
        self._node.close()

    def kill_once(self, *, more_answers: int = 20) -> None:
        """Kill it once that many more answers came to each stranger, at a random moment; start it again."""
        before = [each.parts for each in self.strangers]
        deadline = time.monotonic() + STARTS_WITHIN_S
        while any(each.parts < old + more_answers for each, old in zip(self.strangers, before, strict=True)):
            if time.monotonic() > deadline:
                raise AssertionError(f"no answers came any more: {self.faults[-3:]}")
            time.sleep(0.005)
        time.sleep(self._random.uniform(0, 0.05))
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()
        self._start()

    def check(self) -> int:
        """Stop the strangers, settle, and hold the chain against what they were told; the number of answers.

        Raises AssertionError with the first thing that is wrong.
        """
        self._stopping.set()
        for thread in self._threads:
            thread.join(STARTS_WITHIN_S)
        http = Http()
        bearer = {"Authorization": f"Bearer {owner_token(self._home / 'gateway')}"}
        response = http.request("POST", f"{self._url}/settle", b"", bearer)
        http.close()
        report = json.loads(response.body)
        if response.status != 200 or report["failed"]:
            raise AssertionError(f"settling failed: {report}")
        if self.faults:
            raise AssertionError(self.faults[0])
        for each in self.strangers:
            with StreamingBuyer(self.chain, each.key, spending_limit=0) as buyer:
                claimed = buyer.channel(self._url + self._urls[each.service]).charged
            if not 0 < each.answered <= claimed <= each.signed:
                raise AssertionError(f"answered {each.answered}, claimed {claimed}, signed {each.signed}")
        return sum(each.parts for each in self.strangers)

    def _start(self) -> None:
        (self._home / "gateway.json").write_text(json.dumps(self._config))
        command = [sys.executable, "-m", "koinon.services.gateway.app", str(self._home / "gateway.json")]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        if self._process.stdout is None:
            raise RuntimeError("the gateway has no output")
        ready = json.loads(self._process.stdout.readline())
        if ready["event"] != "ready":
            raise AssertionError(f"the gateway did not start: {ready}")
        self._url: str = ready["url"]
        self._config["port"] = int(self._url.rsplit(":", 1)[1])

    def _repeat(self, stranger: Stranger) -> None:
        while not self._stopping.is_set():
            try:
                stranger.work(stranger)
            except KoinonError:
                time.sleep(0.05)  # killed in between, and back in a moment
            except Exception as error:
                self.faults.append(f"{stranger.work.__name__}: {type(error).__name__}: {error}")
                return

    def _calls(self, stranger: Stranger) -> None:
        url = self._url + self._urls[stranger.service]
        left = FORTUNE - stranger.signed
        with Buyer(self.chain, stranger.key, spending_limit=left, deposit=DEPOSIT, timeout_s=20) as buyer:
            before = stranger.signed
            try:
                while not self._stopping.is_set():
                    stranger.answered += buyer.call(url, {"number": stranger.parts}).charged
                    stranger.parts += 1
            finally:
                stranger.signed = before + buyer.signed

    def _prepaid_calls(self, stranger: Stranger) -> None:
        url = self._url + self._urls[stranger.service]
        left = FORTUNE - stranger.signed
        http = Http(20)
        before = stranger.signed
        with StreamingBuyer(
            self.chain, stranger.key, spending_limit=left, deposit=DEPOSIT, timeout_s=20
        ) as buyer:
            try:
                while not self._stopping.is_set():
                    prepaid = buyer.sign_ahead(url, 20 * PRICE)
                    for _ in range(20):
                        answer = prepaid.call(http, {"number": 1}, number=secrets.token_hex(8))
                        stranger.answered += answer.charged
                        stranger.parts += 1
            finally:
                stranger.signed = before + buyer.signed
                http.close()

    def _streams(self, stranger: Stranger) -> None:
        url = self._url + self._urls[stranger.service]
        left = FORTUNE - stranger.signed
        before = stranger.signed
        with StreamingBuyer(
            self.chain, stranger.key, spending_limit=left, deposit=DEPOSIT, timeout_s=20
        ) as buyer:
            try:
                while not self._stopping.is_set():
                    with buyer.stream(url, {"to": 40}) as stream:
                        for part in stream:
                            stranger.answered += part.cost
                            stranger.parts += 1
            finally:
                stranger.signed = before + buyer.signed
