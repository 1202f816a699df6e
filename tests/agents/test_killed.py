# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from koinon.agents.handling import TRIES
from tests.agents import killing, self_killing


@pytest.mark.e2e
def test_a_host_killed_between_any_two_steps_loses_and_doubles_nothing(tmp_path):
    runs = [json.loads(line) for line in said(killing, tmp_path).splitlines()]
    for victim in killing.KEYS:
        for moment in ("inside", "after"):
            some = [run["killed"] for run in runs if (run["victim"], run["moment"]) == (victim, moment)]
            assert some == [True] * (len(some) - 1) + [False]
            assert len(some) > 3
    paid = killing.PAYMENTS * killing.AMOUNT
    assert [run for run in runs if (run["paid"], run["received"], run["left"]) != (paid, paid, 0)] == []


@pytest.mark.e2e
def test_a_message_that_ends_its_process_ends_as_a_dead_letter(tmp_path):
    found = json.loads(said(self_killing, tmp_path))
    assert found["ends"] == [-signal.SIGKILL] * (TRIES + 1) + [0]
    assert found["dead"] == ["Poison"]


def said(script: ModuleType, folder: Path) -> str:
    """What a script prints."""
    done = subprocess.run(
        [sys.executable, str(script.__file__), str(folder)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
