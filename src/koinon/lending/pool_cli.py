# SPDX-License-Identifier: Apache-2.0
"""``koinon lending pools | pool | deposit | withdraw | collateral | borrow | repay | liquidate``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
from rich.markup import escape

from koinon.errors import BadInput
from koinon.lending.api import Lending
from koinon.lending.offer_file import SignedOffer
from koinon.lending.pool_shown import show_loan, show_pool, show_pools
from koinon.lending.pool_state import PoolState
from koinon.lending.pools import Position
from koinon.terminal import Session, json_option

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_JUNIOR: Final = click.option("--junior", is_flag=True, help="The tranche that bears losses first.")


@click.command()
@json_option
@click.pass_obj
def pools(session: Session) -> None:
    """List this network's credit pools."""
    with session.node() as node:
        states = Lending.of(node).pools()
    value = {"pools": [state.to_dict() for state in states]}
    session.terminal.result(value, lambda terminal: show_pools(terminal, states))


@click.group()
def pool() -> None:
    """One credit pool."""


@pool.command()
@click.argument("address")
@json_option
@click.pass_obj
def show(session: Session, address: str) -> None:
    """Show a pool: what is lent out, its tiers and tranches, who bears a loss, and what is yours."""
    with session.node() as node:
        lending = Lending.of(node)
        state, mine, lent = lending.pool(address), lending.position(address), lending.lent(address)
    value = {**state.to_dict(), "your_loan": asdict(mine), "your_deposits": lent}

    def said(terminal: Any) -> None:
        show_pool(terminal, state)
        for tranche, amount in lent.items():
            if amount:
                terminal.say(escape(f"Yours in the {tranche} tranche: {state.loan.text(amount)}."))
        if mine.collateral or mine.debt:
            show_loan(terminal, state, mine)

    session.terminal.result(value, said)


@click.command()
@click.argument("address", metavar="POOL")
@click.argument("amount")
@_JUNIOR
@json_option
@click.pass_obj
def deposit(session: Session, address: str, amount: str, *, junior: bool) -> None:
    """Lend AMOUNT to POOL: to the senior tranche unless you say --junior."""
    with session.node() as node:
        lending = Lending.of(node)
        state = lending.pool(address)
        lending.deposit(address, state.loan.units(amount), junior=junior)
        lent = lending.lent(address)
    tranche = "junior" if junior else "senior"
    session.terminal.result(
        {"pool": state.address, **lent},
        lambda terminal: terminal.say(
            escape(f"Yours in the {tranche} tranche: {state.loan.text(lent[tranche])}.")
        ),
    )


@click.command()
@click.argument("address", metavar="POOL")
@click.argument("amount", required=False)
@_JUNIOR
@click.option(
    "--announce", is_flag=True, help="Say that all your junior shares will leave, after the notice."
)
@json_option
@click.pass_obj
def withdraw(session: Session, *, address: str, amount: str | None, junior: bool, announce: bool) -> None:
    """Take AMOUNT back from POOL; without it, all that can be had now."""
    with session.node() as node:
        lending = Lending.of(node)
        state = lending.pool(address)
        taken = 0
        if announce:
            lending.announce_exit(address)
        else:
            wanted = None if amount is None else state.loan.units(amount)
            taken = lending.withdraw(address, wanted, junior=junior)
        lent = lending.lent(address)
    days = f"{state.terms.junior_notice_s / 86_400:g}"
    said = f"Announced: withdraw within a day once {days} days are over."
    session.terminal.result(
        {"pool": state.address, "taken": taken, "announced": announce, **lent},
        lambda terminal: terminal.say(escape(said if announce else f"You got {state.loan.text(taken)}.")),
    )


@click.command()
@click.argument("address", metavar="POOL")
@click.argument("amount", required=False)
@click.option("--back", is_flag=True, help="Take it back; without AMOUNT all of it.")
@json_option
@click.pass_obj
def collateral(session: Session, *, address: str, amount: str | None, back: bool) -> None:
    """Put AMOUNT of collateral behind your loan at POOL, or take it --back."""
    if amount is None and not back:
        raise BadInput("How much?", hint="Name an amount, such as 1.5.", code="lending.amount")
    with session.node() as node:
        lending = Lending.of(node)
        state = lending.pool(address)
        units = None if amount is None else state.collateral.units(amount)
        after = (
            lending.withdraw_collateral(address, units)
            if back
            else lending.supply_collateral(address, units or 0)
        )
    _loan(session, state, after)


@click.command()
@click.argument("address", metavar="[POOL]", required=False)
@click.argument("amount", required=False)
@click.option("--offer", "offer_file", type=_FILE, help="Borrow exactly as this signed offer says.")
@json_option
@click.pass_obj
def borrow(session: Session, *, address: str | None, amount: str | None, offer_file: Path | None) -> None:
    """Borrow AMOUNT from POOL on your tier's terms, or exactly what an issuer offered."""
    if (offer_file is None) != (address is not None and amount is not None):
        raise BadInput(
            "Borrow an amount from a pool, or what a file offers.",
            hint="koinon lending borrow POOL 100, or --offer FILE.",
            code="lending.amount",
        )
    offer = None if offer_file is None else SignedOffer.load(offer_file)
    with session.node() as node:
        lending = Lending.of(node)
        if offer is not None:
            after = lending.take(offer)
            state = lending.pool(offer.offer.pool)
        else:
            state = lending.pool(str(address))
            after = lending.borrow(state.address, state.loan.units(str(amount)))
    _loan(session, state, after)


@click.command()
@click.argument("address", metavar="POOL")
@click.argument("amount", required=False)
@click.option("--for", "borrower", default="", help="Whose loan. [default: yours]")
@json_option
@click.pass_obj
def repay(session: Session, *, address: str, amount: str | None, borrower: str) -> None:
    """Repay AMOUNT of a loan at POOL; without it all of it, to the last unit."""
    with session.node() as node:
        lending = Lending.of(node)
        state = lending.pool(address)
        paid = lending.repay(address, None if amount is None else state.loan.units(amount), borrower=borrower)
    session.terminal.result(
        {"pool": state.address, "paid": paid.paid, "debt": paid.debt},
        lambda terminal: terminal.say(
            escape(f"Repaid {state.loan.text(paid.paid)}; {state.loan.text(paid.debt)} is left.")
        ),
    )


@click.command()
@click.argument("address", metavar="POOL")
@click.argument("borrower")
@click.argument("amount")
@click.option("--least", default="0", help="Do it only for at least so much collateral.")
@json_option
@click.pass_obj
def liquidate(session: Session, *, address: str, borrower: str, amount: str, least: str) -> None:
    """Repay up to AMOUNT of BORROWER's unsound loan at POOL, for collateral and a bonus."""
    with session.node() as node:
        lending = Lending.of(node)
        state = lending.pool(address)
        found = lending.liquidate(
            address,
            borrower,
            state.loan.units(amount),
            least_collateral=state.collateral.units(least),
        )
    session.terminal.result(
        {"pool": state.address, **asdict(found)},
        lambda terminal: terminal.say(
            escape(
                f"You paid {state.loan.text(found.paid)} and got {state.collateral.text(found.collateral)}; "
                f"{state.loan.text(found.debt)} of the debt is left."
            )
        ),
    )


POOLS: Final = (pools, pool, deposit, withdraw, collateral, borrow, repay, liquidate)
"""Of the group ``koinon lending``."""


def _loan(session: Session, state: PoolState, after: Position) -> None:
    session.terminal.result(
        {"pool": state.address, **asdict(after)}, lambda terminal: show_loan(terminal, state, after)
    )
