# SPDX-License-Identifier: Apache-2.0
"""Ten thousand alerts at once: people are told few, none is lost, and a kill -9 loses nothing either."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from koinon.markets.history.rows import EventRow
from koinon.watch.cases.alerts import MOST_WAITING, AlertDesk
from koinon.watch.monitors.keeping import AlertBook
from koinon.watch.monitors.monitoring import Monitoring
from koinon.watch.monitors.quiet import Quiet
from koinon.watch.monitors.sightings import Sighting, Transaction
from tests.pages_support import open_town

STORM = 10_000
ROW = EventRow(
    5, 0, 0, 1_000, "", "0x01", "role", "erc20", "0xC", "0xC", "0xA", "0xB", "", 0, "", 0, "SetOwner"
)  # fmt: skip


class Everything:
    """A monitor that sees something in every transaction, each about another contract."""

    name = "everything"

    def see(self, seen: Transaction) -> list[Sighting]:
        subject = seen.rows[0].contract
        return [Sighting.of(self.name, subject, 1 + int(subject, 16) % 3, f"Something at {subject}.", seen)]


def rows(count: int = STORM) -> Iterator[EventRow]:
    for number in range(count):
        contract = f"0x{number:040x}"
        yield replace(ROW, block_number=number // 10, log_index=number % 10, contract=contract,
                      transaction_hash=f"0x{number:064x}", timestamp=1_000 + number // 10)  # fmt: skip


def test_a_storm_on_the_chain_is_told_as_one_and_every_sighting_is_counted() -> None:
    monitoring = Monitoring([Everything()], Quiet(storm=20))
    told = monitoring.feed(rows())
    assert len(told) == 21
    assert told[-1].subject == "storm"
    assert monitoring.held + len(told) - 1 == STORM


@pytest.fixture
def clock():
    return iter_clock()


class iter_clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_many_different_alerts_wait_their_turn_and_cool_down_once_they_were_told(tmp_path, clock) -> None:
    desk = AlertDesk(tmp_path, clock=clock, cool_down_s=3_600)
    storm = [(f"key {number}", f"Text {number}.", 1 + number % 3) for number in range(STORM)]
    desk.raise_all(storm)
    assert desk.counts() == {
        "waiting": MOST_WAITING, "held": STORM - MOST_WAITING, "told": 0, "noticed": STORM, "untold": STORM,
    }  # fmt: skip
    seen: list[str] = []
    while taken := desk.take():
        assert len(taken) <= MOST_WAITING
        assert [each.level for each in taken] == sorted((each.level for each in taken), reverse=True)
        seen += [each.key for each in taken]
    assert len(seen) == len(set(seen)) == STORM, "each was told once, none was lost"
    desk.raise_all(storm)
    assert desk.take() == [], "they cool down"
    assert desk.counts()["noticed"] == 2 * STORM
    clock.now += 3_600
    assert len(desk.take()) == MOST_WAITING, "what went on meanwhile is told again"
    desk.close()


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from koinon.watch.cases.alerts import AlertDesk
from koinon.watch.monitors.keeping import AlertBook
from koinon.watch.monitors.monitoring import Monitoring
from koinon.watch.monitors.quiet import Quiet
from tests.watch.test_alert_storm import STORM, Everything, rows

home = Path(sys.argv[1])
with AlertBook(home, AlertDesk(home), most=2 * STORM) as book:
    monitoring = Monitoring([Everything()], Quiet(storm=STORM))
    block, ready = 0, []
    def keep():
        alerts = monitoring.feed(ready)
        book.keep(alerts, "chain", block)
        print(block, flush=True)
    for row in rows():
        if row.block_number != block:
            keep()
            block, ready = row.block_number, []
        ready.append(row)
    keep()
    print("done", flush=True)
"""
"""A follower in a storm: each block that it says is one whose alerts are safe."""


def follower(home: Path) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
    )


def test_a_follower_that_is_killed_in_a_storm_loses_nothing_that_it_acknowledged(tmp_path) -> None:
    for patience in (40, 300):
        running = follower(tmp_path)
        assert running.stdout is not None
        said: list[str] = []
        for line in running.stdout:
            said.append(line.strip())
            if len(said) == patience:
                os.kill(running.pid, signal.SIGKILL)
                break
        running.stdout.close()
        running.wait()
        last = int(said[-1])
        with AlertBook(tmp_path, desk := AlertDesk(tmp_path), most=2 * STORM) as book:
            assert book.looked_through("chain") >= last
            kept = {each["subject"] for each in book.newest(2 * STORM)}
            wanted = {row.contract for row in rows() if row.block_number <= last}
            assert wanted <= kept
            assert desk.counts()["noticed"] >= len(wanted)
            desk.close()
    running = follower(tmp_path)
    assert running.stdout is not None
    said = running.stdout.read().split()
    running.stdout.close()
    assert running.wait() == 0
    assert said[-1] == "done"
    with AlertBook(tmp_path, desk := AlertDesk(tmp_path), most=2 * STORM) as book:
        every = [each["subject"] for each in book.newest(2 * STORM)]
        assert len(every) == len(set(every)) == STORM, "each once, with its evidence"
        told = set()
        while taken := desk.take():
            told |= {each.key for each in taken}
        assert len(told) == STORM
        desk.close()


def test_the_page_stays_readable_in_a_storm(tmp_path_factory, network, devnet) -> None:
    with open_town(tmp_path_factory.mktemp("town"), network, devnet) as town:
        home = town.house.settings.home / "watch"
        with AlertBook(home, desk := AlertDesk(home)) as book:
            book.keep(Monitoring([Everything()], Quiet(storm=STORM)).feed(rows()), "chain", STORM)
        desk.close()
        page = town.operator().page("/watch")
        assert page.count("Something at 0x") < 60
        assert "9,995 more wait behind these." in page
        assert len(page) < 120_000
