# SPDX-License-Identifier: Apache-2.0
"""What the pages call kinds of findings, monitors, statuses and groups of wallets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from koinon.web import gettext
from koinon.web import marked as _


@dataclass(frozen=True)
class Kind:
    """A kind of finding: its ``name``, the ``meaning`` that people read beside it, and what it looks like, as
    a sentence goes on with it; all message ids."""

    name: str
    meaning: str
    seen: str = ""


KINDS: Final[Mapping[str, Kind]] = {
    "listed": Kind(
        _("on a list"),
        _("One of its accounts is on a list that this node screens against."),
    ),
    "lookalike": Kind(
        _("a lookalike"),
        _("An account begins and ends as one that is known, and is another: made to be mistaken for it."),
        _("one account made to be mistaken for another"),
    ),
    "cycle": Kind(
        _("a cycle"),
        _("Money comes back to where it began, by way of others."),
        _("money coming back to where it began"),
    ),
    "fan_in": Kind(
        _("many pay one"),
        _("Many accounts pay one within a short time."),
        _("many accounts paying one"),
    ),
    "fan_out": Kind(
        _("one pays many"),
        _("One account pays many within a short time."),
        _("one account paying many"),
    ),
    "gather_scatter": Kind(
        _("gathered, then scattered"),
        _("Many pay one, and it pays as many others soon after."),
        _("many paying one account that pays as many on"),
    ),
    "scatter_gather": Kind(
        _("scattered, then gathered"),
        _("One pays many, and they pay one other: sums are parted on the way and come together again."),
        _("a sum parted on the way and brought together again"),
    ),
    "pass_through": Kind(
        _("passed on"),
        _("What comes in goes out again at once, nearly all of it."),
        _("money passed on at once"),
    ),
    "peel_chain": Kind(
        _("a peel chain"),
        _("A sum goes from hand to hand and loses a little at each."),
        _("a sum going from hand to hand, a little less each time"),
    ),
    "structuring": Kind(
        _("kept small"),
        _("Payments stay just below a sum that would have to be reported."),
        _("payments kept just below what must be reported"),
    ),
    "model": Kind(
        _("ranked by the model"), _("What was learned from labelled transfers says that this stands out.")
    ),
}
"""Kind of finding → its words."""

STATUSES: Final[Mapping[str, str]] = {
    "new": _("new"),
    "in review": _("needs more"),
    "escalated": _("passed on to others"),
    "confirmed": _("laundering"),
    "cleared": _("nothing"),
}
BADGES: Final[Mapping[str, str]] = {
    "new": "info",
    "in review": "warning",
    "escalated": "warning",
    "confirmed": "danger",
    "cleared": "good",
}
URGENCIES: Final[Mapping[int, str]] = {1: _("look at it"), 2: _("act"), 3: _("act now")}
URGENCY_BADGES: Final[Mapping[int, str]] = {1: "info", 2: "warning", 3: "danger"}
"""Levels of alerts."""

MONITORS: Final[Mapping[str, str]] = {
    "approvals": _("sudden approvals"),
    "prices": _("prices"),
    "powers": _("who may do what"),
    "drains": _("drains"),
    "flash": _("flash loans"),
    "governance": _("votes"),
    "minting": _("new tokens"),
    "liquidity": _("liquidity"),
}

RANKINGS: Final[Mapping[str, str]] = {
    "model": _("the model"),
    "rules only": _("rules alone"),
    "amount only": _("the amount alone"),
}

GROUPS: Final[Mapping[str, str]] = {
    "age": _("Age of the payer's wallet"),
    "size": _("Size of the payer's wallet"),
    "origin": _("Where the payer's first money came from"),
    "first day": _("in its first day"),
    "first week": _("in its first week"),
    "older": _("older"),
    "small": _("small"),
    "middle": _("middle"),
    "large": _("large"),
    "a service": _("a service"),
    "another wallet": _("another wallet"),
    "not seen": _("not seen"),
    "exchange": _("an exchange"),
    "bridge": _("a bridge"),
}

VERDICTS: Final[Mapping[str, tuple[str, str]]] = {
    "even": ("good", _("even")),
    "unclear": ("warning", _("unclear")),
    "uneven": ("danger", _("uneven")),
}
"""Verdict of an audit → its badge and word."""


def kind_name(kind: str) -> str:
    """A kind in the reader's language; one that has no words stays as it is."""
    found = KINDS.get(kind)
    return kind.replace("_", " ") if found is None else gettext(found.name)


def kind_meaning(kind: str) -> str:
    """What a kind means; nothing for one that has no words."""
    found = KINDS.get(kind)
    return "" if found is None else gettext(found.meaning)


def kind_seen(kind: str) -> str:
    """What a case of a kind looks like, as a sentence goes on with it; nothing for one that has no words."""
    found = KINDS.get(kind)
    return "" if found is None or not found.seen else gettext(found.seen)


def kinds_named(kinds: Iterable[str]) -> str:
    """Several kinds, each once, with commas; the model's word last."""
    return gettext(", ").join(kind_name(each) for each in in_order(kinds))


def in_order(kinds: Iterable[str]) -> list[str]:
    """Kinds, each once; what people can check before what was learned."""
    return sorted(set(kinds), key=lambda kind: (kind == "model", kind))


def group_name(name: str) -> str:
    """A group of wallets in the reader's language."""
    return gettext(GROUPS[name]) if name in GROUPS else name


def ranking_name(name: str) -> str:
    """A way to rank in the reader's language."""
    return gettext(RANKINGS[name]) if name in RANKINGS else name


def monitor_name(name: str) -> str:
    """A monitor in the reader's language."""
    return gettext(MONITORS[name]) if name in MONITORS else name


def short(name: str) -> str:
    """An account in few letters."""
    return name if len(name) <= 14 else f"{name[:6]}…{name[-4:]}"
