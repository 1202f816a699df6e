# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEST = "import os, pathlib, pytest\n@pytest.mark.parametrize('n', range(2))\ndef test_it(n):\n" + (
    "    with pathlib.Path(__file__).with_suffix('.worker').open('a') as file:\n"
    "        file.write(os.environ['PYTEST_XDIST_WORKER'] + ' ')\n"
)


def test_a_file_and_what_shares_a_node_have_one_process(tmp_path):
    files = [tmp_path / "tests" / name for name in ("browser/test_a.py", "browser/test_b.py", "test_c.py")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "tests.by_file", "-n", "2", str(tmp_path)]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    a, b, c = (set(file.with_suffix(".worker").read_text().split()) for file in files)
    assert a == b
    assert len(a | c) == 2
