# SPDX-License-Identifier: Apache-2.0
"""How `make test` divides the tests among its processes: file by file, and what shares a costly node as one.

Fixtures of a module are then made once, as in a single process; those of the session once a process.
"""

from __future__ import annotations

from typing import Final

import pytest
from xdist.scheduler import LoadFileScheduling

TOGETHER: Final = ("tests/browser/",)
"""Folders whose files one process runs: they share a node with a small world in it."""


class ByFile(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        for folder in TOGETHER:
            if nodeid.startswith(folder):
                return folder
        return str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    # Their order by number of tests would leave the longest for last.
    config.option.loadscopereorder = False
    return ByFile(config, log)
