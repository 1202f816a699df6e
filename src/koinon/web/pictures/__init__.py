# SPDX-License-Identifier: Apache-2.0
"""The pictures that are ours, as SVG that needs no script: numbers in, markup out.

Every picture says in words what it shows (``<title>``, ``<desc>``, a label on each node), can be walked
through by keyboard, carries no inline style, and takes its colours from ``pictures.css``.
"""

from koinon.web.pictures.chart import Line, draw_line, draw_shares
from koinon.web.pictures.curve import Curve, draw_curve
from koinon.web.pictures.lineage import Relative, draw_lineage
from koinon.web.pictures.marks import Mark, Marks, Tone, draw_marks
from koinon.web.pictures.river import draw_river
from koinon.web.pictures.round import RoundPicture, Teacher, draw_round
from koinon.web.pictures.streams import Place, River, Stream
from koinon.web.pictures.talk import Speaker, Way, draw_talk
from koinon.web.pictures.times import Times, Track, draw_times

__all__ = [
    "Curve",
    "Line",
    "Mark",
    "Marks",
    "Place",
    "Relative",
    "River",
    "RoundPicture",
    "Speaker",
    "Stream",
    "Teacher",
    "Times",
    "Tone",
    "Track",
    "Way",
    "draw_curve",
    "draw_line",
    "draw_lineage",
    "draw_marks",
    "draw_river",
    "draw_round",
    "draw_shares",
    "draw_talk",
    "draw_times",
]
