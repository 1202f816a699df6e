# SPDX-License-Identifier: Apache-2.0
"""What is drawn of a dataset: its money from sources to till, and what may be known of its columns."""

from __future__ import annotations

from typing import Final

from koinon.data.earnings import Earnings, Source
from koinon.web import Unit, gettext, url
from koinon.web import marked as _
from koinon.web.pictures import Place, River, Stream

LABELS: Final[dict[str, str]] = {
    "download": _("Downloads"),
    "compute": _("Leave to compute"),
    "train": _("Leave to train"),
    "use": _("Other uses"),
    "seconds": _("Seconds of computing"),
    "exchange": _("Exchanges of content for money"),
    "other": _("Other payments"),
}


def source_label(source: Source) -> str:
    """What people call it."""
    if source.kind == "work":
        return source.name or gettext("Work %(id)s", id=source.work_id)
    return gettext(LABELS[source.kind])


def earnings_river(found: Earnings, unit: Unit) -> River:
    """The picture: sources, till, and what its owner and others had of it."""
    till = f"till-{found.work_id}"
    name = found.name or gettext("Work %(id)s", id=found.work_id)
    places = {till: Place(till, name, "till", url(f"/works/{found.work_id}"))}
    streams = []
    for number, source in enumerate(found.sources):
        key = f"source-{number}"
        href = url(f"/works/{source.work_id}") if source.work_id else ""
        places[key] = Place(key, source_label(source), "payer", href)
        streams.append(Stream(key, till, source.amount, source.waiting))
    for key, label, done, waiting in (
        ("paid", gettext("Paid out to those who share"), found.income.withdrawn, 0),
        ("kept", gettext("Lies in its till"), 0, found.income.waiting),
    ):
        if done or waiting:
            places[key] = Place(key, label, "account")
            streams.append(Stream(till, key, done, waiting))
    return River(name, till, places, tuple(streams), unit)
