# SPDX-License-Identifier: Apache-2.0
"""What a tour does when its processes are killed: it says so, loses nothing, and the next one works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from koinon.errors import PeerError
from koinon.learning import processes
from koinon.learning.led_run import LedRun, Progress
from koinon.learning.processes import OwnerProcess
from koinon.node import Node
from koinon.resume import TOUR_UNDERWAY, resume_interrupted
from koinon.settings import Settings
from koinon.terminal import Terminal
from koinon.tour.job import LENDERS, Job
from koinon.tour.ledger import Ledger
from koinon.tour.parties import Process

pytestmark = pytest.mark.e2e

MANY = 20_000
"""More calls than anyone waits for: what is killed is killed before they are done."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, anvil_path: Path) -> Settings:
    return Settings.load({"KOINON_ANVIL": str(anvil_path)}, home=tmp_path_factory.mktemp("home"))


def tour(settings: Settings, *, calls: int) -> Ledger:
    with Node.open(settings) as node:
        return Job(
            node, Terminal(json_output=True), settings.home / "tour", calls=calls, price="0.001", seed=1
        ).run()


def changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def on_progress(monkeypatch: pytest.MonkeyPatch, act: Callable[[Process, Process], None]) -> None:
    """Act once, on buyer and gateway, when the buyer has paid for its first calls."""
    listen = Process.events

    def events(self: Process, timeout_s: float = 300, needs: Process | None = None) -> Any:
        acted = False
        for event in listen(self, timeout_s, needs):
            if event.get("event") == "progress" and needs is not None and not acted:
                acted = True
                act(self, needs)
            yield event

    monkeypatch.setattr(Process, "events", events)


def test_an_owner_killed_in_a_round_is_missing_in_the_ledger_and_the_rest_are_paid(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[OwnerProcess] = []

    def remember(*arguments: Any) -> OwnerProcess:
        started.append(OwnerProcess(*arguments))
        return started[-1]

    led = LedRun.lead

    def lead(self: LedRun, progress: Progress) -> Any:
        def watch(event: dict[str, Any]) -> None:
            if event["event"] == "round" and event["round"] == 1:
                os.kill(started[2].pid, signal.SIGKILL)
            progress(event)

        return led(self, watch)

    monkeypatch.setattr(processes, "OwnerProcess", remember)
    monkeypatch.setattr(LedRun, "lead", lead)
    ledger = tour(settings, calls=50)
    killed = LENDERS[2]
    assert ledger.missing
    assert all(names == [killed] for names in ledger.missing.values())
    assert killed not in ledger.alone
    assert ledger.conserved
    assert sum(row.withdrawn > 0 for row in ledger.parties) >= len(LENDERS)  # the other four, and the opener
    ledger.show(Terminal())
    printed = capsys.readouterr().out
    assert f"{killed} did not answer in round" in printed
    assert "the run went on with the others" in " ".join(printed.split())


def test_a_gateway_or_buyer_killed_between_calls_is_an_error_that_names_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for victim in ("Gateway", "Buyer"):

        def kill(buyer: Process, gateway: Process, victim: str = victim) -> None:
            os.kill((gateway if victim == "Gateway" else buyer).pid, signal.SIGKILL)

        with monkeypatch.context() as patched:
            on_progress(patched, kill)
            with pytest.raises(PeerError, match=f"{victim}'s process was killed by signal 9") as caught:
                tour(settings, calls=MANY)
        assert caught.value.code == "tour.party_failed"
        (settings.home / "tour" / TOUR_UNDERWAY).touch()  # as the command leaves it when it ends so
        said: list[str] = []
        with Node.open(settings) as node:
            resume_interrupted(node, said.append)
        assert "A tour was interrupted and is finished now" in said[-1]
        assert any("are in the tills now" in each for each in said) == (victim == "Gateway")
    ledger = tour(settings, calls=20)
    assert ledger.conserved
    assert ledger.paid == 20 * ledger.price


def test_a_killed_tour_leaves_no_process_and_two_at_once_are_refused(
    settings: Settings, anvil_path: Path
) -> None:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("KOINON_")}
    environment |= {"KOINON_HOME": str(settings.home), "KOINON_ANVIL": str(anvil_path)}
    command = [sys.executable, "-m", "koinon", "tour", "--json", "--calls"]
    log = settings.home / "tour" / "gateway" / "process.log"
    events = settings.home / "killed.err"
    owner = settings.home / "tour" / "owners" / "1" / "owner.log"
    before = changed(owner)
    with (
        events.open("wb") as errors,
        subprocess.Popen([*command, str(MANY)], env=environment, stdout=errors, stderr=errors) as first,
    ):
        while changed(owner) == before:  # the first tour is not yet under way
            assert first.poll() is None
            time.sleep(0.1)
        second = subprocess.run(
            [*command, "5"], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert second.returncode == 3
        assert "tour.running" in second.stderr
        first.send_signal(signal.SIGKILL)
    third = subprocess.run(
        [*command, "5"], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert third.returncode == 0, (third.stdout, log.read_text())
    assert json.loads(third.stdout)["conserved"] is True
