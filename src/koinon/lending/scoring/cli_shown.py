# SPDX-License-Identifier: Apache-2.0
"""Reports and audits as tables on a terminal."""

from __future__ import annotations

from typing import Final

from rich.markup import escape

from koinon.lending.scoring.mitigation import Tradeoff
from koinon.lending.scoring.report import FIGURE_TITLES, GROUP_TITLES, TIER_TITLES, Report, interval
from koinon.terminal import Terminal

STATUS: Final = {"red": "bold red", "amber": "yellow", "green": "green"}
"""How an audit's status is shown."""


def show_report(terminal: Terminal, report: Report) -> None:
    """What was measured, as tables."""
    for name, value in report.facts():
        terminal.say(f"[bold]{escape(name)}[/bold]: {escape(value)}")
    terminal.table("", FIGURE_TITLES, report.figures(), right=(1, 2, 3, 4, 5, 6, 7))
    terminal.table("", TIER_TITLES, report.tier_lines(), right=(0, 1, 2, 3))
    for by, status, why in report.verdicts():
        terminal.say(f"[{STATUS[status]}]{status}[/] by {escape(by)}: {escape(why)}")
    if report.audits:
        terminal.table("Groups of wallets", GROUP_TITLES, report.group_lines(), right=(1, 2, 3))
    for note in report.notes:
        terminal.say(f"[dim]{escape(note)}[/dim]")


def show_tradeoff(terminal: Terminal, found: Tradeoff) -> None:
    """How groups fare, what tells them apart, and what fairer scorecards cost."""
    first = found.variants[0].audit
    terminal.say(
        f"[{STATUS[first.status]}]{first.status}[/]: approval ratio {interval(first.ratio)} "
        f"by {escape(found.attribute)} when {found.share:.0%} are approved (four fifths asks for 0.8)"
    )
    terminal.table(
        "Groups, the scorecard as it is",
        ("Group", "Rows", "Approved (95 %)", "Wrongly refused (95 %)"),
        [
            (
                group.name,
                f"{group.rows:,}",
                interval(group.approved),
                "" if group.wrongly_refused is None else interval(group.wrongly_refused),
            )
            for group in first.groups
        ],
        right=(1, 2, 3),
    )
    if first.suppressed:
        terminal.say(f"{first.suppressed} rows of small groups are not shown.")
    terminal.table(
        "What tells the group",
        ("Column", "AUC (95 %)"),
        [
            *((proxy.column, interval(proxy.auc)) for proxy in found.proxies[:6]),
            ("all together", interval(found.together)),
        ],
        right=(1,),
    )
    terminal.table(
        "What fairness costs",
        ("Scorecard", "AUC", "Ratio", "95 %", "Odds gap", "Status"),
        [
            (
                variant.name,
                f"{variant.auc.value:.4f}",
                f"{variant.audit.ratio.value:.3f}",
                f"{variant.audit.ratio.low:.2f}–{variant.audit.ratio.high:.2f}",
                f"{variant.audit.odds_gap:.3f}",
                variant.audit.status,
            )
            for variant in found.variants
        ],
        right=(1, 2, 3, 4),
    )
