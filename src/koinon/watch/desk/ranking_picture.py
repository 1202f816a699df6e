# SPDX-License-Identifier: Apache-2.0
"""How good the order of the queue is: each way to rank beside what no order at all would find."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from koinon.watch.desk.words import group_name, ranking_name
from koinon.web import gettext, percent
from koinon.web.pictures import Mark, Marks, draw_marks


def draw_rankings(report: Mapping[str, Any]) -> Markup:
    """Precision at the budget of each ranking, with its interval; the line is any order's."""
    marks = [_mark(ranking_name(each["name"]), each["precision_at_budget"]) for each in report["rankings"]]
    return draw_marks(
        Marks(
            gettext("Illicit among the transfers that come first"),
            marks,
            float(report["data"]["illicit_share_later"]),
            gettext("in any order"),
            shown=_percent,
        ),
        "rankings",
    )


def draw_false_alarms(audit: Mapping[str, Any]) -> Markup | None:
    """False alarms of each group of wallets with their intervals; the line is all wallets'."""
    groups = [each for each in audit["groups"] if each["honest"]]
    if not groups:
        return None
    honest = sum(each["honest"] for each in groups)
    common = sum(each["alarms"] for each in groups) / honest
    return draw_marks(
        Marks(
            group_name(audit["by"]),
            [_mark(group_name(each["name"]), {**each, "value": each["rate"]}) for each in groups],
            common,
            gettext("all wallets"),
            shown=_percent,
        ),
        f"false-alarms-{audit['by']}",
    )


def _mark(label: str, measured: Mapping[str, Any]) -> Mark:
    return Mark(label, float(measured["value"]), float(measured["low"]), float(measured["high"]))


def _percent(value: float) -> str:
    return percent(value)
