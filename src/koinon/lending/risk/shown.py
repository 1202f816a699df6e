# SPDX-License-Identifier: Apache-2.0
"""Reports and replays as people read them on a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.markup import escape

from koinon.terminal import Terminal


def show_report(terminal: Terminal, document: dict[str, Any]) -> None:
    book, market, credit = document["book"], document["market"], document["credit"]
    terminal.say(f"[bold]{escape(document['name'])}[/bold] ({escape(document['evidence'])})")
    terminal.say(
        f"{book['loans']} loans of {book['debt']:,.0f} against {book['collateral_value']:,.0f}; "
        f"{book['unsound']} unsound; the largest is {book['largest_share']:.1%}."
    )
    if credit is not None:
        terminal.say(
            f"Expected loss {credit['expected_loss']:,.0f} (PD {credit['mean_pd']:.2%}, "
            f"LGD {credit['lgd']:.0%}, exposure {credit['exposure']:,.0f}); "
            f"99 % of years lose no more than {credit['loss_99']:,.0f}."
        )
    terminal.say(f"{document['runs']} price paths, {escape(document['prices'])}:")
    columns = [("as it is", market)]
    if "market_with_scores" in document:
        columns.append(("with scores", document["market_with_scores"]))
    figures = (("value_at_risk", "VaR 95 % (net insolvent debt)"), ("liquidations_at_risk", "LaR 95 %"))
    rows = [(label, *(_interval(each[name]) for _, each in columns)) for name, label in figures]
    terminal.table("", ("", *(label for label, _ in columns)), rows, right=range(1, len(columns) + 1))
    terminal.table(
        "If the price falls at once",
        ("by", "liquidated", "bad debt", "still insolvent", "liquidators gain", "price then"),
        [
            (
                f"{each['fall']:.0%}",
                *(f"{each[name]:,.0f}" for name in ("liquidated", "bad_debt", "insolvent", "profit")),
                f"{each['price']:,.4g}",
            )
            for each in market["shocks"]
        ],
        right=(1, 2, 3, 4, 5),
    )
    if "contagion" in document:
        _show_contagion(terminal, document["contagion"])
    if document.get("exported"):
        exported = document["exported"]
        terminal.say(f"The worst {len(exported)} are in {escape(str(Path(exported[0]).parent))}.")


def _interval(figure: dict[str, float]) -> str:
    return f"{figure['value']:,.0f} ({figure['low']:,.0f} to {figure['high']:,.0f})"


def _show_contagion(terminal: Terminal, found: dict[str, Any]) -> None:
    after = "after_scores" in found["falls"][0]
    terminal.table(
        "If everything falls, through all who share collateral",
        ("by", "fail", "unpaid", *(("fail with scores", "unpaid") if after else ())),
        [
            (
                f"{each['fall']:.0%}",
                *_reach(each["before"]),
                *(_reach(each["after_scores"]) if after else ()),
            )
            for each in found["falls"]
        ],
        right=(2, 4),
    )
    terminal.table(
        "If one fails",
        ("who", "brings down", "others lose", "unpaid"),
        [
            (
                each["name"],
                ", ".join(each["brings_down"]) or "nobody",
                f"{each['others_lose']:,.0f}",
                f"{each['unpaid']:,.0f}",
            )
            for each in found["failures"]
        ],
        right=(2, 3),
    )


def _reach(spread: dict[str, Any]) -> tuple[str, str]:
    return ", ".join(spread["failed"]) or "nobody", f"{spread['unpaid']:,.0f}"


def show_replays(terminal: Terminal, found: list[dict[str, Any]]) -> None:
    terminal.table(
        "Predicted, and realised on the real contracts",
        ("scenario", "bad debt", "realised", "liquidated", "realised", "largest difference"),
        [
            (
                each["name"],
                *(
                    f"{each[side][name]:,.2f}"
                    for name in ("bad_debt", "liquidated")
                    for side in ("predicted", "realised")
                ),
                f"{max(abs(value) for value in each['differences'].values()):.2%}",
            )
            for each in found
        ],
        right=(1, 2, 3, 4, 5),
    )
