# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEAVING_OUT = {
    "a test": "import pytest\n@pytest.mark.skip(reason='no chromium')\ndef test_gone(): pass\n",
    "a module": "import pytest\npytest.importorskip('a_module_nobody_has')\ndef test_here(): pass\n",
}


WORKERS = {"in one process": [], "by two workers": ["-p", "xdist", "-n", "2", "--dist", "loadfile"]}


def run(folder, text, workers=(), **variables):
    (folder / "test_some.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.ci_plugin",
            "-p",
            "no:cacheprovider",
            "-rs",
            *workers,
            str(folder),
        ],
        cwd=ROOT,
        env={**os.environ, "CI": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workers", WORKERS.values(), ids=WORKERS)
@pytest.mark.parametrize("text", LEAVING_OUT.values(), ids=LEAVING_OUT)
def test_leaving_something_out_fails_in_ci_and_is_listed_elsewhere(tmp_path, text, workers):
    both = text + "def test_more(): pass\n"
    (tmp_path / "test_other.py").write_text("def test_fine(): pass\n")
    assert run(tmp_path, both, workers).returncode == 0
    finished = run(tmp_path, both, workers, CI="true")
    assert finished.returncode == 1
    assert "CI does not allow" in finished.stdout
    assert "test_some.py" in finished.stdout


@pytest.mark.parametrize("workers", WORKERS.values(), ids=WORKERS)
def test_a_complete_run_is_green_in_ci(tmp_path, workers):
    assert run(tmp_path, "def test_here(): pass\n", workers, CI="true").returncode == 0
