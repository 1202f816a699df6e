# SPDX-License-Identifier: Apache-2.0
"""What the watch says on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape

from koinon.terminal import Terminal
from koinon.watch.api import Scan
from koinon.watch.cases.record import Case


def show_screened(
    terminal: Terminal, answer: Sequence[Mapping[str, Any]], lists: Sequence[Mapping[str, Any]]
) -> None:
    """Each subject, and on which list of which day."""
    for each in answer:
        colour = "red" if each["listed"] else "yellow" if each["hits"] else "green"
        word = "listed" if each["listed"] else "take care" if each["hits"] else "on no list"
        terminal.say(f"[{colour}]{word}[/{colour}]  {escape(each['subject'])}")
        for hit in each["hits"]:
            terminal.say(f"   {escape(hit['told'])} {escape(hit['note'])}")
    show_lists(terminal, lists)


def show_lists(terminal: Terminal, lists: Sequence[Mapping[str, Any]]) -> None:
    """Where each list is from."""
    if not lists:
        terminal.say("There is no list here yet.")
        return
    terminal.table(
        "Lists",
        ("Name", "Kind", "Of", "Addresses", "Domains", "sha256", "Source"),
        [
            (
                each["name"],
                each["kind"],
                each["as_of"] or "does not say",
                each["addresses"],
                each["domains"],
                each["sha256"][:12],
                each["source"],
            )
            for each in lists
        ],
        right=(3, 4),
    )


def show_scan(terminal: Terminal, found: Scan) -> None:
    """How much of what was found."""
    with_model = "with the model" if found.model else "by lists and patterns; no model was trained"
    terminal.say(f"{found.transfers:,} transfers, {len(found.findings):,} findings ({with_model}).")
    if found.findings:
        terminal.table("", ("Kind", "Findings"), [(_words(k), n) for k, n in found.kinds.items()], right=(1,))
    if found.cases:
        terminal.say(f"They are in {len(set(found.cases)):,} cases: koinon watch cases")


def show_cases(terminal: Terminal, cases: Sequence[Case], counts: Mapping[str, int]) -> None:
    """The queue."""
    terminal.say(", ".join(f"{number:,} {status}" for status, number in counts.items()))
    if cases:
        terminal.table(
            "",
            ("Case", "Status", "Priority", "Transfers", "Accounts", "What", "Last"),
            [
                (
                    each.id,
                    each.status,
                    f"{each.priority:.2f}",
                    len(each.edges),
                    len(each.accounts),
                    ", ".join(_words(kind) for kind in sorted({one.kind for one in each.findings})),
                    _moment(each.end),
                )
                for each in cases
            ],
            right=(0, 2, 3, 4),
        )


def show_case(terminal: Terminal, case: Case, most: int = 40) -> None:
    """One case."""
    terminal.say(f"[bold]Case {case.id}[/bold]: {case.status}, priority {case.priority:.2f}")
    for each in case.findings[:most]:
        terminal.say(f"  {_words(each.kind)} ({each.strength:.2f}): {escape(each.why)}")
    edges = case.edges
    terminal.table(
        f"{len(edges)} transfers" + (f", the first {most}" if len(edges) > most else ""),
        ("When", "From", "To", "Amount"),
        [
            (_moment(edge["timestamp"]), edge["source"], edge["target"], f"{edge['amount']:,.2f}")
            for edge in edges[:most]
        ],
        right=(3,),
    )
    for line in case.decisions:
        terminal.say(
            f"  {_moment(line.at)}  {escape(line.who)}: {line.before} → {line.status}. {escape(line.why)}"
        )


def show_report(terminal: Terminal, document: Mapping[str, Any]) -> None:
    """Data, split, rankings with intervals, kinds, and whom false alarms hit."""
    data, split = document["data"], document["split"]
    terminal.say(f"[bold]{escape(data['what'])}[/bold]")
    terminal.say(
        f"{data['transfers']:,} transfers, {data['illicit_share']:.2%} illicit. Cut by time: measured on "
        f"{split['measure']:,} from {split['measure_from']} on; {document['budget']:,} can be looked at. "
        f"Left out before the cuts: {split['purged']:,} whose pattern goes on behind them. "
        f"Times measured on these: {document['looks']:,}."
    )
    terminal.table(
        "On later transfers",
        ("Ranked by", "PR-AUC (95 %)", "Precision in the budget (95 %)", "Illicit in 100 reviews"),
        [
            (
                each["name"],
                _interval(each["pr_auc"]),
                _interval(each["precision_at_budget"]),
                f"{each['illicit_per_100_reviews']:.0f}",
            )
            for each in document["rankings"]
        ],
        right=(1, 2, 3),
    )
    if document["kinds"]:
        terminal.table(
            "Planted patterns",
            (
                "Kind",
                "Patterns",
                "Transfers told",
                "Patterns told (95 %)",
                "By the rules alone",
                "By chance",
                "Named whole by a rule",
            ),
            [
                (
                    _words(kind),
                    each["patterns"],
                    *(_kind(each) if each["patterns"] else ("none later",) * 5),
                )
                for kind, each in document["kinds"].items()
            ],
            right=(1, 2, 3, 4, 5, 6),
        )
    cases = document["cases"]
    shares = ", ".join(f"{_percent(share)} of the first {most}" for most, share in cases["precision"].items())
    terminal.say(
        f"{cases['cases']:,} cases, {cases['illicit']:,} of them illicit ({cases['in_any_order']:.0%}, as in "
        f"any order): {shares}."
    )
    for audit in document["false_alarms"]:
        colour = {"even": "green", "unclear": "yellow", "uneven": "red"}[audit["verdict"]]
        word = f"[{colour}]{audit['verdict']}[/{colour}]"
        terminal.say(
            f"False alarms by {audit['by']}: {word}, the lowest rate is {audit['ratio']:.2f} of the highest, "
            f"{audit['low']:.2f} to {audit['high']:.2f} ({audit['own_ratio']:.2f} with thresholds of each "
            "group's own)."
        )
        terminal.table(
            "",
            (
                "Wallets",
                "Honest transfers",
                "False alarms",
                "95 %",
                "Found",
                "Own threshold",
                "Then false",
                "Found",
            ),
            [
                (
                    each["name"],
                    each["honest"],
                    f"{each['rate']:.2%}",
                    f"{each['low']:.2%} to {each['high']:.2%}",
                    f"{each['found']:.0%}",
                    f"{each['own_threshold']:.3f}",
                    f"{each['own_rate']:.2%}",
                    f"{each['own_found']:.0%}",
                )
                for each in audit["groups"]
            ],
            right=(1, 2, 3, 4, 5, 6, 7),
        )
    if "retrained" in document:
        terminal.say(escape(document["retrained"]["why"]))


def _kind(each: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"{each['transfers_told']:.0%}",
        _percent(each["patterns_told"]),
        f"{each['patterns_told_by_rules']['value']:.0%}",
        f"{each['patterns_told_by_chance']:.0%}",
        f"{each['patterns_found_by_rule']['value']:.0%}",
    )


def _percent(measured: Mapping[str, float]) -> str:
    return f"{measured['value']:.0%} ({measured['low']:.0%} to {measured['high']:.0%})"


def _interval(measured: Mapping[str, float]) -> str:
    return f"{measured['value']:.2f} ({measured['low']:.2f} to {measured['high']:.2f})"


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _words(kind: str) -> str:
    return kind.replace("_", " ")
