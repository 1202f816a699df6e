# SPDX-License-Identifier: Apache-2.0
"""Values in time: any of them are drawn within the frame, told in words, and told apart without colour."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.web.pictures import Times, Track, draw_times

POINTS = st.lists(st.tuples(st.integers(0, 2 * 10**9), st.floats(-1e9, 1e9)), min_size=1, max_size=60).map(
    sorted
)


@given(st.lists(POINTS, min_size=1, max_size=7), st.text(max_size=40))
@settings(max_examples=20)
def test_any_values_in_time_stand_in_their_frame(all_points, name):
    tracks = [Track(f"{name} {at}", points, at == 0) for at, points in enumerate(all_points)]
    moments = [(all_points[0][0][0], "traded <b>")]
    markup = draw_times(Times("Worth", tracks, moments=moments))
    ElementTree.fromstring(markup)  # noqa: S314  (our own markup)
    assert "traded &lt;b&gt;" in markup
    for svg in re.findall(r"<svg.*?</svg>", markup, re.DOTALL):
        ((wide, high),) = re.findall(r'viewBox="0 0 (\S+) (\S+)"', svg)
        width, height = float(wide), float(high)
        for path in re.findall(r'class="(?:series[a-z ]*|baseline)" d="M([^"]*)"', svg):
            for pair in path.split("h")[0].split("L"):
                x, y = map(float, pair.split())
                assert -0.01 <= x <= width + 0.01
                assert -0.01 <= y <= height + 0.01


def test_each_line_looks_different_and_says_from_where_to_where_it_went():
    tracks = [Track(f"Pair {number}", [(0, 1.0), (60, 2.0 + number)]) for number in range(4)]
    markup = draw_times(Times("Price", [Track("Even", [(0, 1.0), (60, 1.0)], True), *tracks]))
    assert len(set(re.findall(r'class="(series[a-z ]*|baseline)"', markup))) == 5
    assert "Pair 3: from 1.000 to 5.000" in markup


def test_a_single_moment_is_a_picture_too():
    assert "Price" in draw_times(Times("Price", [Track("Pair", [(5, 1.0)])]))
