# SPDX-License-Identifier: Apache-2.0
"""A content store on a full disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import resource, sys
from pathlib import Path
from koinon.errors import SetupError
from koinon.store import BlockStore

store = BlockStore(Path(sys.argv[1]))
kept = store.put(b"small")
limit = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    store.put(bytes(5000))
except SetupError as error:
    assert error.code == "store.write" and error.hint
else:
    raise AssertionError("there was room")
assert list(store.cids()) == [kept]
assert [path for path in store.path.rglob("*") if path.is_file()] == [store.path / kept[-2:] / kept]
resource.setrlimit(resource.RLIMIT_FSIZE, limit)
assert store.get(store.put(bytes(5000))) == bytes(5000)
"""


def test_a_block_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "blocks")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert child.returncode == 0, child.stderr
