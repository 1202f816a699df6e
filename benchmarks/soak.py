# SPDX-License-Identifier: Apache-2.0
"""A node under load: killed at random points, and left running.

    python -m benchmarks.soak --kills 200 --seconds 3600      what `make soak` runs
    SOAK_KILLS=200 SOAK_SECONDS=3600 python -m benchmarks soak node

``soak.kills`` is how many kills -9 the ledger survived exactly (see `_soak`), ``node.rss_mb`` the node
process's resident memory after the load has run for so long. Both are short unless told otherwise: 10 kills
and 20 seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks._soak import Soak

NAMES = ("soak", "node.rss_mb")
FULL_CHECK_EVERY: Final = 25
MEMORY_TARGET_MB: Final = 300


def run() -> Iterator[dict[str, Any]]:
    """Both figures; how much by ``SOAK_KILLS``, ``SOAK_SECONDS`` and ``SOAK_SEED``."""
    kills, seconds = int(os.environ.get("SOAK_KILLS", "10")), float(os.environ.get("SOAK_SECONDS", "20"))
    yield from figures(kills, seconds, int(os.environ.get("SOAK_SEED", "1")))


def figures(kills: int, seconds: float, seed: int, *, talk: bool = False) -> Iterator[dict[str, Any]]:
    """Kill so many times, then load for so long."""
    with tempfile.TemporaryDirectory() as folder, Soak(Path(folder) / "home", seed) as soak:
        survived = 0
        started = time.monotonic()
        for number in range(1, kills + 1):
            killed = soak.kill_once()
            if number % FULL_CHECK_EVERY == 0 or number == kills:
                soak.check(all_of_it=True)
            survived += 1
            if talk:
                state = (
                    f"{len(soak.done)} payments, {soak.answered} calls, {time.monotonic() - started:.0f} s"
                )
                print(f"{number}: {killed} killed; exact. {state}", file=sys.stderr, flush=True)
        yield {
            "name": "soak.kills",
            "ours": survived,
            "peer": None,
            "ratio": None,
            "unit": f"kills -9 with an exact ledger ({len(soak.done)} payments, {soak.answered} calls)",
            "target": kills,
            "ok": survived == kills,
        }
        time.sleep(seconds)
        soak.check(all_of_it=True)
        node, anvil = soak.memory()
    yield {
        "name": "node.rss_mb",
        "ours": round(node / 2**20, 1),
        "peer": round(anvil / 2**20, 1),
        "ratio": None,
        "unit": f"MB resident, node process after {seconds:g} s of load (peer: its anvil)",
        "target": MEMORY_TARGET_MB,
        "ok": node <= MEMORY_TARGET_MB * 2**20,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a node under load and check its ledger.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    fine = True
    for figure in figures(asked.kills, asked.seconds, asked.seed, talk=True):
        print(json.dumps(figure), flush=True)
        fine &= bool(figure["ok"])
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
