# SPDX-License-Identifier: Apache-2.0
"""The index on a full disk: it stops clearly, nothing is torn, and it goes on where it stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

PROGRAM = """
import resource, sys
from pathlib import Path
from koinon.chain.handle import Chain
from koinon.chain.index import EventIndex
from koinon.errors import SetupError

path = Path(sys.argv[2])
with Chain.open(Path(sys.argv[1])) as chain:
    with EventIndex.open(path, chain) as index:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = max(file.stat().st_size for file in path.parent.glob("index.sqlite*"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        for _ in range(2):
            try:
                index.sync()
            except SetupError as error:
                assert error.code == "index.disk" and error.hint, error.code
            else:
                raise AssertionError("there was room")
        assert index.head() is None
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        index.sync()
        assert index.head().number == chain.block_number()
"""


def test_the_index_stops_clearly_and_goes_on_when_there_is_room(network_file: Path, tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(network_file), str(tmp_path / "index.sqlite")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert child.returncode == 0, child.stderr
