# SPDX-License-Identifier: Apache-2.0
"""What ``koinon treasury`` says to people, and to programs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape

from koinon.services.prices import to_text
from koinon.terminal import Terminal
from koinon.treasury.allocation.backtest import Report
from koinon.treasury.proposal import Proposal
from koinon.treasury.rules import Change
from koinon.treasury.vault import WAD, WHOLE_BPS, Announced, VaultState
from koinon.treasury.views import BoughtViews


def moment(second: int) -> str:
    """Unix seconds as people read them."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(second))


def percent(part: float) -> str:
    return f"{part:.2%}"


def show_report(terminal: Terminal, report: Report) -> None:
    """A walk forward's table: equal weight first, each ratio with its interval."""
    plan = report.plan
    terminal.table(
        f"{report.source}, {report.begin} to {report.end}: {report.tested} rows, "
        f"learnt from {plan.train} before each, every {plan.step}, costs {plan.cost_bps:g} bps",
        (
            "Method",
            "Sharpe (95 %)",
            "Over equal (95 %)",
            "Probable",
            "Deflated",
            "A year",
            "Worst fall",
            "Turnover",
            "Seconds",
        ),
        [
            (
                row.method,
                f"{row.sharpe:.2f} ({row.sharpe_interval[0]:.2f}…{row.sharpe_interval[1]:.2f})",
                "the benchmark"
                if place == 0
                else f"{row.beats:+.2f} ({row.beats_interval[0]:+.2f}…{row.beats_interval[1]:+.2f})",
                percent(row.probable),
                percent(row.deflated),
                percent(row.a_year),
                percent(row.drawdown),
                percent(row.turnover),
                f"{row.seconds:.3f}",
            )
            for place, row in enumerate(report.rows)
        ],
        right=(3, 4, 5, 6, 7, 8),
    )
    better = [row.method for row in report.rows if row.better]
    terminal.say(
        f"Better than equal weight beyond chance: {escape(', '.join(better))}."
        if better
        else "None is better than equal weight beyond chance."
    )
    if report.paths:
        terminal.table(
            "Combinatorial purged cross-validation: Sharpe ratios without costs, over all choices of years",
            ("Method", "Least", "Middle", "Most", "Above equal weight"),
            [_paths(name, values, report) for name, values in report.paths.items()],
            right=(1, 2, 3, 4),
        )


def _paths(name: str, values: Sequence[float], report: Report) -> tuple[str, ...]:
    ordered = sorted(values)
    base = next(iter(report.paths.values()))
    above = sum(mine > its for mine, its in zip(values, base, strict=True)) / len(values)
    return (
        name,
        f"{ordered[0]:.2f}",
        f"{ordered[len(ordered) // 2]:.2f}",
        f"{ordered[-1]:.2f}",
        "-" if values is base else percent(above),
    )


def show_weights(
    terminal: Terminal, method: str, weights: Mapping[str, float], bought: BoughtViews | None = None
) -> None:
    """A method's weights, the largest first; with the views that went in."""
    expected = dict(bought.views.expected) if bought else {}
    terminal.table(
        f"What {method} would hold",
        ("Asset", "Weight", *(("Expected",) if bought else ())),
        [
            (
                name,
                percent(weight),
                *((percent(expected[name]) if name in expected else "",) if bought else ()),
            )
            for name, weight in sorted(weights.items(), key=lambda each: -each[1])
        ],
        right=(1, 2),
    )
    if bought:
        terminal.note(f"[dim]Views of Work {bought.work_id}; evidence kept as {bought.asked}.json[/dim]")


def described_vault(state: VaultState, waiting: Sequence[Announced], shares: int) -> dict[str, Any]:
    """For a JSON document."""
    document = asdict(state)
    document["slots"] = [
        {**asdict(slot), "strategy": {**asdict(slot.strategy), "kind": slot.strategy.kind.name.lower()}}
        for slot in state.slots
    ]
    return {
        **document,
        "gross": state.gross,
        "price": state.price,
        "drawdown": state.drawdown,
        "turnover_left": state.turnover_left,
        "your_shares": shares,
        "announced": [asdict(each) for each in waiting],
    }


def show_vault(terminal: Terminal, state: VaultState, waiting: Sequence[Announced], shares: int) -> None:
    """A vault: where its money stands, its bounds, and what waits."""

    def plain(units: int) -> str:
        return f"{to_text(units, state.asset_decimals)} {state.asset_symbol}"

    def money(units: int) -> str:
        return escape(plain(units))

    whole = state.gross or 1
    terminal.say(f"[bold]{escape(state.name)}[/bold] ({escape(state.symbol)}) at {state.address}")
    if not state.known:
        terminal.say("[red]It was not made by this network's factory: nobody says what its code does.[/red]")
    rows = [
        (
            str(slot.number),
            slot.symbol,
            slot.strategy.kind.name.lower(),
            plain(slot.worth) if slot.worth or not slot.held else "no price",
            percent(slot.worth / whole),
            f"{slot.strategy.min_bps / 100:g} to {slot.strategy.max_bps / 100:g} %",
        )
        for slot in state.slots
    ]
    idle_bound = f"{state.limits.idle_bps / 100:g} % at least"
    rows.append(("", "idle", "", plain(state.idle), percent(state.idle / whole), idle_bound))
    terminal.table("", ("Slot", "Token", "Kind", "Worth", "Part", "Bounds"), rows, right=(0, 3, 4))
    terminal.say(f"Shares are worth {money(state.net)}; {money(state.locked)} of gains unlock over time.")
    limits = state.limits
    terminal.say(
        f"In an epoch {limits.turnover_bps / 100:g} % may be traded ({percent(state.traded / WAD)} was), "
        f"each trade within {limits.slippage_bps / 100:g} % of the price: at most "
        f"{limits.turnover_bps * limits.slippage_bps / WHOLE_BPS / 100:g} % can be lost by it."
    )
    terminal.say(
        f"A share is {percent(state.drawdown)} below its peak; "
        f"allocation stops at {limits.drawdown_bps / 100:g} %."
    )
    if state.stopped or state.tripped:
        why = "its guardian or manager stopped it" if state.stopped else "a share fell too far"
        terminal.say(f"[yellow]Allocation is stopped: {why}. Withdrawals are not.[/yellow]")
    if not state.valid:
        terminal.say(
            "[yellow]Something it holds has no valid price: no deposits; withdrawals in kind only.[/yellow]"
        )
    for each in waiting:
        terminal.say(
            escape(
                f"Announced: {each.call}{each.arguments} from {moment(each.ready_at)}. "
                f"Change {each.change_id}"
            )
        )
    if shares:
        terminal.say(f"You have {to_text(shares, state.share_decimals)} {escape(state.symbol)}.")


def show_proposal(terminal: Terminal, state: VaultState, proposal: Proposal) -> None:
    """What a rebalancing would do, before it is sent."""
    terminal.table(
        f"Rebalancing {state.name}: {percent(proposal.turnover)} is traded of {percent(proposal.left)} left",
        ("Slot", "Token", "Now", "Wanted", "Target", f"Trade, {state.asset_symbol}"),
        [
            (
                str(move.slot.number),
                move.slot.symbol,
                percent(move.before_bps / WHOLE_BPS),
                percent(move.wanted_bps / WHOLE_BPS),
                percent(move.target_bps / WHOLE_BPS),
                to_text(move.amount, state.asset_decimals),
            )
            for move in proposal.moves
        ],
        right=(0, 2, 3, 4, 5),
    )
    if proposal.kept:
        terminal.say(f"Left as they are: {escape(', '.join(proposal.kept))}.")


def said_of(change: Change) -> str:
    """What making a change does now, in a sentence."""
    step = f"{change.call}: {change.before} becomes {change.after}"
    if change.ready_at is None:
        return f"{step}, at once."
    if change.ready_at == 0:
        return f"{step}: announced now, and it can be made after 48 hours."
    return f"{step}: announced, can be made from {moment(change.ready_at)}."
