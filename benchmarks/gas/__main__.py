# SPDX-License-Identifier: Apache-2.0
"""Compares the gas of every function with gas.json, or writes it: see the package."""

from __future__ import annotations

import sys

from benchmarks.gas import measure, snapshot, unmeasured, write


def main(arguments: list[str]) -> int:
    figures = measure()
    for name in unmeasured(figures):
        print(f"not measured: {name}")
    if "--write" in arguments:
        write(figures)
        return 0
    before = snapshot()
    changed = [
        name for name in sorted(before.keys() | figures.keys()) if before.get(name) != figures.get(name)
    ]
    for name in changed:
        print(f"{name}: {before.get(name, 'new')} -> {figures.get(name, 'gone')}")
    return 1 if changed or unmeasured(figures) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
