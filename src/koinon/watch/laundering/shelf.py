# SPDX-License-Identifier: Apache-2.0
"""The lists a node screens against: copies of what the user gave, with source and day."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.errors import BadInput, IntegrityError
from koinon.watch.laundering.lists import OFAC_MEMBER, NamedList, read_ofac, read_own, read_phishing

READERS: Final[Mapping[str, Callable[[Path], NamedList]]] = {
    "ofac": read_ofac,
    "phishing": read_phishing,
    "own": read_own,
}


@dataclass(frozen=True)
class Shelved:
    """A list and when it was put here, in Unix seconds."""

    listed: NamedList
    added_at: int

    def document(self) -> dict[str, Any]:
        """Provenance as JSON."""
        return {**self.listed.provenance(), "added_at": self.added_at}


class ListShelf:
    """A folder with one file a list and what is known of it beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, path: Path, kind: str, *, now: int, as_of: str = "") -> Shelved:
        """Copy a list here; one of the same name is replaced.

        Parameters
        ----------
        kind : str
            ``ofac`` (the wheel that packs it, or a text file), ``phishing`` (npm's package or its
            ``config.json``) or ``own``.

        Raises BadInput (``watch.list``) where it is not that.
        """
        if kind not in READERS:
            raise BadInput(f"A list is of the kind {', '.join(READERS)}.", code="watch.list")
        found = READERS[kind](path)
        found = replace(found, as_of=as_of or found.as_of)
        self.folder.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                content = wheel.read(OFAC_MEMBER)
        else:
            content = (path / "src" / "config.json" if path.is_dir() else path).read_bytes()
        name = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in found.name)
        told = {**found.provenance(), "reader": kind, "added_at": now}
        (self.folder / f"{name}.list").write_bytes(content)
        (self.folder / f"{name}.json").write_bytes(orjson.dumps(told))
        return Shelved(found, now)

    def all(self) -> list[Shelved]:
        """Every list, by name; IntegrityError (``watch.list_changed``) where a file is not what was added."""
        found = []
        for about in sorted(self.folder.glob("*.json")):
            told = orjson.loads(about.read_bytes())
            try:
                listed = READERS[told["reader"]](about.with_suffix(".list"))
            except BadInput as fault:
                raise _changed(told["name"]) from fault
            if listed.sha256 != told["sha256"]:
                raise _changed(told["name"])
            listed = replace(listed, name=told["name"], source=told["source"], as_of=told["as_of"])
            found.append(Shelved(listed, int(told["added_at"])))
        return found


def _changed(name: str) -> IntegrityError:
    return IntegrityError(
        f"The list {name} is not the one that was added.", hint="Add it again.", code="watch.list_changed"
    )
