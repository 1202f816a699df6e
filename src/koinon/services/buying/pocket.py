# SPDX-License-Identifier: Apache-2.0
"""Test coins and gas for whoever asks, where money is test money."""

from __future__ import annotations

from typing import Any, Final

from koinon.errors import SetupError

POCKET_COINS: Final = 100
"""Whole coins that are given where nobody says how many."""


def gives_coins(node: Any) -> bool:
    """Whether coins cost nothing here: the network's money is test money, and its coin mints for anyone."""
    return bool(node.chain.network.test_money) and "mint" in node.chain.coin.functions


def give_coins(node: Any, address: str, units: int | None = None) -> int:
    """Mint ``units`` of the network's coin to ``address``, with gas where that is given away; what was given.

    Raises
    ------
    SetupError
        Money is real here, or the coin does not mint.
    """
    if not gives_coins(node):
        raise SetupError(
            "Coins are given away only where money is test money.",
            hint="Send the account coins from one that has some.",
            code="setup.no_coins",
        )
    coin = node.chain.coin
    most = int(coin.call("mintLimit"))
    given = min(POCKET_COINS * 10 ** int(coin.call("decimals")) if units is None else units, most)
    node.fund(address)
    node.chain.sender(node.operator).send(coin.transaction("mint", address, given))
    return given
