# SPDX-License-Identifier: Apache-2.0
"""Every sentence of the pages has its Chinese.

    python tools/check_translations.py                   exit 1 where something is not translated
    python tools/check_translations.py --write [ROOM …]  add what is missing to those rooms' messages.po

Sentences are found in templates (``_``, ``gettext``, ``ngettext``, ``trans``) and in code. A translation
keeps the names of what is filled in. One sentence has one translation in the whole house, in any room's
catalog.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

ROOT: Final = Path(__file__).parent.parent
HOUSE: Final = ROOT / "src" / "koinon"
CATALOGS: Final = "locale/zh_Hant/LC_MESSAGES"
KEYWORDS: Final = {"_": None, "gettext": None, "ngettext": (1, 2), "marked": None}
OPTIONS: Final = {"extensions": "jinja2.ext.do", "trimmed": "true", "silent": "false"}
PLACE: Final = re.compile(r"%\((\w+)\)[a-z]")
HEADER: Final = """\
# SPDX-License-Identifier: Apache-2.0
# Traditional Chinese for readers in Taiwan: written, not translated word for word.
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"""


def main(arguments: list[str]) -> int:
    rooms = [folder.name for folder in sorted(HOUSE.iterdir()) if (folder / "__init__.py").is_file()]
    known, faults = translations()
    if arguments[:1] == ["--write"]:
        for room in arguments[1:] or rooms:
            add_missing(room, known)
        return 0
    said = {first(message): message for room in rooms for message in messages(sentences(room))}
    faults += [fault for room in rooms for fault in faults_of(room, known)]
    faults += [
        f"{place}: nobody says this any more: {key!r}" for key, (place, _) in known.items() if key not in said
    ]
    print("\n".join(faults) if faults else "Every sentence of the pages is there in both languages.")
    return 1 if faults else 0


def sentences(room: str) -> Catalog:
    """What the room's code and templates say."""
    found = Catalog(locale="zh_Hant")
    folder = HOUSE / room
    for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.html")]):
        python = path.suffix == ".py"
        method = "python" if python else "jinja2.ext:babel_extract"
        for line, message, _comments, _context in extract_from_file(
            method, str(path), keywords=KEYWORDS, options={} if python else OPTIONS
        ):
            found.add(message, locations=[(path.relative_to(HOUSE).as_posix(), line)])
    return found


def translations() -> tuple[dict[str, tuple[str, Message]], list[str]]:
    """Every translated sentence with its catalog, and where two catalogs disagree."""
    known: dict[str, tuple[str, Message]] = {}
    faults: list[str] = []
    for path in sorted(HOUSE.glob(f"**/{CATALOGS}/*.po")):
        place = path.relative_to(ROOT).as_posix()
        with path.open("rb") as lines:
            catalog = read_po(lines, locale="zh_Hant", abort_invalid=True)
        for message in messages(catalog):
            if not all(forms(message)):
                continue
            other, same = known.setdefault(first(message), (place, message))
            if forms(same) != forms(message):
                faults.append(f"{place} and {other} translate this differently: {first(message)!r}")
    return known, faults


def faults_of(room: str, known: dict[str, tuple[str, Message]]) -> Iterator[str]:
    for message in messages(sentences(room)):
        where = "src/koinon/{}:{}".format(*message.locations[0])
        found = known.get(first(message))
        if found is None or found[1].fuzzy:
            yield f"{where}: not translated: {first(message)!r}"
            continue
        wanted = set(PLACE.findall(" ".join(ids(message)))) - {"num"}
        for text in forms(found[1]):
            if set(PLACE.findall(text)) - {"num"} != wanted:
                yield f"{where}: other names are filled in: {text!r}"


def add_missing(room: str, known: dict[str, tuple[str, Message]]) -> None:
    path = HOUSE / room / CATALOGS / "messages.po"
    before = path.read_text(encoding="utf-8") if path.exists() else HEADER
    waiting = Catalog(locale="zh_Hant")
    if path.exists():
        with path.open("rb") as lines:
            waiting = read_po(lines, locale="zh_Hant", abort_invalid=True)
    missing = Catalog(locale="zh_Hant")
    for message in messages(sentences(room)):
        if first(message) not in known and waiting.get(message.id) is None:
            missing.add(message.id, locations=message.locations[:1])
    if not any(messages(missing)):
        return
    added = BytesIO()
    write_po(added, missing, width=110, omit_header=True, include_lineno=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        before.rstrip("\n") + "\n\n" + added.getvalue().decode().strip("\n") + "\n", encoding="utf-8"
    )


def messages(catalog: Catalog) -> Iterator[Message]:
    return (message for message in catalog if message.id)


def ids(message: Message) -> list[str]:
    return [message.id] if isinstance(message.id, str) else list(message.id)


def first(message: Message) -> str:
    return ids(message)[0]


def forms(message: Message) -> list[str]:
    words = message.string
    return [words] if isinstance(words, str) else [str(text) for text in words or [""]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
