# SPDX-License-Identifier: Apache-2.0
"""When each batch of a service's answers could be disputed, on a line of time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup

from koinon.services.verification.history import Batched, State
from koinon.web import gettext, ngettext
from koinon.web.pictures import Mark, Marks, draw_marks
from koinon.web.pictures.marks import Tone

MOST: Final = 8
TONES: Final[dict[State, Tone]] = {"broken": "loss", "disputed": "loss", "kept": "gain", "undisputed": "gain"}


class _Windows(Marks):
    """Rows from when a batch was submitted to when it can no longer be disputed."""

    def told(self, mark: Mark) -> str:
        return f"{self.shown(mark.value)} · {mark.words}"


def windows(batches: Sequence[Batched], now: int) -> Markup | None:
    """The newest batches, the oldest of them first; none where there is no batch."""
    shown = list(reversed(batches[:MOST]))
    if not shown:
        return None
    words = {
        "open": gettext("can be disputed"),
        "disputed": gettext("disputed now"),
        "broken": gettext("a lie"),
        "kept": gettext("right"),
        "undisputed": gettext("undisputed"),
        "not told": gettext("over"),
    }
    marks = [
        Mark(
            ngettext("one answer", "%(num)s answers", each.answers),
            each.submitted_at,
            each.submitted_at,
            each.open_until,
            words[each.state],
            TONES.get(each.state, ""),
        )
        for each in shown
    ]
    return draw_marks(
        _Windows(
            gettext("When each can be disputed, UTC"),
            marks,
            now,
            gettext("now"),
            shown=_time,
        ),
        "windows",
    )


def _time(value: float) -> str:
    return datetime.fromtimestamp(value, UTC).strftime("%m-%d %H:%M")
