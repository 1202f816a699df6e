# SPDX-License-Identifier: Apache-2.0
"""Reports of liquidity as people read them on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape

from koinon.terminal import Terminal


def show_tail(terminal: Terminal, document: Mapping[str, Any]) -> None:
    """Figures for the next day, and how earlier ones held."""
    terminal.say(
        f"[bold]{escape(document['data'])}[/bold]: {document['days']:,} days; each figure is of "
        f"{document['window_days']:,} days before it."
    )
    terminal.table(
        "",
        ("Method", "Level", "VaR", "ES", "Exceeded", "Expected", "Kupiec", "Both"),
        [
            (
                each["method"],
                f"{each['level']:.0%}",
                f"{each['value_at_risk']:.2%}",
                f"{each['shortfall']:.2%}",
                f"{each['backtest']['exceeded']} of {each['backtest']['days']}",
                f"{each['backtest']['expected']:.0f}",
                f"{each['backtest']['kupiec']['p']:.3f}",
                f"{each['backtest']['coverage']['p']:.3f}",
            )
            for each in document["figures"]
        ],
        right=(1, 2, 3, 4, 5, 6, 7),
    )
    terminal.say(
        "Kupiec: p of so many days beyond. Both: p of that, and of days in a row (Christoffersen). Below "
        "0.05 the figures are not to be believed."
    )


def show_pool(terminal: Terminal, document: Mapping[str, Any]) -> None:
    """Coverage, what can be sold, a run, and the forecast."""
    covered, holders = document["coverage"], document["holders"]
    ratio = covered["ratio"]
    colour, word = ("red", "too little") if covered["red"] else ("green", "enough")
    terminal.say(
        f"[{colour}]{word}[/{colour}]  coverage {'without limit' if ratio is None else f'{ratio:.2f}'}: "
        f"{covered['liquid']:,} can be paid out, thirty bad days ask for {covered['outflow']:,.0f} "
        f"({covered['outflow_share']:.1%} of {document['owed']:,} owed; by {covered['days']:,} days)."
    )
    if document["data"]:
        terminal.say(f"By {escape(document['data'])}.")
    for each in document["liquid"]["held"]:
        terminal.say(
            f"  {each['sold']:,} of {each['amount']:,} of {escape(each['token'])} bring {each['brings']:,}."
        )
    terminal.table(
        f"If the largest of {holders['number']:,} holders leave at once",
        ("Who leaves", "Want", "Get", "Short", "Can still be paid", "Owed to the rest", "Covered"),
        [
            (
                each["top"],
                *(f"{each[name]:,}" for name in ("wanted", "paid", "short", "liquid_left", "claims_left")),
                f"{each['covered']:.0%}",
            )
            for each in holders["runs"]
        ],
        right=range(7),
    )
    breaks = holders["breaks_at"]
    terminal.say(
        "All of them can leave at once." if breaks is None else f"It takes {breaks} of them to ask too much."
    )
    if document["warning"] is not None:
        rings = [name for name, on in document["warning"].items() if on]
        terminal.say(f"Warnings that ring now: {', '.join(rings) or 'none'}.")
    told = document["forecast"]
    if told is None:
        terminal.say("There are too few days for a forecast of withdrawals.")
        return
    terminal.table(
        f"Withdrawn within {told['horizon_days']} days, measured on {told['days']} days, "
        f"{told['folds']} origins",
        ("Quantile", "Share", "By", "Trees' loss of the guess's (95 %)", "Days below: trees", "guess"),
        [
            (
                f"{after['quantile']:.0%}",
                f"{after['share']:.2%}",
                after["by"],
                f"{each['ratio']:.2f} ({each['low']:.2f} to {each['high']:.2f})",
                f"{each['trees_below']:.0%}",
                f"{each['guess_below']:.0%}",
            )
            for after, each in zip(told["next"], told["judged"], strict=True)
        ],
        right=(0, 1, 3, 4, 5),
    )


def show_warnings(terminal: Terminal, document: Mapping[str, Any]) -> None:
    """How often each signal was right."""
    for part in document.values():
        terminal.say(f"[bold]{escape(part['data'])}[/bold]")
        terminal.table(
            f"Event: {part['event']}",
            ("Signal", "Hits", "Rate (95 %)", "By chance", "False a year", "Rings", "Days before"),
            [
                (
                    each["name"].replace("_", " "),
                    f"{each['hits']} of {each['events']}",
                    f"{_share(each['hit_rate'])} ({each['low']:.0%} to {each['high']:.0%})",
                    _share(each["chance"]),
                    f"{each['false_a_year']:.1f}",
                    f"{each['ringing']:.0%}",
                    "none" if each["lead"] is None else f"{each['lead']:.0f}",
                )
                for each in part["signals"]
            ],
            right=(1, 2, 3, 4, 5, 6),
        )


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.0%}"
