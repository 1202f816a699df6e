# SPDX-License-Identifier: Apache-2.0
"""`gateway.crash`, made short: two kills under load."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks._gateway_crash import CrashTest

pytestmark = pytest.mark.e2e


def test_a_gateway_killed_under_load_forgets_nothing_it_answered(tmp_path: Path, anvil_path: Path) -> None:
    with CrashTest(tmp_path / "home") as test:
        for _ in range(2):
            test.kill_once(more_answers=10)
        assert test.check() > 0
        test.strangers[0].answered += 10**12  # the check itself can fail
        with pytest.raises(AssertionError, match="answered"):
            test.check()
