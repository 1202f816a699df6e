# SPDX-License-Identifier: Apache-2.0
"""An alert storm: the same is told once, few wait, and every notice is counted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.watch.cases.alerts import AlertDesk


class Clock:
    now = 0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def desk(tmp_path, clock):
    opened = AlertDesk(tmp_path, clock=clock, cool_down_s=60, most_waiting=3)
    yield opened
    opened.close()


def test_a_storm_of_one_thing_is_one_alert(desk, clock):
    for second in range(50):
        clock.now = second
        desk.raise_("drain", f"The {second + 1}th time.")
    (alert,) = desk.take()
    assert (alert.times, alert.untold, alert.first_at, alert.last_at) == (50, 50, 0, 49)
    assert alert.text == "The 50th time."
    assert desk.take() == []


def test_what_was_told_is_silent_until_it_cooled_down_and_then_says_how_often(desk, clock):
    desk.raise_("drain", "It drains.")
    desk.take()
    for second in (10, 20, 59):
        clock.now = second
        assert not desk.raise_("drain", "It drains.")
        assert desk.take() == []
    clock.now = 60
    (alert,) = desk.take()
    assert (alert.times, alert.untold) == (4, 3)


def test_more_than_can_wait_are_held_and_follow_the_most_urgent_first(desk):
    for number in range(8):
        desk.raise_(f"key {number}", "Something.", level=number)
    assert desk.counts() == {"waiting": 3, "held": 5, "told": 0, "noticed": 8, "untold": 8}
    assert [len(desk.take()) for _ in range(4)] == [3, 3, 2, 0]
    assert desk.counts()["told"] == 8


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 40), st.sampled_from(["raise", "take"])), max_size=60
    )
)
@settings(max_examples=15, deadline=None)
def test_nothing_is_ever_lost(tmp_path_factory, steps):
    clock, raised, told = Clock(), 0, 0
    desk = AlertDesk(tmp_path_factory.mktemp("desk"), clock=clock, cool_down_s=30, most_waiting=2)
    for key, passed, what in steps:
        clock.now += passed
        if what == "raise":
            desk.raise_(str(key), "Something.")
            raised += 1
        else:
            told += sum(alert.untold for alert in desk.take())
        assert desk.counts()["noticed"] == raised
        assert desk.counts()["waiting"] <= 2
    clock.now += 30
    while alerts := desk.take():
        told += sum(alert.untold for alert in alerts)
    assert told == raised
    desk.close()


def test_alerts_are_there_after_the_desk_was_opened_again(tmp_path, clock):
    desk = AlertDesk(tmp_path, clock=clock)
    desk.raise_("drain", "It drains.")
    desk.close()
    again = AlertDesk(tmp_path, clock=clock)
    assert [each.key for each in again.take()] == ["drain"]
    again.close()


def test_a_desk_without_room_is_refused(tmp_path):
    with pytest.raises(BadInput):
        AlertDesk(tmp_path, most_waiting=0)
