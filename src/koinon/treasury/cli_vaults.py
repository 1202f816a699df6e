# SPDX-License-Identifier: Apache-2.0
"""``koinon treasury vault …``: begin vaults, put money in and out, allocate, and change their rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.markup import escape

from koinon.chain.address import checksum
from koinon.errors import BadInput
from koinon.services.prices import to_text, to_units
from koinon.terminal import Session, json_option
from koinon.treasury.api import Treasury
from koinon.treasury.charter_file import EXAMPLE
from koinon.treasury.rules import Change
from koinon.treasury.shown import (
    described_vault,
    said_of,
    show_proposal,
    show_vault,
)
from koinon.treasury.vault import NOBODY

_Command = TypeVar("_Command", bound=Callable[..., Any])


def yes_option(command: _Command) -> _Command:
    """Adds ``--yes``: do it without asking."""
    return click.option("--yes", is_flag=True, help="Do it without asking.")(command)


def agree(session: Session, question: str, yes: bool) -> None:
    """Ask, unless it was said before; programs must say it."""
    if yes:
        return
    if session.terminal.json_output:
        raise BadInput(f"{question} Say so with --yes.", code="treasury.unconfirmed")
    click.confirm(question, abort=True, err=True)


@click.group()
def vault() -> None:
    """Money that is allocated within bounds (ERC-4626)."""


@vault.command(name="list")
@json_option
@click.pass_obj
def listed(session: Session) -> None:
    """List this network's vaults, newest first."""
    with session.node() as node:
        treasury = Treasury.of(node)
        found = [treasury.vault(address) for address in treasury.vaults()[:100]]
    session.terminal.result(
        {"vaults": [{"address": each.address, "name": each.name, "net": each.net} for each in found]},
        lambda terminal: terminal.table(
            "Vaults",
            ("Address", "Name", "Shares are worth"),
            [
                (each.address, each.name, f"{to_text(each.net, each.asset_decimals)} {each.asset_symbol}")
                for each in found
            ],
            right=(2,),
        ),
    )


@vault.command(epilog="An example:\n\n\b\n" + EXAMPLE.replace("\n\n", "\n\n\b\n"))
@click.argument("charter", type=click.Path(path_type=Path))
@yes_option
@json_option
@click.pass_obj
def create(session: Session, *, charter: Path, yes: bool) -> None:
    """Begin a vault on the terms of CHARTER (TOML), with you as manager unless it names another."""
    with session.node() as node:
        treasury = Treasury.of(node)
        terms = treasury.read_charter(charter)
        fee = f"{terms.charter.fee_bps / 100:g} % of gains go to {terms.charter.fee_to}"
        agree(session, f"Begin {terms.name}? What is fixed stays for ever: {fee}.", yes)
        state = treasury.create(terms)
    session.terminal.result(
        described_vault(state, (), 0), lambda terminal: show_vault(terminal, state, (), 0)
    )


@vault.command()
@click.argument("address")
@json_option
@click.pass_obj
def show(session: Session, address: str) -> None:
    """Show a vault: where its money stands, its bounds, and the changes that wait."""
    with session.node() as node:
        treasury = Treasury.of(node)
        state, waiting = treasury.vault(address), treasury.announced(address)
        shares = treasury.shares_of(address)
    session.terminal.result(
        described_vault(state, waiting, shares), lambda terminal: show_vault(terminal, state, waiting, shares)
    )


@vault.command()
@click.argument("address")
@click.argument("amount")
@json_option
@click.pass_obj
def deposit(session: Session, address: str, amount: str) -> None:
    """Give AMOUNT of the vault's asset, get shares."""
    with session.node() as node:
        treasury = Treasury.of(node)
        state = treasury.vault(address)
        shares = treasury.deposit(address, to_units(amount, state.asset_decimals))
    session.terminal.result(
        {"vault": state.address, "shares": shares},
        lambda terminal: terminal.say(
            f"You got {to_text(shares, state.share_decimals)} {escape(state.symbol)}."
        ),
    )


@vault.command()
@click.argument("address")
@click.argument("amount", required=False)
@click.option("--in-kind", is_flag=True, help="Take your part of everything it holds: always possible.")
@click.option(
    "--skip", multiple=True, help="A slot to leave behind: its token cannot be moved, or its price lies."
)
@json_option
@click.pass_obj
def withdraw(
    session: Session, *, address: str, amount: str | None, in_kind: bool, skip: tuple[str, ...]
) -> None:
    """Take AMOUNT of the asset (without it all that can be had at once); of shares with --in-kind."""
    with session.node() as node:
        treasury = Treasury.of(node)
        state = treasury.vault(address)
        if in_kind:
            given = None if amount is None else to_units(amount, state.share_decimals)
            slots = [state.slot(each).number for each in skip]
            paid = treasury.withdraw_in_kind(address, given, skip=slots)
        else:
            wanted = None if amount is None else to_units(amount, state.asset_decimals)
            paid = treasury.withdraw(address, wanted)
    tokens = "".join(f", {units} smallest units of {symbol}" for symbol, units in paid.tokens.items())
    session.terminal.result(
        {"vault": state.address, "shares": paid.shares, "assets": paid.assets, "tokens": dict(paid.tokens)},
        lambda terminal: terminal.say(
            escape(
                f"You got {to_text(paid.assets, state.asset_decimals)} {state.asset_symbol}{tokens} "
                f"for {to_text(paid.shares, state.share_decimals)} {state.symbol}."
            )
        ),
    )


@vault.command()
@click.argument("address")
@click.argument("weights", nargs=-1, required=True, metavar="SLOT=PART…")
@click.option("--tolerance-bps", default=30, show_default=True, help="How much less a trade may bring.")
@yes_option
@json_option
@click.pass_obj
def rebalance(
    session: Session, *, address: str, weights: tuple[str, ...], tolerance_bps: int, yes: bool
) -> None:
    """Move a vault to weights such as ETH=0.4, brought within its bounds and this epoch's turnover."""
    wanted = {}
    for each in weights:
        name, _, part = each.rpartition("=")
        try:
            wanted[name] = float(part)
        except ValueError:
            raise BadInput(
                f"{each!r} is no weight.", hint="Write them like ETH=0.4.", code="treasury.weights"
            ) from None
    with session.node() as node:
        treasury = Treasury.of(node)
        state = treasury.vault(address)
        proposal = treasury.propose(address, wanted, tolerance_bps=tolerance_bps)
        show_proposal(session.terminal, state, proposal)
        agree(session, "Make these trades?", yes)
        after = treasury.rebalance(proposal)
    session.terminal.result(
        {**proposal.to_dict(), "gross_before": state.gross, "gross_after": after.gross},
        lambda terminal: show_vault(terminal, after, (), 0),
    )


@vault.command()
@click.argument("address")
@click.argument("slot")
@click.argument("min_bps", type=int)
@click.argument("max_bps", type=int)
@yes_option
@json_option
@click.pass_obj
def bounds(session: Session, *, address: str, slot: str, min_bps: int, max_bps: int, yes: bool) -> None:
    """Set a slot's bounds, in 1e-4: narrower at once; wider announced, and again after 48 hours."""
    with session.node() as node:
        treasury = Treasury.of(node)
        make(session, treasury, treasury.rules.bounds(address, slot, min_bps, max_bps), yes)


@vault.command()
@click.argument("address")
@click.option("--turnover-bps", type=int)
@click.option("--slippage-bps", type=int)
@click.option("--drawdown-bps", type=int)
@click.option("--idle-bps", type=int)
@yes_option
@json_option
@click.pass_obj
def limits(session: Session, /, *, address: str, yes: bool, **changes: int | None) -> None:
    """Set limits, in 1e-4: tighter at once; looser announced, and again after 48 hours."""
    wanted = {name: value for name, value in changes.items() if value is not None}
    if not wanted:
        raise BadInput("No limit is named.", hint="Such as --slippage-bps 50.", code="treasury.limits")
    with session.node() as node:
        treasury = Treasury.of(node)
        make(session, treasury, treasury.rules.limits(address, **wanted), yes)


@vault.command()
@click.argument("address")
@click.argument("account", default="")
@yes_option
@json_option
@click.pass_obj
def allocator(session: Session, *, address: str, account: str, yes: bool) -> None:
    """Dismiss the allocator at once, or appoint ACCOUNT: announced, and again after 48 hours."""
    who = checksum(account) if account else NOBODY
    with session.node() as node:
        treasury = Treasury.of(node)
        make(session, treasury, treasury.rules.allocator(address, who), yes)


@vault.command()
@click.argument("address")
@yes_option
@json_option
@click.pass_obj
def resume(session: Session, *, address: str, yes: bool) -> None:
    """Let allocation go on after a stop or a drawdown: announced, and again after 48 hours."""
    with session.node() as node:
        treasury = Treasury.of(node)
        make(session, treasury, treasury.rules.resumption(address), yes)


@vault.command()
@click.argument("address")
@json_option
@click.pass_obj
def stop(session: Session, address: str) -> None:
    """Stop allocation at once, and nothing else: as its guardian or manager."""
    with session.node() as node:
        state = Treasury.of(node).rules.stop(address)
    session.terminal.result(
        {"vault": state.address, "stopped": state.stopped},
        lambda terminal: terminal.say("Allocation is stopped. Withdrawals are not."),
    )


@vault.command()
@click.argument("address")
@click.argument("slot")
@click.argument("bps", type=int)
@yes_option
@json_option
@click.pass_obj
def mark_down(session: Session, *, address: str, slot: str, bps: int, yes: bool) -> None:
    """Let shares that lie count for BPS (in 1e-4) of what they do now, as the guardian."""
    with session.node() as node:
        treasury = Treasury.of(node)
        known = treasury.vault(address).slot(slot)
        agree(
            session, f"Count {known.symbol} for {bps / 100:g} %? Whoever leaves for the asset gets less.", yes
        )
        state = treasury.rules.mark_down(address, slot, bps)
    session.terminal.result(
        {"vault": state.address, "slot": known.number, "worth": state.slot(slot).worth},
        lambda terminal: show_vault(terminal, state, (), 0),
    )


@vault.command()
@click.argument("address")
@click.argument("change")
@json_option
@click.pass_obj
def veto(session: Session, address: str, change: str) -> None:
    """Take an announced CHANGE (its digest, as shown) away, as the guardian."""
    with session.node() as node:
        Treasury.of(node).rules.veto(address, change)
    session.terminal.result(
        {"vault": address, "change": change}, lambda terminal: terminal.say("It is taken away.")
    )


def make(session: Session, treasury: Treasury, change: Change, yes: bool) -> None:
    """Show a change, ask, make or announce it, and say what stands then."""
    agree(session, said_of(change), yes)
    state = treasury.rules.make(change)
    session.terminal.result(
        {**change.to_dict(), "announced": change.ready_at == 0},
        lambda terminal: show_vault(terminal, state, treasury.announced(change.vault), 0),
    )
