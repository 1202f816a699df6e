# SPDX-License-Identifier: Apache-2.0
"""What tests of every room's pages share: a console on a development chain, and visitors who use it."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from koinon.chain.contract import Call
from koinon.chain.devnet import Devnet
from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.works.api import Works
from koinon.works.registration import Card, Registration
from tests.console.wallet_support import (
    House,
    Wallet,
    browser,
    open_console,
    send,
    send_json,
    sign_in,
    token,
)

PATIENCE_S = 60.0
COIN = 10**6


@dataclass
class Visit:
    """A visitor with a browser of their own."""

    town: Town
    client: TestClient
    address: str = ""

    def page(self, path: str, status: int = 200) -> str:
        """A page as text, its entities resolved."""
        self.town.sync()
        answer = self.client.get(path)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return html.unescape(answer.text)

    def raw(self, path: str) -> Any:
        self.town.sync()
        return self.client.get(path)

    def ask(self, name: str, /, **fields: str) -> str:
        """Send a form in; the path of its review."""
        answer = send(self.client, f"/act/{name}", **fields)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def review(self, name: str, /, **fields: str) -> str:
        return self.page(self.ask(name, **fields))

    def refused(self, name: str, /, **fields: str) -> str:
        """The page that refuses a form: never an error of the server's."""
        answer = send(self.client, f"/act/{name}", **fields)
        assert 400 <= answer.status_code < 500, (answer.status_code, fields, answer.text)
        return html.unescape(answer.text)

    def do(self, name: str, /, **fields: str) -> str:
        """Send a form in and agree to it; the page that says what happened."""
        return self.agree(self.ask(name, **fields))

    def agree(self, path: str) -> str:
        assert send(self.client, f"{path}/begin").status_code == 303
        page = self.finished(path)
        assert state(page) == "done", page
        return page

    def agree_by_wallet(self, path: str, wallet: Wallet) -> str:
        """Agree, and let a wallet answer whatever it is asked for; the page that says what happened."""
        assert send(self.client, f"{path}/begin").status_code == 303
        deadline = time.monotonic() + PATIENCE_S
        answered: set[str] = set()
        while state(page := self.client.get(path).text) == "running":
            assert time.monotonic() < deadline, page
            asked = self.client.get(f"{path}/wish").json()
            if asked is None or asked["id"] in answered:
                time.sleep(0.02)
                continue
            answered.add(asked["id"])
            text = wallet.request(asked["method"], asked["params"])
            send_json(self.client, f"{path}/answer", {"wish": asked["id"], "kind": "result", "text": text})
        page = html.unescape(page)
        assert state(page) == "done", page
        return page

    def finished(self, path: str) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while state(page := self.client.get(path).text) == "running":
            assert time.monotonic() < deadline, page
            time.sleep(0.02)
        return html.unescape(page)

    def upload(self, path: str, fields: dict[str, str], file: tuple[str, bytes, str] | None = None) -> Any:
        """Send a form with a file in, its token first as a browser does."""
        parts: list[tuple[str, Any]] = [("csrf_token", (None, token(self.client)))]
        parts += [(name, (None, value)) for name, value in fields.items()]
        if file is not None:
            parts.append(("file", file))
        return self.client.post(path, files=parts)


@dataclass
class Town:
    """A console with its house, and visitors coming and going."""

    house: House
    app: FastAPI
    exits: ExitStack
    owner: Key = field(default_factory=Key.generate)

    @property
    def chain(self) -> Chain:
        return self.house.chain

    def sync(self) -> None:
        """Let the index read everything the chain has."""
        self.house.index.sync()

    def nobody(self) -> Visit:
        return Visit(self, self.exits.enter_context(browser(self.app)))

    def guest(self) -> Visit:
        visit = self.nobody()
        assert send(visit.client, "/login/guest").status_code == 303
        found = self.app.state.records.rows("SELECT address FROM guest ORDER BY created_at DESC LIMIT 1")
        visit.address = found[0]["address"]
        return visit

    def operator(self) -> Visit:
        visit = self.nobody()
        name = self.app.state.sessions.begin("operator", self.house.operator.address)
        visit.client.cookies.set(self.app.state.sessions.cookie, name)
        visit.address = self.house.operator.address
        return visit

    def as_wallet(self, address: str) -> Visit:
        """Somebody who came in with a wallet, as far as reading goes."""
        visit = self.nobody()
        name = self.app.state.sessions.begin("wallet", address)
        visit.client.cookies.set(self.app.state.sessions.cookie, name)
        visit.address = address
        return visit

    def wallet(self, wallet: Wallet) -> Visit:
        """Somebody with a wallet, who has some ETH for gas."""
        self.house.fund(wallet.address)
        visit = self.nobody()
        assert sign_in(visit.client, wallet).status_code == 200
        visit.address = wallet.address
        return visit

    def coins(self, account: str) -> int:
        return int(self.chain.coin.call("balanceOf", account))

    def pay(self, account: str, amount: int) -> None:
        """New coins for an account, in the smallest unit."""
        self.chain.sender(self.owner).send(self.chain.coin.transaction("mint", account, amount))

    def transact(self, call: Call, key: Key | None = None) -> Any:
        return self.chain.sender(key or self.owner).send(call)

    def work(self, name: str = "A Work", kind: str = "dataset", **options: Any) -> Any:
        """A Work of the town's own account."""
        card = Card(kind, f"{name}.", "Made up.", ("None of it is true.",), "Ask.", unmeasured="A test.")
        works = Works(self.chain, self.house.store, self.owner)
        return works.publish(Registration(name, f"{name}, described.", card), **options)


@contextmanager
def open_town(home: Path, network: Network, devnet: Devnet) -> Iterator[Town]:
    with Chain.open(network) as chain, ExitStack() as exits:
        house = House(home, chain, devnet.key(4))
        exits.callback(house.index.close)
        town = Town(house, open_console(house), exits)
        house.fund(town.owner.address)
        yield town


def state(page: str) -> str:
    found = re.search(r'data-state="(\w+)"', page)
    return found.group(1) if found else ""


def words(page: str) -> str:
    """What a page says, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
