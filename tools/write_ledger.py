# SPDX-License-Identifier: Apache-2.0
"""Runs the tour in a data directory of its own and puts the ledger it prints into both READMEs.

python tools/write_ledger.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BLOCK = re.compile(r"(<!-- ledger:begin[^\n]*-->\n).*?(<!-- ledger:end -->)", re.DOTALL)
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        printed = subprocess.run(
            [sys.executable, "-m", "koinon", "tour"],
            env={**os.environ, "KOINON_HOME": home, "KOINON_LANG": "en", "COLUMNS": "80"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
    ledger = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    for name in ("README.md", "README.zh-Hant.md"):
        path = ROOT / name
        text, found = BLOCK.subn(
            lambda match: f"{match[1]}\n```\n{ledger}\n```\n\n{match[2]}", path.read_text(encoding="utf-8")
        )
        if found != 1:
            raise SystemExit(f"{name} has {found} places for a ledger, not one.")
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
