# SPDX-License-Identifier: Apache-2.0
"""``koinon coins``: test coins and gas for an account."""

from __future__ import annotations

import click

from koinon.chain.address import checksum
from koinon.services.buying.pocket import give_coins
from koinon.services.counter import keyring
from koinon.services.prices import to_text, to_units
from koinon.terminal import Session, json_option


@click.command()
@click.argument("account", default="operator")
@click.option("--amount", default="100", show_default=True, help="Coins to give.")
@json_option
@click.pass_obj
def command(session: Session, account: str, amount: str) -> None:
    """Give ACCOUNT (an address, or the name of a key here) test coins, and gas for its transactions."""
    with session.node() as node:
        decimals = int(node.chain.coin.call("decimals"))
        units = to_units(amount, decimals)
        address = checksum(account) if account.startswith("0x") else keyring(node).open(account).address
        given = give_coins(node, address, units)
        holds = int(node.chain.coin.call("balanceOf", address))
    session.terminal.result(
        {"account": address, "given": str(given), "balance": str(holds)},
        lambda terminal: terminal.say(
            f"{address} was given {to_text(given, decimals)} test coins and holds {to_text(holds, decimals)}."
        ),
    )
