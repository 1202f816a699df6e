# SPDX-License-Identifier: Apache-2.0
"""The `koinon …` commands that documents show, and whether each exists with the options it is shown with.

    python tools/shown_commands.py

Prints one line a fault and exits 1 if there is any.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import click

from koinon.cli import root

ROOT = Path(__file__).parent.parent
BLOCK: Final = re.compile(r"^( *)(`{3,}|~{3,})([\w-]*)[^\n]*\n(.*?)^\1\2", re.DOTALL | re.MULTILINE)
INLINE: Final = re.compile(r"(?<!`)`(koinon [a-z][^`]*)`(?!`)")
_SHELL: Final = frozenset({"", "bash", "sh", "shell", "console"})
_ENDS: Final = frozenset({"|", "||", "&&", ";", "&", ">", ">>", "<", "2>"})


@dataclass(frozen=True)
class Shown:
    """One command as a page shows it, in a block or in a line of text."""

    page: str
    line: int
    text: str
    in_block: bool


@dataclass(frozen=True)
class Command:
    """One command of the tree. ``context`` is click's, as if it were called by ``path``."""

    path: tuple[str, ...]
    command: click.Command
    context: click.Context

    @property
    def is_group(self) -> bool:
        return isinstance(self.command, click.Group)


def documents() -> list[Path]:
    """Every page that people wrote: the documents, and what stands beside the README."""
    return sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))


def shown(pages: list[Path] | None = None) -> Iterator[Shown]:
    """Every ``koinon …`` in a block of shell commands, and every one in backticks."""
    for path in documents() if pages is None else pages:
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT).as_posix()
        for block in BLOCK.finditer(text):
            if block[3] in _SHELL:
                start = text.count("\n", 0, block.start(4)) + 1
                yield from _in_block(name, start, block[4])
        for found in INLINE.finditer(BLOCK.sub(lambda match: "\n" * match[0].count("\n"), text)):
            line = (
                BLOCK.sub(lambda match: "\n" * match[0].count("\n"), text).count("\n", 0, found.start()) + 1
            )
            yield Shown(name, line, " ".join(found[1].split()), False)


@cache
def commands() -> dict[tuple[str, ...], Command]:
    """The whole tree of commands by their path."""
    return {found.path: found for found in _walk((), root, None)}


def fault_of(one: Shown) -> str | None:
    """What is wrong with a command that is shown, or None."""
    words = _words(one.text)
    if words is None:
        return "is not a command line"
    tree = commands()
    here = tree[()]
    words = words[1:]
    while True:
        rest = _options_before_command(words, here) if here.is_group else words
        if rest is None:
            return f"has an option that `{_spoken(here)}` has not"
        if not here.is_group:
            break
        if not rest or rest[0] in {"…", "..."}:
            return (
                None
                if not one.in_block or rest or {"--help", "-h", "--version"} & set(words)
                else "is a group"
            )
        if (*here.path, rest[0]) not in tree:
            return f"does not exist: `{_spoken(here)}` has no {rest[0]!r}"
        here, words = tree[(*here.path, rest[0])], rest[1:]
    if not one.in_block and (not words or words[-1] in {"…", "..."}):
        words = [word for word in words if word not in {"…", "..."}]
        return _unknown_option(words, here)
    return _unknown_option(words, here) or _wrong_count(words, here)


def faults() -> list[str]:
    """One line for each command that is shown and would not run."""
    return [
        f"{one.page}:{one.line}: `{one.text}` {fault}"
        for one in shown()
        if (fault := fault_of(one)) is not None
    ]


def _in_block(page: str, start: int, body: str) -> Iterator[Shown]:
    joined = re.sub(r"\\\n\s*", lambda match: " " + "\0" * match[0].count("\n"), body)
    line = start
    for text in joined.split("\n"):
        command = re.sub(r"^\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:sudo (?:-u \S+ )?)?", "", text.replace("\0", ""))
        if command.startswith("koinon ") or command.strip() == "koinon":
            yield Shown(page, line, " ".join(command.split()), True)
        line += 1 + text.count("\0")


def _words(text: str) -> list[str] | None:
    try:
        words = shlex.split(text, comments=True)
    except ValueError:
        return None
    end = next((number for number, word in enumerate(words) if word in _ENDS), len(words))
    return words[:end]


def _options_before_command(words: list[str], here: Command) -> list[str] | None:
    options = {name: each for each in here.command.params for name in each.opts if name.startswith("-")}
    rest = list(words)
    while rest and rest[0].startswith("-"):
        name = rest.pop(0)
        if name in {"--help", "-h"}:
            return []
        if name not in options:
            return None
        option = options[name]
        if isinstance(option, click.Option) and not option.is_flag and not option.count and rest:
            rest.pop(0)
    return rest


def _unknown_option(words: list[str], here: Command) -> str | None:
    try:
        here.command.make_parser(here.context).parse_args(list(words))
    except click.ClickException as error:
        return f"is refused: {error.format_message()}"
    return None


def _wrong_count(words: list[str], here: Command) -> str | None:
    values, left, _order = here.command.make_parser(here.context).parse_args(list(words))
    if "help" in values:
        return None
    if left:
        return f"has words that nothing takes: {' '.join(left)}"
    for each in here.command.params:
        given = values.get(each.name or "")
        there = any(given) if isinstance(given, tuple | list) else isinstance(given, str | bool | int)
        if each.required and not there:
            return f"lacks {each.get_error_hint(here.context)}"
    return None


def _walk(path: tuple[str, ...], command: click.Command, parent: click.Context | None) -> Iterator[Command]:
    context = click.Context(
        command,
        info_name=path[-1] if path else "koinon",
        parent=parent,
        terminal_width=96,
        max_content_width=96,
        help_option_names=["-h", "--help"],
    )
    yield Command(path, command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from _walk((*path, name), child, context)


def _spoken(here: Command) -> str:
    return " ".join(("koinon", *here.path))


def main() -> int:
    found = faults()
    print("\n".join(found) if found else "Every command that the documents show exists.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
