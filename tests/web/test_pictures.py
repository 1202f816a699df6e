# SPDX-License-Identifier: Apache-2.0
"""The pictures: whatever the numbers, they are whole, readable, told in words, and add up."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.web.formatting import Unit
from koinon.web.language import speaking
from koinon.web.pictures import (
    Curve,
    Line,
    Mark,
    Marks,
    Place,
    Relative,
    River,
    RoundPicture,
    Stream,
    Teacher,
    draw_curve,
    draw_line,
    draw_lineage,
    draw_marks,
    draw_river,
    draw_round,
    draw_shares,
)
from koinon.web.pictures.river_layout import lay_out
from koinon.web.pictures.svg import cut, text_width, wrapped

COIN = Unit("KOIN", 6)
SVG = "{http://www.w3.org/2000/svg}"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


@st.composite
def rivers(draw):
    """Payers, a Work, and up to six levels of parents; every unit that arrives goes on or waits."""
    amounts = st.integers(1, 10**18)
    levels = draw(st.integers(1, 6))
    places = {"w0": Place("w0", draw(st.text(min_size=1, max_size=60)) + "W", "till", "/works/1")}
    streams = []
    for number, amount in enumerate(draw(st.lists(amounts, min_size=0, max_size=30))):
        places[f"p{number}"] = Place(f"p{number}", f"Payer {number}", "payer")
        streams.append(Stream(f"p{number}", "w0", amount, fresh=number == 0))
    arrived = sum(stream.amount for stream in streams)
    for level in range(levels):
        till = f"w{level}"
        targets = [f"a{level}-{number}" for number in range(draw(st.integers(1, 25)))]
        for key in targets:
            places[key] = Place(key, f"帳戶 {key}", "account", f"/accounts/{key}")
        if level + 1 < levels:
            targets.append(f"w{level + 1}")
            places[targets[-1]] = Place(targets[-1], f"Parent {level + 1}", "till", "/works/2")
        weights = draw(st.lists(st.integers(1, 1_000), min_size=len(targets), max_size=len(targets)))
        parts = [arrived * weight // sum(weights) for weight in weights]
        parts[0] += arrived - sum(parts)
        onwards = 0
        for key, part in zip(targets, parts, strict=True):
            done = part * draw(st.integers(0, 4)) // 4
            streams.append(Stream(till, key, done, part - done))
            onwards = done
        arrived = onwards
    return River("A Work", "w0", places, tuple(streams), COIN)


def _drawings(markup):
    whole = f'<div xmlns="http://www.w3.org/2000/svg">{markup}</div>'
    return ElementTree.fromstring(whole).iter(f"{SVG}svg")  # noqa: S314  our own


def _check(markup):
    """Whole XML with a name, words for every node, nothing inline, nothing outside."""
    assert "style=" not in markup
    assert "<script" not in markup
    assert "nan" not in re.sub(r">[^<]*<|aria-label=\"[^\"]*\"", "", str(markup)).lower()
    seen = []
    for drawing in _drawings(markup):
        _, _, width, height = (float(part) for part in drawing.attrib["viewBox"].split())
        if drawing.attrib["role"] == "img":
            assert drawing.attrib["aria-label"]
        else:
            names = {element.attrib.get("id"): element for element in drawing.iter()}
            assert names[drawing.attrib["aria-labelledby"]].text
            assert names[drawing.attrib["aria-describedby"]].text
        for element in drawing.iter():
            seen.append(element.attrib.get("id"))
            if "place" in element.attrib.get("class", "").split():
                named_by_title = "href" in element.attrib and element[0].tag == f"{SVG}title"
                assert element.attrib.get("aria-label") or (named_by_title and element[0].text)
                assert "href" in element.attrib or element.attrib["tabindex"] == "0"
            if element.tag == f"{SVG}path" and "A" not in element.attrib["d"]:
                _inside(element.attrib["d"], width, height)
            if element.tag == f"{SVG}rect" and "x" in element.attrib:
                x, y, w, h = (float(element.attrib[name]) for name in ("x", "y", "width", "height"))
                assert min(x, y, w, h) >= 0
                assert x + w <= width + 0.1
                assert y + h <= height + 0.1
            if element.tag == f"{SVG}text":
                _text_inside(element, width, height)
    named = [identity for identity in seen if identity]
    assert len(named) == len(set(named))


def _inside(path, width, height):
    for command, numbers in re.findall(r"([MLHVCQ])([^MLHVCQZh]*)", path):
        values = [float(number) for number in _NUMBER.findall(numbers)]
        xs = values if command == "H" else [] if command == "V" else values[::2]
        ys = values if command == "V" else [] if command == "H" else values[1::2]
        assert all(-0.1 <= x <= width + 0.1 for x in xs)
        assert all(-0.1 <= y <= height + 0.1 for y in ys)


def _text_inside(element, width, height):
    size = 14.0 if element.attrib["class"] == "name" else 12.5
    x, y, wide = float(element.attrib["x"]), float(element.attrib["y"]), text_width(element.text or "", size)
    left = {"end": x - wide, "middle": x - wide / 2}.get(element.attrib.get("text-anchor", "start"), x)
    assert left >= -1
    assert left + wide <= width + 1
    assert 0 < y <= height


@given(rivers())
@settings(max_examples=15)
def test_any_river_is_whole_told_in_words_and_inside_its_frame(river):
    _check(draw_river(river))


@given(rivers())
@settings(max_examples=15)
def test_small_ones_told_together_lose_no_unit(river):
    simple = river.simplified(5)
    assert (simple.earned, simple.paid_out, simple.waiting) == (river.earned, river.paid_out, river.waiting)
    for kinds in (("payer",), ("account",)):
        assert sum(place.kind in kinds for place in simple.places.values()) <= 5
    assert river.earned == river.paid_out + river.waiting


@given(rivers())
@settings(max_examples=15)
def test_ribbons_fill_their_bars_and_no_two_bars_or_ribbons_overlap_in_a_layer(river):
    river = river.simplified(12).flowing()
    layout = lay_out(river, left=100.0, right=900.0, full=250.0, room=lambda _key, _layers: (20.0, 30.0))
    bars = {node.key: (node, x) for node, x in layout.nodes}
    for key, (node, _) in bars.items():
        for side in ("source", "target"):
            courses = [one for one in layout.courses if getattr(one.stream, side) == key]
            total = sum(one.width for one in courses)
            assert total <= node.height + 1e-6
            at = sorted((one.stations[0 if side == "source" else -1][0].y, one.width) for one in courses)
            for (y, width), (after, _) in pairwise(at):
                assert y + width <= after + 1e-6
            if at:
                assert at[0][0] >= node.y - 1e-6
        came = sum(one.width for one in layout.courses if one.stream.target == key)
        gone = sum(one.width for one in layout.courses if one.stream.source == key)
        assert node.height == pytest.approx(max(came, gone, 8.0))
    columns: dict[float, list[tuple[float, float]]] = {}
    for node, x in bars.values():
        columns.setdefault(x, []).append((node.top, node.top + node.space))
    for course in layout.courses:
        for start, _ in course.stations[1:-1]:
            columns.setdefault(start.x, []).append((start.y, start.y + course.width))
    for spans in columns.values():
        spans.sort()
        for (_, end), (begin, _) in pairwise(spans):
            assert end <= begin + 1e-6
    everything = [span for spans in columns.values() for span in spans]
    assert all(top >= -1e-6 and bottom <= layout.height + 1e-6 for top, bottom in everything)


def test_a_river_without_money_is_a_dry_bed_with_a_sentence():
    places = {"w": Place("w", "A song", "till"), "o": Place("o", "Singer", "account")}
    markup = draw_river(River("A song", "w", places, (Stream("w", "o", 0),), COIN))
    _check(markup)
    assert "A song has earned nothing yet." in markup
    assert 'class="bed"' in markup
    assert "the first payer" in markup


def test_what_waits_is_told_by_shape_and_word():
    places = {
        "p": Place("p", "<b>Buyer</b>", "payer"),
        "w": Place("w", "A song", "till", '/works/1?"x"'),
        "o": Place("o", "Singer", "account"),
    }
    streams = (Stream("p", "w", 10_000_000, fresh=True), Stream("w", "o", 4_000_000, 6_000_000))
    markup = draw_river(River("A song", "w", places, streams, COIN))
    _check(markup)
    assert "4.00 KOIN paid out" in markup
    assert "6.00 KOIN to withdraw" in markup
    assert "6.00 KOIN waiting here" in markup
    assert "url(#river-wide-waiting)" in markup
    assert "stream in fresh" in markup
    assert "<b>" not in markup


@given(
    st.lists(
        st.builds(
            Teacher,
            st.text(min_size=1, max_size=40),
            st.sampled_from(["waiting", "sent", "missing", "done"]),
            st.none() | st.floats(-1, 1),
            st.sampled_from(["", "/works/1"]),
        ),
        min_size=1,
        max_size=200,
    ),
    st.booleans(),
)
@settings(max_examples=10)
def test_any_round_of_up_to_200_owners_is_whole_and_told_in_words(teachers, measured):
    line = Line("AUC", [(1, 0.6), (2, 0.7)], 0.65, "chance", "round", [(0.5, 0.7), (0.6, 0.8)])
    _check(draw_round(RoundPicture("Risk", "Opener", 2, 9, tuple(teachers), line if measured else None)))


@given(
    st.lists(st.floats(-1e6, 1e6), max_size=80),
    st.floats(-1e6, 1e6),
)
@settings(max_examples=15)
def test_a_line_always_stands_beside_its_baseline(values, baseline):
    line = Line("AUC", list(enumerate(values)), baseline, "chance", "round", [(y - 1, y + 1) for y in values])
    markup = draw_line(line)
    _check(markup)
    assert 'class="baseline"' in markup
    assert "baseline is" in markup


_VALUES = st.floats(-1e6, 1e6)


@given(
    st.lists(
        st.builds(
            lambda label, ends, tone: Mark(label, ends[1], ends[0], ends[2], "gains", tone),
            st.text(min_size=1, max_size=80),
            st.tuples(_VALUES, _VALUES, _VALUES).map(sorted),
            st.sampled_from(["", "gain", "loss"]),
        ),
        min_size=1,
        max_size=100,
    ),
    _VALUES,
    st.booleans(),
)
@settings(max_examples=15)
def test_any_values_stand_in_their_frame_beside_what_they_are_compared_with(rows, reference, bars):
    markup = draw_marks(Marks("AUC gained", rows, reference, "as good alone", bars))
    _check(markup)
    assert markup.count('class="baseline"') == 2
    assert markup.count("<title>") == 2 * len(rows)
    assert "as good alone" in markup


def test_a_value_without_doubt_has_no_whisker_and_tells_no_interval():
    markup = draw_marks(Marks("Worth", [Mark("Harbour", 0.05, 0.05, 0.05)], 0.0, "nothing", bars=True))
    _check(markup)
    assert "whisker" not in markup
    assert "Harbour: 0.050." in markup
    assert 'class="value-bar"' in markup


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=100))
@settings(max_examples=15)
def test_any_curve_stands_beside_the_diagonal(points):
    rising = list(zip(sorted(x for x, _ in points), sorted(y for _, y in points), strict=True))
    curve = Curve("Who pays late", rising, "refused who would pay", "found who would not")
    markup = draw_curve(curve)
    _check(markup)
    assert 'class="baseline"' in markup
    assert all(0 <= curve.at(x) <= 1 for x in (0.0, 0.05, 0.5, 1.0))


def test_a_curve_is_read_between_its_points():
    curve = Curve("A", [(0.0, 0.0), (0.0, 0.4), (0.5, 0.8), (1.0, 1.0)], "x", "y")
    assert [curve.at(x) for x in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([0.0, 0.6, 0.8, 1.0])
    assert "44 % at 5 %" in curve.sentence()


def test_a_family_tree_names_everyone_and_tells_many_together():
    parents = [
        Relative(f"Dataset {number}", "dataset", 1_000_000 * number, "/works/1") for number in range(40)
    ]
    markup = draw_lineage("Model", "model", parents, [Relative("Agent", "agent", 0)])
    _check(markup)
    assert "29 others" in markup
    assert "Model was made from 40 Works. 1 Work was made from it." in markup
    _check(draw_lineage("Alone", "song", [], []))


def test_shares_are_one_bar_with_every_part_in_words():
    markup = draw_shares([("Owner", 700_000_000), ("Friend", 299_999_999), ("Grain", 1)])
    _check(markup)
    assert "Owner: 70.00 %" in markup
    assert "Grain" in markup


def test_texts_are_shortened_with_an_ellipsis_and_never_run_over():
    assert cut("short", 14, 100) == "short"
    for text in ("a long name that does not fit", "一個很長很長很長很長很長的名稱", "WWWWWWWWWWWWWWWWWWWW"):
        for line in wrapped(text, 14, 90):
            assert text_width(line, 14) <= 90
    assert wrapped("", 14, 90) == []


def test_a_chinese_reader_gets_the_same_drawing():
    places = {
        "p": Place("p", "買方", "payer"),
        "w": Place("w", "歌", "till"),
        "o": Place("o", "歌手", "account"),
    }
    with speaking("zh-Hant"):
        _check(draw_river(River("歌", "w", places, (Stream("p", "w", 5), Stream("w", "o", 2, 3)), COIN)))
