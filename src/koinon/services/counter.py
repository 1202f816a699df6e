# SPDX-License-Identifier: Apache-2.0
"""A node's own counter: its services as its commands and pages open them."""

from __future__ import annotations

from typing import Any, Final

from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.services.api import Services

GATEWAY: Final = "gateway"
"""The key that takes payments, and the folder of what is sold."""


def keyring(node: Any) -> Keyring:
    """The keys of a node's data directory."""
    return Keyring(node.settings.keys, derivation="pbkdf2" if node.chain.network.test_money else "scrypt")


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
        url=settings.gateway_url or f"http://{settings.host}:{settings.port}",
    )
