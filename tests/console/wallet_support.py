# SPDX-License-Identifier: Apache-2.0
"""What tests of coming in and changing things share: a house with a console, and a wallet that signs.

`Wallet` answers EIP-1193 requests as MetaMask does, with a key of its own: it hashes the typed data it is
given by eth_account's encoder, never by ours, and sends raw transactions to the chain by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from eth_account import Account as TheirAccount
from eth_account.messages import encode_defunct, encode_typed_data
from fastapi import FastAPI
from starlette.testclient import TestClient

from koinon.chain import testnode
from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.chain.index import EventIndex
from koinon.chain.keys import Key
from koinon.console.app import create_app
from koinon.console.guard import Limits
from koinon.errors import BadInput
from koinon.settings import Settings
from koinon.store import BlockStore
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor
from koinon.works.registration import Card, Registration, registration_domain

BASE = "http://127.0.0.1:8400"
PATIENT = Limits(reads_per_s=10_000, reads_at_once=10_000, changes_per_s=10_000, changes_at_once=10_000)
TOKEN = re.compile(r'name="csrf_token" value="([0-9a-f]{64})"')


class House:
    """An open node, as far as a console sees it."""

    def __init__(self, home: Path, chain: Chain, operator: Key) -> None:
        self.settings = Settings.load({}, home=home)
        self.settings.ensure_home()
        self.chain = chain
        self.operator = operator
        self.store = BlockStore(self.settings.blocks)
        self.rpc_url = chain.rpc.url
        self.index = EventIndex.open(self.settings, chain)

    def fund(self, *addresses: str) -> None:
        for address in addresses:
            testnode.give(self.chain.rpc, address, 10**19)


def _review(node: House, visitor: Visitor, fields: Fields) -> Review:
    if not fields.get("amount", "").isdigit():
        raise BadInput("The amount is not a number.", hint="Write digits.")
    return Review(f"Mint {fields['amount']}?", "Mint", ("New coins come into being.",), ("Gas.",))


def _mint(node: House, account: Account, fields: Fields, say: Say) -> Outcome:
    say("Minting")
    coin = node.chain.coin
    mint = coin.transaction("mint", account.address, int(fields["amount"]))
    for _ in range(int(fields.get("times", "1"))):
        node.chain.sender(account).send(mint)
        say("Minted once more")
    return Outcome("The coins are there.", "/me", {"Coins": fields["amount"]})


def _sign(node: House, account: Account, fields: Fields, say: Say) -> Outcome:
    say("Signing")
    domain = registration_domain(node.chain.chain_id, node.chain.network.address("Works"))
    card = Card("service", "s", "d", ("l",), "c", unmeasured="u")
    signed = Registration("Thing", "A thing", card).sign(account, domain)
    if account.address == signed.signer and len(signed.signature) == 65:
        signed.check(domain)
    return Outcome("Signed.", "/me")


ACTIONS = (Action("test.mint", _review, _mint, "/money"), Action("test.sign", _review, _sign, "/money"))


def open_console(house: House) -> FastAPI:
    """The console of a house, with changes to try it by."""
    app = create_app(house, limits=PATIENT)
    for action in ACTIONS:
        app.state.actions[action.name] = action
    return app


@contextmanager
def browser(app: FastAPI, base: str = BASE) -> Iterator[TestClient]:
    """A browser with cookies of its own."""
    with TestClient(app, base_url=base, follow_redirects=False) as client:
        yield client


def token(client: TestClient, path: str = "/login") -> str:
    """The token in the forms that this browser is shown."""
    found = TOKEN.search(client.get(path).text)
    assert found is not None, path
    return found.group(1)


def send(client: TestClient, path: str, **fields: str) -> Any:
    """Send a form in, as the page's own would be."""
    return client.post(path, data={"csrf_token": token(client), **fields})


def send_json(client: TestClient, path: str, fields: dict[str, str]) -> Any:
    """As the page's script does."""
    headers = {"X-CSRF-Token": token(client), "Accept": "application/json"}
    return client.post(path, json=fields, headers=headers)


class Refused(Exception):
    """What a wallet throws when its owner says no: code 4001."""


class Wallet:
    """A browser wallet. ``refuses`` names methods that its owner says no to."""

    def __init__(self, chain: Chain, key: Any = None) -> None:
        self.account = key or TheirAccount.create()
        self.address: str = self.account.address
        self.refuses: set[str] = set()
        self.asked: list[tuple[str, list[Any]]] = []
        self._chain = chain

    def request(self, method: str, params: list[Any]) -> Any:
        """EIP-1193 ``request``."""
        self.asked.append((method, params))
        if method in self.refuses:
            raise Refused
        answers: dict[str, Callable[[list[Any]], Any]] = {
            "eth_requestAccounts": lambda _: [self.address],
            "eth_accounts": lambda _: [self.address],
            "eth_chainId": lambda _: hex(self._chain.chain_id),
            "personal_sign": self._personal,
            "eth_signTypedData_v4": self._typed,
            "eth_sendTransaction": self._transact,
        }
        return answers[method](params)

    def _personal(self, params: list[Any]) -> str:
        assert params[1] == self.address
        return f"0x{self.account.sign_message(encode_defunct(hexstr=params[0])).signature.hex()}"

    def _typed(self, params: list[Any]) -> str:
        assert params[0] == self.address
        message = encode_typed_data(full_message=orjson.loads(params[1]))
        return f"0x{self.account.sign_message(message).signature.hex()}"

    def _transact(self, params: list[Any]) -> str:
        asked = params[0]
        assert asked["from"] == self.address
        rpc = self._chain.rpc
        signed = self.account.sign_transaction(
            {
                "to": asked["to"],
                "data": asked["data"],
                "value": int(asked["value"], 16),
                "gas": int(asked["gas"], 16),
                "nonce": int(rpc.call("eth_getTransactionCount", self.address, "pending"), 16),
                "maxFeePerGas": 10**11,
                "maxPriorityFeePerGas": 10**9,
                "chainId": self._chain.chain_id,
            }
        )
        return str(rpc.call("eth_sendRawTransaction", "0x" + signed.raw_transaction.hex()))


def sign_in(client: TestClient, wallet: Wallet) -> Any:
    """Come in with a wallet, as the login page's script does."""
    asked = send_json(client, "/login/wallet/message", {"address": wallet.address})
    message = asked.json()["message"]
    signature = wallet.request("personal_sign", ["0x" + message.encode().hex(), wallet.address])
    return send_json(client, "/login/wallet", {"message": message, "signature": signature})
