# SPDX-License-Identifier: Apache-2.0
"""Guests: accounts that the node keeps and funds with test money, for people who only want to try."""

from __future__ import annotations

import secrets
import time
from typing import Any, Final

from koinon.chain import testnode
from koinon.chain.contract import Call
from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.console.records import Records
from koinon.errors import KeyFault, PaymentError

AN_HOUR: Final = 20
"""Guests that one network address may become in an hour."""
MOST: Final = 2_000
"""Guests of one node, in all."""
POCKET_COINS: Final = 100
"""Test coins a guest begins with, in whole ones."""


class Guests:
    """The guests of one node.

    Parameters
    ----------
    node : Node
    records : Records
    """

    def __init__(self, node: Any, records: Records) -> None:
        self._node = node
        self._records = records
        self._ring = Keyring(node.settings.keys / "guests", derivation="pbkdf2")

    def welcome(self) -> bool:
        """Whether this node has guests: only where money is made up."""
        chain = self._node.chain
        return bool(chain.network.test_money) and testnode.is_test_node(chain.rpc)

    def make(self, client: str) -> str:
        """A new guest's address, with test ETH and test coins.

        Raises
        ------
        KeyFault
            This network has no guests.
        PaymentError
            There were too many from this network address, or in all.
        """
        if not self.welcome():
            raise KeyFault(
                "Guests exist only on development chains, whose money is worth nothing.",
                hint="Come in with a browser wallet.",
                code="login.no_guests",
            )
        now = time.time()
        lately = self._records.rows(
            "SELECT count(*) AS lately FROM guest WHERE client = ? AND created_at > ?", client, now - 3_600
        )[0]["lately"]
        in_all = self._records.rows("SELECT count(*) AS in_all FROM guest")[0]["in_all"]
        if lately >= AN_HOUR or in_all >= MOST:
            raise PaymentError(
                "There have been too many new guests.",
                hint="Wait an hour, or come in with a browser wallet.",
                code="login.too_many_guests",
            )
        name = f"guest-{secrets.token_hex(8)}"
        address = self._ring.open(name).address
        self._records.insert("guest", ("name", "address", "client", "created_at"), name, address, client, now)
        self._node.fund(address)
        coin = self._node.chain.coin
        if "mint" in coin.functions:
            units = min(POCKET_COINS * 10 ** int(coin.call("decimals")), int(coin.call("mintLimit")))
            mint: Call = coin.transaction("mint", address, units)
            self._node.chain.sender(self._ring.open(name)).send(mint)
        return address

    def key(self, address: str) -> Key:
        """The key of a guest; `KeyFault` where there is none."""
        found = self._records.rows("SELECT name FROM guest WHERE address = ?", address)
        if not found:
            raise KeyFault(
                f"{address} is no guest of this node.", hint="Come in again.", code="login.unknown_guest"
            )
        return self._ring.open(found[0]["name"])
