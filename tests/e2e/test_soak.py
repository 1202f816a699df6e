# SPDX-License-Identifier: Apache-2.0
"""Node, anvil and gateway killed under load, with an exact ledger each time: `make soak`, made short."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks._soak import KINDS, Soak, check_receipts

pytestmark = pytest.mark.e2e


def test_a_node_under_load_survives_each_kind_of_kill_with_an_exact_ledger(
    tmp_path: Path, anvil_path: Path
) -> None:
    with Soak(tmp_path / "home", seed=5) as soak:
        for kind in KINDS:
            assert soak.kill_once(kind) == kind
        soak.kill_once("everything", after_s=0.0)
        soak.check(all_of_it=True)
        assert soak.done
        assert soak.answered > 0
        assert sum(soak.kills.values()) == 6
        soak.done["0x" + "00" * 32] = 1  # the check itself can fail
        with pytest.raises(AssertionError, match="is gone"):
            check_receipts(soak, all_of_them=True)
        del soak.done["0x" + "00" * 32]
