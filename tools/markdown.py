# SPDX-License-Identifier: Apache-2.0
"""Putting words from the sources into Markdown pages as they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

_SPECIAL: Final = re.compile(r"([\\*_{}\[\]<>#|~$])")
_CODE: Final = re.compile(r"(`+[^`]*`+)")


def plain(text: str) -> str:
    """Words for a paragraph: what Markdown would read as its own is escaped; code in backticks stays code."""
    words = " ".join(text.split()).replace("``", "`")
    if words.count("`") % 2:
        words = words.replace("`", "'")
    parts = _CODE.split(words)
    return "".join(part if part.startswith("`") else _SPECIAL.sub(r"\\\1", part) for part in parts)


def code(text: str) -> str:
    """Code in a line."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown already. Without rows, nothing."""
    found = [list(row) for row in rows]
    if not found:
        return ""
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in found]
    return "\n".join(lines) + "\n"


def fence(text: str, language: str = "") -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def toctree(names: Iterable[str], *, hidden: bool = False) -> str:
    """Sphinx's list of the pages below this one."""
    options = ":maxdepth: 1\n" + (":hidden:\n" if hidden else "")
    return "```{toctree}\n" + options + "\n" + "\n".join(names) + "\n```\n"


def _cell(text: str) -> str:
    # A bar ends a cell, even in code, unless it is escaped; plain() has escaped those of words.
    return re.sub(r"(?<!\\)\|", r"\\|", text.replace("\n", " "))
