# SPDX-License-Identifier: Apache-2.0
"""The pictures that are ours, as SVG that needs no script: numbers in, markup out.

Every picture says in words what it shows (``<title>``, ``<desc>``, a label on each node), can be walked
through by keyboard, carries no inline style, and takes its colours from ``pictures.css``.
"""

from koinon.web.pictures.chart import Line, draw_line, draw_shares
from koinon.web.pictures.lineage import Relative, draw_lineage
from koinon.web.pictures.river import draw_river
from koinon.web.pictures.round import RoundPicture, Teacher, draw_round
from koinon.web.pictures.streams import Place, River, Stream

__all__ = [
    "Line",
    "Place",
    "Relative",
    "River",
    "RoundPicture",
    "Stream",
    "Teacher",
    "draw_line",
    "draw_lineage",
    "draw_river",
    "draw_round",
    "draw_shares",
]
