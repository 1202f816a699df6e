# SPDX-License-Identifier: Apache-2.0
"""What is told of what is seen: once, most urgent first, a storm as one, and from bounded memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.markets.history.rows import EventRow
from koinon.watch.cases.alerts import AlertDesk
from koinon.watch.monitors.approvals import Approvals
from koinon.watch.monitors.keeping import AlertBook
from koinon.watch.monitors.monitoring import Monitoring, all_monitors
from koinon.watch.monitors.quiet import Quiet
from koinon.watch.monitors.remembering import Peak, Recent, Window
from koinon.watch.monitors.sightings import MOST_ROWS, Sighting, Transaction, transactions

ROW = EventRow(
    5, 0, 0, 1_000, "", "0x01", "role", "erc20", "0xC", "0xC", "0xA", "0xB", "", 0, "", 0, "SetOwner"
)  # fmt: skip


def sighting(subject: str, at: int, level: int = 2) -> Sighting:
    seen = Transaction([replace(ROW, timestamp=at, block_number=at)])
    return Sighting.of("powers", subject, level, "It was seen.", seen)


def test_the_same_is_told_once_a_cool_down_and_then_with_how_often_it_was_seen() -> None:
    quiet = Quiet(cool_down_s=100)
    told = [quiet.pass_on(sighting("one", at)) for at in (0, 10, 99, 100)]
    assert [each is not None for each in told] == [True, False, False, True]
    assert told[-1] is not None
    assert "2 times more" in told[-1].why
    assert quiet.held == 2
    assert quiet.pass_on(sighting("other", 101)) is not None


def test_what_becomes_more_urgent_is_told_at_once() -> None:
    quiet = Quiet(cool_down_s=100)
    assert quiet.pass_on(sighting("one", 0, 2)) is not None
    assert quiet.pass_on(sighting("one", 1, 3)) is not None
    assert quiet.pass_on(sighting("one", 2, 2)) is None


def test_a_storm_is_one_alert_and_the_rest_is_counted() -> None:
    quiet = Quiet(storm=5, storm_s=60)
    told = [quiet.pass_on(sighting(f"subject {number}", number // 50)) for number in range(1_000)]
    alerts = [each for each in told if each is not None]
    assert len(alerts) == 6
    assert (alerts[-1].subject, alerts[-1].level) == ("storm", 3)
    assert "A storm" in alerts[-1].why
    assert len(alerts) - 1 + quiet.held == 1_000
    assert quiet.pass_on(sighting("later", 100)) is not None, "it is over"


@pytest.mark.parametrize("wrong", [{"cool_down_s": -1}, {"storm": 0}, {"storm_s": 0}])
def test_a_telling_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(BadInput):
        Quiet(**wrong)


def test_memory_is_bounded_and_forgets_what_was_not_used_for_longest() -> None:
    recent: Recent[int, list[int]] = Recent(list, 3)
    for key in (1, 2, 3):
        recent[key].append(key)
    assert recent[1] == [1]
    assert recent[4] == []
    assert (2 in recent, 1 in recent, len(recent)) == (False, True, 3)
    assert recent.get(9) is None
    window: Window[int] = Window(10, most=4)
    for at in range(20):
        window.add(at, at)
    assert list(window) == [16, 17, 18, 19]
    window.forget(28)
    assert list(window) == [18, 19]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=40), st.integers(1, 12))
def test_a_peak_is_the_greatest_value_that_held_in_the_window(
    steps: list[tuple[int, int]], width: int
) -> None:
    peak, now, told = Peak(width), 0, []
    for wait, value in steps:
        now += wait
        told.append((now, value))
        held = [
            value for at, value in enumerate(each for _, each in told[:-1]) if told[at + 1][0] >= now - width
        ]
        assert peak.add(now, value) == max([*held, told[-1][1]])


def test_a_million_wallets_and_spenders_take_no_more_memory_than_some() -> None:
    approvals = Approvals(warm_up_s=0)
    row = replace(ROW, kind="approval", amount=2**256 - 1, asset="0xT")
    for number in range(12_000):
        approvals.see(Transaction([replace(row, account=f"w{number}", counterparty=f"s{number}")]))
    assert len(approvals._spenders) == 5_000
    assert len(approvals._allowed) <= 50_000


def test_rows_are_grouped_by_transaction_and_those_without_one_stand_alone() -> None:
    rows = [replace(ROW, log_index=at, transaction_hash=name) for at, name in enumerate("aab")]
    rows += [replace(ROW, log_index=at, transaction_hash="") for at in (3, 4)]
    assert [len(each.rows) for each in transactions(rows)] == [2, 1, 1, 1]


def test_a_sighting_keeps_the_newest_rows_that_show_it_and_says_amounts_exactly() -> None:
    rows = [replace(ROW, log_index=at, amount=2**255 + at) for at in range(100)]
    seen = Sighting.of("drains", "x", 3, "Gone.", Transaction(rows), rows=rows, accounts=["a", "", "a", "b"])
    assert len(seen.rows) == MOST_ROWS
    assert seen.accounts == ("a", "b")
    document = seen.document()
    assert document["rows"][-1]["amount"] == str(2**255 + 99)
    assert document["urgency"] == "act now"


def test_rows_that_come_twice_or_too_late_are_refused() -> None:
    monitoring = Monitoring(all_monitors())
    monitoring.feed([ROW])
    for late in (ROW, replace(ROW, block_number=4)):
        with pytest.raises(BadInput, match="too late") as fault:
            monitoring.feed([late])
        assert fault.value.code == "watch.monitor_order"
    ahead = replace(ROW, block_number=9)
    with pytest.raises(BadInput, match="too late"):
        monitoring.feed([replace(ahead, log_index=3), ahead])


def test_alerts_are_kept_with_their_evidence_told_once_and_the_oldest_forgotten(tmp_path) -> None:
    desk = AlertDesk(tmp_path)
    with AlertBook(tmp_path, desk, most=5) as book:
        alerts = [sighting(f"subject {number}", 10 + number) for number in range(8)]
        assert book.keep(alerts, "chain 1", 20) == 8
        assert book.keep(alerts, "chain 1", 20) == 0, "looked at before"
        assert book.looked_through("chain 1") == 20
        assert book.looked_through("chain 2") == -1
        assert book.keep([], "chain 1", 3) == 0
        assert book.looked_through("chain 1") == 20
        assert [each["subject"] for each in book.newest(2)] == ["subject 7", "subject 6"]
        assert len(book.newest(100)) == 5
        assert book.newest(1, "powers subject 7")[0]["rows"][0]["note"] == "SetOwner"
    assert len(desk.take()) == 8
    assert desk.take() == []
    desk.close()
