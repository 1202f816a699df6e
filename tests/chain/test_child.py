# SPDX-License-Identifier: Apache-2.0
"""Children end with who started them, even by kill -9."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from koinon.chain.child import bound

PARENT = """
import subprocess, sys
from koinon.chain.child import bound
child = subprocess.Popen(
    bound([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]),
    start_new_session=True,
)
child.wait()
"""


def test_a_bound_program_is_itself():
    done = subprocess.run(bound([sys.executable, "-c", "print(6 * 7)"]), capture_output=True, check=True)
    assert done.stdout.strip() == b"42"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_child_of_a_killed_parent_ends():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        parent.send_signal(signal.SIGKILL)
        assert parent.stdout.read() == b""  # the child held it open until it ended
