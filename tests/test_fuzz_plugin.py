# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
MACHINES = """
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from pathlib import Path

class Counts(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        with Path(__file__).with_name(type(self).__name__).open("a") as file:
            file.write("x")

    @rule()
    def goes_on(self):
        pass

class CountsToo(Counts):
    pass

Counts.TestCase.settings = settings(max_examples=2, stateful_step_count=2, deadline=None, database=None)
TestCounts = Counts.TestCase

def test_one_that_is_run():
    few = settings(max_examples=3, stateful_step_count=2, deadline=None)
    run_state_machine_as_test(CountsToo, settings=few)

def test_nothing_of_the_kind():
    raise AssertionError
"""


def run(folder, *arguments):
    (folder / "test_machines.py").write_text(MACHINES)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "tests.fuzz_plugin"]
    return subprocess.run(
        [*command, *arguments, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_state_machines_run_alone_and_with_many_times_their_examples(tmp_path):
    done = run(tmp_path, "--times", "7")
    assert done.returncode == 0, done.stdout
    assert "2 passed, 1 deselected" in done.stdout
    assert len((tmp_path / "Counts").read_text()) == 7 * 2
    assert len((tmp_path / "CountsToo").read_text()) == 7 * 3


def test_fewer_than_once_is_refused(tmp_path):
    assert run(tmp_path, "--times", "0").returncode != 0
