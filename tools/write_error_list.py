# SPDX-License-Identifier: Apache-2.0
"""Writes docs/errors.md from the error tree and from every ``code=`` in the sources.

    python tools/write_error_list.py [--check]

With ``--check`` nothing is written; exits 1 when the page is not what the sources say.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from koinon import errors

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "errors.md"
SOURCES = ROOT / "src" / "koinon"
HEAD = """# Errors

Every error Koinon raises on purpose has a stable code, one sentence and a hint. A command prints them and
exits with the status of the error's class; with `--json` it prints RFC 9457 problem details instead, as the
HTTP services do. `koinon --debug …` shows the traceback. Unforeseen errors exit with 70, Ctrl-C with 130.

This page is made from the sources by `make docs`.
"""


def main() -> int:
    page = text()
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page else 1
    PAGE.write_text(page, encoding="utf-8")
    return 0


def text() -> str:
    lines = [HEAD, "| Class | Code | Exit status | HTTP status |", "|---|---|---|---|"]
    lines += [
        f"| {'· ' * depth}`{kind.__name__}` | `{kind.code}` | {kind.exit_status} | {kind.http_status} |"
        for kind, depth in tree(errors.KoinonError)
    ]
    lines += ["", "| Code | Class | Raised in |", "|---|---|---|"]
    places: dict[tuple[str, str], set[str]] = {}
    for code, kind_name, file in codes():
        places.setdefault((code, kind_name), set()).add(file)
    lines += [
        f"| `{code}` | `{kind_name}` | {', '.join(f'`{file}`' for file in sorted(files))} |"
        for (code, kind_name), files in sorted(places.items())
    ]
    return "\n".join(lines) + "\n"


def tree(kind: type[errors.KoinonError], depth: int = 0) -> Iterator[tuple[type[errors.KoinonError], int]]:
    yield kind, depth
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child, depth + 1)


def codes() -> Iterator[tuple[str, str, str]]:
    """(code, class, file) of every call ``SomeError(…, code="area.reason")``."""
    names = {kind.__name__ for kind, _depth in tree(errors.KoinonError)}
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                not isinstance(node, ast.Call)
                or not isinstance(node.func, ast.Name)
                or node.func.id not in names
            ):
                continue
            for argument in node.keywords:
                if argument.arg == "code" and isinstance(argument.value, ast.Constant):
                    yield str(argument.value.value), node.func.id, path.relative_to(SOURCES).as_posix()


if __name__ == "__main__":
    sys.exit(main())
