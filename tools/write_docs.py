# SPDX-License-Identifier: Apache-2.0
"""Builds the documents: what people wrote in docs/, and the reference made from the sources beside it.

    python tools/write_docs.py [--check]

Everything is written to build/docs: the pages as Sphinx reads them in source/, the site in site/. A
warning, a broken link or a missing anchor is an error. ``--check`` says nothing about success but the line
that lint prints.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from sphinx.cmd.build import build_main

if __package__ in (None, ""):  # started as a file: the other tools are found from the repository's root
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import (
    check_links,
    shown_commands,
    write_command_pages,
    write_contract_pages,
    write_error_list,
    write_python_pages,
    write_settings_page,
)

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BUILD = ROOT / "build" / "docs"
WRITERS: tuple[Callable[[], dict[str, str]], ...] = (
    write_error_list.pages,
    write_command_pages.pages,
    write_contract_pages.pages,
    write_settings_page.pages,
    write_python_pages.pages,
)


def main() -> int:
    faults = [*check_links.faults(), *shown_commands.faults()]
    if faults:
        print("\n".join(faults), file=sys.stderr)
        return 1
    source = BUILD / "source"
    stage(source)
    options = ["-q"] if "--check" in sys.argv[1:] else []
    folders = ["-c", str(DOCS), "-d", str(BUILD / "doctrees"), str(source), str(BUILD / "site")]
    status = build_main([*options, "-W", "--keep-going", "-j", "2", "-b", "html", *folders])
    if status == 0:
        print(f"The documents are in {(BUILD / 'site' / 'index.html').relative_to(ROOT)}.")
    return status


def stage(source: Path) -> None:
    """Put every page where Sphinx reads it, touching only what changed, so that it builds only that again."""
    wanted = reference()
    for path in DOCS.rglob("*"):
        name = path.relative_to(DOCS).as_posix()
        if path.suffix == ".md" and not name.startswith("notes/"):
            if name in wanted:
                raise SystemExit(f"docs/{name} is written by hand, and made from the sources too.")
            wanted[name] = path.read_text(encoding="utf-8")
        elif path.suffix in {".png", ".svg"}:
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for path in [path for path in source.rglob("*") if path.suffix in {".md", ".rst"}]:
        if path.relative_to(source).as_posix() not in wanted:
            path.unlink()
    for name, text in wanted.items():
        target = source / name
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")


def reference() -> dict[str, str]:
    """The pages made from the sources, by their path in the documents."""
    made: dict[str, str] = {}
    for writer in WRITERS:
        made.update(writer())
    return made


if __name__ == "__main__":
    sys.exit(main())
