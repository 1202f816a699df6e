# SPDX-License-Identifier: Apache-2.0
"""A peer's process imports what it needs and nothing else."""

from __future__ import annotations

import subprocess
import sys


def test_a_peer_imports_neither_web_framework_nor_training_library():
    code = "import koinon.learning.swarm.peer, sys; print(*{name.split('.')[0] for name in sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "fastapi",
        "pydantic",
        "uvicorn",
        "web3",
        "httpx",
        "sklearn",
        "scipy",
        "torch",
        "lightgbm",
        "rich",
    }
    assert not heavy & set(found.stdout.split())
