# SPDX-License-Identifier: Apache-2.0
"""Checks that no linter makes: licence lines, lock files without addresses, nothing left over.

    python tools/check_sources.py

Prints one line a fault and exits 1 if there is any.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = {".py", ".vy", ".vyi", ".sh", ".toml", ".in", ".css", ".js", ".html"}
LOCKS = {
    *(f"requirements/{name}.txt" for name in ("build", "dev", "flower", "runtime")),
    "package-lock.json",
}
ADDRESS = re.compile(r"://|\bresolved\b|--(?:extra-)?index-url|--find-links")
LEFT_OVER = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
SPDX = "SPDX-License-Identifier: Apache-2.0"
SELF = "tools/check_sources.py"
OTHERS = "src/koinon/console/static/vendor/"
"""Other people's files, each with its licence; see tools/vendor.py."""


def main() -> int:
    faults = [fault for name in tracked() for fault in faults_of(name)]
    print("\n".join(faults) if faults else "Every source names its licence; no lock file names a host.")
    return 1 if faults else 0


def tracked() -> list[str]:
    """Names of the files that git knows or would add."""
    answer = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(name for name in answer.stdout.split("\0") if name and (ROOT / name).is_file())


def faults_of(name: str) -> Iterator[str]:
    path = ROOT / name
    if name.startswith(OTHERS):
        return
    is_source = path.suffix in SOURCES or name in {"Makefile", ".ci/run"}
    if not is_source and name not in LOCKS:
        return
    text = path.read_text(encoding="utf-8")
    if is_source and text and SPDX not in "\n".join(text.splitlines()[:3]):
        yield f"{name}:1: the licence line is missing ({SPDX})"
    if name == SELF:
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if name in LOCKS and not line.startswith("#") and ADDRESS.search(line):
            yield f"{name}:{number}: a lock file names an address"
        if is_source and LEFT_OVER.search(line):
            yield f"{name}:{number}: unfinished work is marked here"


if __name__ == "__main__":
    sys.exit(main())
