# SPDX-License-Identifier: Apache-2.0
"""How much later a program ends in the sandbox than under Python alone, one beside the other.

By the clock, which is what a buyer waits and which other work on the machine lengthens, and by processor
time, which it hardly does.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from koinon.compute.sandbox import BubblewrapSandbox, Limits, Outcome, Program

ROUNDS = 60
TARGET_MS = 20.0


def run() -> Iterator[dict[str, Any]]:
    """The figures."""
    sandbox = BubblewrapSandbox()
    python = str(sandbox.environment.python)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "main.py"
        path.write_text("")
        program, limits = Program(path), Limits()

        def isolated() -> None:
            if sandbox.run(program, {}, limits).outcome is not Outcome.OK:
                raise RuntimeError("the program did not end well")

        def bare() -> None:
            subprocess.run([python, "-I", "-B", str(path)], check=True)

        pairs = [(_milliseconds(isolated), _milliseconds(bare)) for _ in range(ROUNDS)]
    together = "with" if sandbox.counts_together else "without"
    told = f"more than bare Python (peer: all of it), empty program, {together} control groups"
    for index, (name, unit) in enumerate((("start_ms", "ms"), ("start_cpu_ms", "ms of processors"))):
        inside, outside = zip(*[(one[index], other[index]) for one, other in pairs], strict=True)
        over = statistics.median(one - other for one, other in zip(inside, outside, strict=True))
        yield {
            "name": f"sandbox.{name}",
            "ours": round(over, 1),
            "peer": round(statistics.median(outside), 1),
            "ratio": round(statistics.median(inside) / statistics.median(outside), 2),
            "unit": f"{unit} {told}",
            "target": TARGET_MS,
            "ok": over <= TARGET_MS,
        }


def _milliseconds(action: Callable[[], None]) -> tuple[float, float]:
    """By the clock, and of processors: this process's and its children's."""
    started, used = time.perf_counter(), _used_s()
    action()
    return (time.perf_counter() - started) * 1000, (_used_s() - used) * 1000


def _used_s() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)
