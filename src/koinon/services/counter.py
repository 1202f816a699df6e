# SPDX-License-Identifier: Apache-2.0
"""A node's own counter: its services as its commands and pages open them."""

from __future__ import annotations

from typing import Any, Final

from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.services.api import Services

GATEWAY: Final = "gateway"
"""The key that takes payments, and the folder of what is sold."""

BUYER: Final = "buyer"
"""The key that pays for calls from this node's shell."""

_POCKET_MONEY: Final = 5
"""Coins that a buyer without any is given, where money is test money."""


def keyring(node: Any) -> Keyring:
    """The keys of a node's data directory."""
    return Keyring(node.settings.keys, derivation="pbkdf2" if node.chain.network.test_money else "scrypt")


def buyer_key(node: Any) -> Key:
    """The key that pays for calls from this shell, with some coins where they cost nothing."""
    key = keyring(node).open(BUYER)
    coin = node.chain.coin
    if node.chain.network.test_money and coin.call("balanceOf", key.address) == 0:
        amount = _POCKET_MONEY * 10 ** int(coin.call("decimals"))
        node.chain.sender(node.operator).send(coin.transaction("mint", key.address, amount))
    return key


def open_counter(node: Any) -> Services:
    """What this node sells, for its operator; the gateway's account is given gas where ETH is given away."""
    key = keyring(node).open(GATEWAY)
    if node.chain.network.test_money and node.chain.balance(key.address) == 0:
        node.fund(key.address)
    return _services(node, key)


def open_shelf(node: Any) -> Services:
    """What this node sells, to be looked at and added to: no key of the gateway is opened, so that a visitor
    costs no deriving of a key, and nothing can be settled."""
    return _services(node, None)


def _services(node: Any, gateway_key: Key | None) -> Services:
    settings = node.settings
    return Services(
        node.chain,
        node.store,
        settings.home / GATEWAY,
        node.operator,
        gateway_key=gateway_key,
        gateway_account=keyring(node).address(GATEWAY),
        url=settings.gateway_url or f"http://{settings.host}:{settings.port}",
    )
