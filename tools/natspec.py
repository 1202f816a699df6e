# SPDX-License-Identifier: Apache-2.0
"""What a contract's Vyper sources say: NatSpec, comments beside fields, the words it refuses with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_DOCSTRING: Final = re.compile(r'"""(.*?)"""', re.DOTALL)
_DEFINITION: Final = re.compile(r"^def (\w+)\((.*?)\)\s*(?:->.*?)?:\s*\n", re.DOTALL | re.MULTILINE)
_GETTER: Final = re.compile(r"^(\w+): public\(.*?\)\s*(?:=[^#\n]*)?(?:#\s*(.*))?$", re.MULTILINE)
_TAG: Final = re.compile(r"^\s*@([\w:]+)\s?", re.MULTILINE)
_REFUSAL: Final = re.compile(r'(?:,\s*|\braise )"([^"\n]+)"\s*(?:#.*)?$', re.MULTILINE)


@dataclass(frozen=True)
class Notes:
    """One docstring: ``notice``, ``dev``, what each argument is, what comes back, other tags."""

    notice: str = ""
    dev: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    returns: str = ""
    custom: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Described:
    """A contract in words.

    ``functions`` name and number of arguments → notes; ``getters`` name of a public variable → the comment
    beside it; ``refusals`` reason → the functions that may give it, as written in the sources.
    """

    contract: Notes
    functions: dict[tuple[str, int], Notes]
    getters: dict[str, str]
    refusals: dict[str, tuple[str, ...]]


def describe(sources: Sequence[Path]) -> Described:
    """Read a contract's file, which comes first, and the modules it is built from."""
    functions: dict[tuple[str, int], Notes] = {}
    getters: dict[str, str] = {}
    refusals: dict[str, list[str]] = {}
    texts = [path.read_text(encoding="utf-8") for path in sources if path.suffix == ".vy"]
    for text in texts:
        for name, comment in _GETTER.findall(text):
            getters.setdefault(name, comment.strip())
        found = list(_DEFINITION.finditer(text))
        for number, match in enumerate(found):
            end = found[number + 1].start() if number + 1 < len(found) else len(text)
            body = text[match.end() : end]
            words = _DOCSTRING.match(body.lstrip())
            name = match[1]
            functions.setdefault((name, _count(match[2])), parse(words[1]) if words else Notes())
            for reason in _REFUSAL.findall(body):
                places = refusals.setdefault(reason, [])
                if name not in places:
                    places.append(name)
    top = next((words for words in _DOCSTRING.findall(texts[0]) if "@title" in words), "") if texts else ""
    return Described(
        parse(top),
        functions,
        getters,
        {reason: tuple(places) for reason, places in refusals.items()},
    )


def parse(docstring: str) -> Notes:
    """NatSpec tags of one docstring."""
    _, *parts = _TAG.split(docstring)
    notice, dev, returns = "", "", ""
    arguments: dict[str, str] = {}
    custom: dict[str, str] = {}
    for tag, raw in zip(parts[::2], parts[1::2], strict=True):
        words = " ".join(raw.split())
        if tag == "notice":
            notice = words
        elif tag == "dev":
            dev = words
        elif tag == "return":
            returns = f"{returns}; {words}" if returns else words
        elif tag == "param":
            name, _, meaning = words.partition(" ")
            arguments[name] = meaning
        elif tag.startswith("custom:"):
            custom[tag.removeprefix("custom:")] = words
    return Notes(notice, dev, arguments, returns, custom)


def _count(arguments: str) -> int:
    """How many arguments a definition takes: commas outside brackets."""
    plain = re.sub(r"#[^\n]*", "", arguments)
    while (shorter := re.sub(r"[\[(][^\[\]()]*[\])]", "", plain)) != plain:
        plain = shorter
    return len([part for part in plain.split(",") if part.strip()])
