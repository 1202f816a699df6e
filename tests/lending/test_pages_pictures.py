# SPDX-License-Identifier: Apache-2.0
"""What lending's pictures say in words, and work that pages wait for."""

from __future__ import annotations

import re
import threading
import time
from xml.etree import ElementTree

import pytest

from koinon.errors import BadInput, UsageError
from koinon.lending import errands
from koinon.lending.errands import Errands
from koinon.lending.grades import letter
from koinon.lending.pictures import Scale, draw_past, draw_scale

DAY_S = 86_400


@pytest.mark.parametrize(
    ("points", "tier"), [(700, "A"), (620, "A"), (619, "B"), (560, "B"), (559, "C"), (400, "C"), (900, "A")]
)
def test_points_stand_in_the_tier_whose_bound_they_reach(points, tier):
    scale = Scale(points, 500, 700, (620, 560))
    assert letter(scale.tier) == tier
    drawn = str(draw_scale(scale))
    assert f"{points} points on a scale from 500 to 700: tier {tier}. Tiers: A from 620, B from 560." in drawn
    for svg in re.findall(r"<svg.*?</svg>", drawn):
        ElementTree.fromstring(svg)  # noqa: S314  (our own)
        chosen = re.search(r'class="band chosen"', svg)
        assert chosen is not None
        assert "NaN" not in svg


def test_a_scorecard_of_one_tier_has_a_scale():
    drawn = str(draw_scale(Scale(500, 500, 500, ())))
    assert "500 points on a scale from 500 to 500: tier A." in drawn
    assert "Tiers" not in drawn


def test_a_past_is_drawn_only_where_there_is_one():
    assert draw_past([], None) is None
    assert draw_past([(0, 540)], (1, 560)) is None
    assert draw_past([(0, 540), (60, 550)], (1, 560)) is None
    drawn = str(draw_past([(0, 540), (5 * DAY_S, 550), (9 * DAY_S, 545)], (1, 560)))
    assert "Points in time is 545; the baseline is 560 (tier B begins here)." in drawn
    assert "where it began" in str(draw_past([(0, 540), (9 * DAY_S, 545)], None))


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(errands, "FIRST_S", 0.0)


def over(errand):
    deadline = time.monotonic() + 10
    while not errand.is_over:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return errand


def test_work_is_begun_once_and_found_again(soon):
    done = []

    def look(tell):
        tell("Looking")
        done.append(1)

    queue = Errands()
    first = over(queue.begin("a", look))
    assert (first.state, first.stage, done) == ("done", "Looking", [1])
    assert queue.begin("a", look) is first
    assert queue.find("a") is first
    assert queue.find("b") is None
    second = over(queue.begin("a", lambda _tell: 3, again=True))
    assert (second.value, queue.find("a") is second, done) == (3, True, [1])


def test_work_that_cannot_be_done_says_why(soon):
    def refuse(_tell):
        raise BadInput("No loan is open.", hint="Lend.")

    failed = over(Errands().begin("a", refuse))
    assert (failed.state, failed.message, failed.hint) == ("failed", "No loan is open.", "Lend.")
    unforeseen = over(Errands().begin("b", lambda _tell: 1 // 0))
    assert unforeseen.message == "Something unforeseen went wrong (ZeroDivisionError)."


def test_a_node_does_not_take_on_more_than_it_can_do(soon, monkeypatch):
    monkeypatch.setattr(errands, "WAITING", 3)
    monkeypatch.setattr(errands, "KEPT", 2)
    queue, gate = Errands(), threading.Event()
    waiting = [queue.begin(str(number), lambda _tell: gate.wait(10)) for number in range(3)]
    with pytest.raises(UsageError, match="enough to compute"):
        queue.begin("more", lambda _tell: 0)
    gate.set()
    for errand in waiting:
        over(errand)
    over(queue.begin("more", lambda _tell: 0))
    assert queue.find("0") is None, "the oldest is forgotten"
    assert queue.find("more") is not None
