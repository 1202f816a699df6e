# SPDX-License-Identifier: Apache-2.0
"""The pictures that are ours, as SVG that needs no script: numbers in, markup out.

Every picture says in words what it shows (``<title>``, ``<desc>``, a label on each node), can be walked
through by keyboard, carries no inline style, and takes its colours from ``pictures.css``.
"""

from koinon.web.pictures.river import draw_river
from koinon.web.pictures.streams import Place, River, Stream

__all__ = ["Place", "River", "Stream", "draw_river"]
