# SPDX-License-Identifier: Apache-2.0
"""Whether links in Markdown files lead anywhere: files and headings of the repository, well-formed addresses.

    python tools/check_links.py

No network is used: an address must be https and whole. Links from one document to a page that is made from
the sources are checked by Sphinx. Prints one line a fault and exits 1 if there is any.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
_FENCED: Final = re.compile(r"^( *)(`{3,}|~{3,}).*?^\1\2[^\n]*$", re.DOTALL | re.MULTILINE)
_CODE: Final = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
_LINK: Final = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_BARE: Final = re.compile(r"<(https?://[^>\s]+)>")
_HEADING: Final = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_MADE: Final = ("reference/errors/", "reference/commands/", "reference/contracts/", "reference/python/")
_MADE_PAGES: Final = frozenset({"reference/settings.md"})


def faults() -> list[str]:
    """One line for each link that leads nowhere."""
    pages = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))
    return [fault for page in pages for fault in faults_of(page)]


def faults_of(page: Path, root: Path = ROOT) -> Iterator[str]:
    """What is wrong with the links of one file."""
    text = _without_code(page.read_text(encoding="utf-8"))
    for pattern in (_LINK, _BARE):
        for found in pattern.finditer(text):
            fault = _fault(found[1], page, root)
            if fault is not None:
                line = text.count("\n", 0, found.start()) + 1
                yield f"{page.relative_to(root).as_posix()}:{line}: {found[1]} {fault}"


def anchors(page: Path) -> set[str]:
    """The headings of a Markdown file as links name them (GitHub's rule)."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    found: dict[str, int] = {}
    names = set()
    for title in _HEADING.findall(text):
        name = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()).replace(
            " ", "-"
        )
        again = found.get(name, 0)
        found[name] = again + 1
        names.add(f"{name}-{again}" if again else name)
    return names


def _fault(target: str, page: Path, root: Path) -> str | None:
    try:
        parts = urlsplit(target)
    except ValueError:
        return "is not an address"
    if parts.scheme or parts.netloc:
        return _fault_of_address(target)
    path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not path.is_relative_to(root):
        return "leads out of the repository"
    if path.is_relative_to(root / "docs"):
        name = path.relative_to(root / "docs").as_posix()
        if name.startswith(_MADE) or name in _MADE_PAGES:
            return (
                None
                if page.is_relative_to(root / "docs")
                else "is made by `make docs`, not part of the repository"
            )
    if not path.exists():
        return "does not exist"
    if parts.fragment and path.suffix == ".md" and unquote(parts.fragment) not in anchors(path):
        return "has no such heading"
    return None


def _fault_of_address(target: str) -> str | None:
    parts = urlsplit(target)
    if parts.scheme != "https":
        return "is not https"
    if not parts.hostname or "." not in parts.hostname or parts.username or re.search(r"\s", target):
        return "is not a whole address"
    return None


def _without_code(text: str) -> str:
    blank = _FENCED.sub(lambda match: "\n" * match[0].count("\n"), text)
    return _CODE.sub(lambda match: " " * len(match[0]), blank)


def main() -> int:
    found = faults()
    print("\n".join(found) if found else "Every link leads somewhere.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
