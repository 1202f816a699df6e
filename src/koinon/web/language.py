# SPDX-License-Identifier: Apache-2.0
"""Words in the reader's language: gettext catalogs of every room, and addresses that keep the language.

A message id is the English sentence itself. Each room keeps its own
``locale/zh_Hant/LC_MESSAGES/messages.po``; Babel reads them once, when the console starts. English stands at
``/…``, Chinese at ``/zh-hant/…``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from babel.messages.catalog import Catalog
from babel.messages.pofile import PoFileError, read_po

from koinon.errors import SetupError

PREFIXES: Final[Mapping[str, str]] = {"en": "", "zh-Hant": "/zh-hant"}
"""Language → what its addresses begin with."""

CATALOGS: Final = "locale/zh_Hant/LC_MESSAGES"
"""The folder where a room keeps its Chinese, in one catalog or several."""

_ROOMS_OF_THE_HOUSE: Final = Path(__file__).resolve().parent.parent
_language: ContextVar[str] = ContextVar("koinon_language", default="en")


def language() -> str:
    """The language of what is being answered: ``en`` or ``zh-Hant``."""
    return _language.get()


@contextmanager
def speaking(wanted: str) -> Iterator[None]:
    """Answer in another language inside the ``with`` block; unknown ones count as English."""
    token = _language.set(wanted if wanted in PREFIXES else "en")
    try:
        yield
    finally:
        _language.reset(token)


def gettext(message: str, **values: object) -> str:
    """The message in the reader's language, ``%(name)s`` filled in from ``values``."""
    found = _singular(message) if _language.get() == "zh-Hant" else message
    return found % values if values else found


def ngettext(singular: str, plural: str, number: int, **values: object) -> str:
    """The form of a message that fits a number; ``%(num)s`` is the number."""
    if _language.get() == "zh-Hant":
        translated = _chinese().plurals.get(singular)
        found = translated if translated else (singular if number == 1 else plural)
    else:
        found = singular if number == 1 else plural
    return found % {"num": number, **values}


def marked(message: str) -> str:
    """Marks a message for translators where it is only translated later, as in a table of titles."""
    return message


def url(path: str, /, **query: object) -> str:
    """An address on this console in the reader's language: ``url("/works/3", page=2)``.

    Arguments that are None are left out.
    """
    kept = {name: str(value) for name, value in query.items() if value is not None}
    return PREFIXES[_language.get()] + path + (f"?{urlencode(kept)}" if kept else "")


def split_language(path: str) -> tuple[str, str]:
    """An address taken apart: its language, and the path without the prefix."""
    for name, prefix in PREFIXES.items():
        if prefix and (path == prefix or path.startswith(f"{prefix}/")):
            return name, path[len(prefix) :] or "/"
    return "en", path


class _Chinese:
    """Every room's translations together."""

    def __init__(self, catalogs: Iterable[Catalog]) -> None:
        self.singulars: dict[str, str] = {}
        self.plurals: dict[str, str] = {}
        for catalog in catalogs:
            for message in catalog:
                words = message.string
                if message.fuzzy or not message.id or not words:
                    continue
                if isinstance(message.id, str):
                    self.singulars[message.id] = str(words)
                else:
                    self.plurals[message.id[0]] = words if isinstance(words, str) else words[0]


def _singular(message: str) -> str:
    return _chinese().singulars.get(message, message)


@lru_cache(maxsize=1)
def _chinese() -> _Chinese:
    return _Chinese(read_catalog(file) for file in sorted(_ROOMS_OF_THE_HOUSE.glob(f"**/{CATALOGS}/*.po")))


def read_catalog(file: Path) -> Catalog:
    """A room's translations; `SetupError` where the file is damaged."""
    try:
        with file.open("rb") as lines:
            return read_po(lines, locale="zh_Hant", abort_invalid=True)
    except (OSError, UnicodeDecodeError, PoFileError, ValueError) as error:
        raise SetupError(
            f"{file} is not a readable catalog of translations ({error}).",
            hint="Install Koinon again, or restore the file.",
            code="setup.catalog",
        ) from error
