# SPDX-License-Identifier: Apache-2.0
"""Quiet times stay quiet, and what is found does not depend on when one looks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.markets.history.facts import Facts
from koinon.markets.history.history import History
from koinon.markets.history.rows import EventRow
from koinon.markets.simulation.scenario import find
from koinon.watch.cases.alerts import AlertDesk
from koinon.watch.monitors.approvals import Approvals
from koinon.watch.monitors.drains import Drains
from koinon.watch.monitors.flash import Flash
from koinon.watch.monitors.following import Follower
from koinon.watch.monitors.governance import Governance
from koinon.watch.monitors.keeping import AlertBook
from koinon.watch.monitors.minting import Minting
from koinon.watch.monitors.monitoring import Monitoring, all_monitors
from koinon.watch.monitors.powers import Powers
from koinon.watch.monitors.prices import Prices
from koinon.watch.monitors.quiet import Quiet
from koinon.watch.monitors.rehearsing import rehearse
from koinon.watch.monitors.sightings import Monitor, Sighting


@pytest.fixture(scope="module")
def quiet_market() -> tuple[list[EventRow], Facts]:
    return rehearse(find("wild").lasting(0.25), seed=7)


def nervous(facts: Facts) -> Monitoring:
    """Monitors that see something everywhere, so that there is much to compare."""
    monitors: Sequence[Monitor] = [
        Approvals(wallets=2, warm_up_s=0),
        Prices(facts, deviation=0.005, jump=0.005, sigmas=1.0),
        Powers(),
        Drains(share=0.001, warm_up_s=0),
        Flash(move=0.0001),
        Governance(),
        Minting(share=0.0001, warm_up_s=0),
    ]
    return Monitoring(monitors, Quiet(cool_down_s=600, storm=5))


def test_a_wild_market_in_which_nobody_attacks_raises_no_alarm(quiet_market) -> None:
    """Simulated: eight days of trades, liquidity, prices and payments."""
    rows, facts = quiet_market
    monitoring = Monitoring(all_monitors(facts))
    assert monitoring.feed(rows) == []
    document = monitoring.document()
    assert document["alerts_per_day"] == 0
    assert document["rows"] > 4_000
    assert document["days"] > 7


@settings(max_examples=3, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=60))
def test_live_and_replay_find_the_same(quiet_market, sizes: list[int]) -> None:
    rows, facts = quiet_market
    at_once = nervous(facts)
    wanted = at_once.feed(rows)
    assert len(wanted) > 20
    live, found, blocks = nervous(facts), [], sorted({row.block_number for row in rows})
    by_block: dict[int, list[EventRow]] = {}
    for row in rows:
        by_block.setdefault(row.block_number, []).append(row)
    at = 0
    while at < len(blocks):
        size = sizes[at % len(sizes)]
        found += live.feed(row for block in blocks[at : at + size] for row in by_block[block])
        at += size
    assert found == wanted
    assert live.document() == at_once.document()
    assert live.held > 0


class Recorded:
    """A chain whose head is where the test puts it."""

    def __init__(self, rows: Sequence[EventRow], facts: Facts) -> None:
        self.rows, self.facts, self.head = rows, facts, -1

    def sync(self) -> int:
        return self.head

    def confirmed(self) -> int:
        return self.head - 2

    def history(self, *, unconfirmed: bool = False, since: int = 0) -> History:
        last = self.head if unconfirmed else self.confirmed()
        return History.of([row for row in self.rows if since <= row.block_number <= last], self.facts)


def test_a_follower_goes_on_after_a_restart_and_tells_nothing_twice(quiet_market, tmp_path: Path) -> None:
    rows, facts = quiet_market
    rows = rows[:2_000]
    wanted = nervous(facts).feed(rows)
    chain, last, found = Recorded(rows, facts), rows[-1].block_number, list[Sighting]()
    desk = AlertDesk(tmp_path)
    with AlertBook(tmp_path, desk) as book:
        for run in range(4):
            follower = Follower(chain, "chain 1", nervous(facts), book)
            for look in range(1, 6):
                chain.head = 2 + last * (5 * run + look) // 20
                found += follower.look()
            assert follower.look() == []
        assert found == wanted
        assert [each["why"] for each in book.newest(3)] == [each.why for each in wanted[:-4:-1]]
    assert desk.counts()["noticed"] == len(wanted)
    desk.close()
