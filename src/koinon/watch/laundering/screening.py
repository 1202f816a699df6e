# SPDX-License-Identifier: Apache-2.0
"""Screening: whether an address or a domain is on a list, or made to be taken for one that is known.

Address poisoning: somebody makes an address whose first and last digits are those of one you deal with, pays
you nothing, and waits for you to copy it from your history. `Screen` therefore knows, beside lists, the
addresses that are yours to deal with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from koinon.errors import BadInput
from koinon.watch.findings import Finding
from koinon.watch.graph.edges import Edges
from koinon.watch.laundering.lists import ADDRESS, NamedList

ENDS: Final = 4
"""Hexadecimal digits at each end by which people tell addresses apart (wallets show as many)."""


@dataclass(frozen=True)
class Hit:
    """What one address or domain is.

    ``how``: ``listed``; ``looks_like_listed`` or ``looks_like_known`` (ends as ``like`` does);
    ``under_listed`` (a domain below a listed one); ``imitates`` (a domain some letters off ``like``).
    """

    subject: str
    how: str
    like: str
    note: str
    on: dict[str, Any]

    @property
    def certain(self) -> bool:
        """Whether it is on the list itself."""
        return self.how in ("listed", "under_listed")

    def document(self) -> dict[str, Any]:
        """The hit as JSON."""
        return {
            "subject": self.subject,
            "how": self.how,
            "like": self.like,
            "note": self.note,
            "certain": self.certain,
            "list": self.on,
        }


class Screen:
    """Lists to look things up in.

    Parameters
    ----------
    lists : sequence of NamedList
    known : iterable of str
        Addresses one deals with; what ends as they do and is another looks like them.
    """

    def __init__(self, lists: Sequence[NamedList], known: Iterable[str] = ()) -> None:
        self.lists = tuple(lists)
        self._known = {address_of(each) for each in known}
        self._ends: dict[str, list[tuple[str, NamedList | None]]] = {}
        for address in sorted(self._known):
            self._ends.setdefault(_ends(address), []).append((address, None))
        for each in self.lists:
            for address in each.addresses:
                self._ends.setdefault(_ends(address), []).append((address, each))

    def look_up(self, subject: str) -> list[Hit]:
        """Every hit of an address or a domain, the certain ones first; BadInput (``watch.subject``) where it
        is neither."""
        text = subject.strip()
        if ADDRESS.fullmatch(text):
            return self._address(text.lower())
        if "." in text and " " not in text and not text.startswith("0x"):
            return self._domain(text.lower().removeprefix("https://").split("/")[0].rstrip("."))
        raise BadInput(f"{text[:60]!r} is neither an address nor a domain.", code="watch.subject")

    def findings(self, edges: Edges) -> list[Finding]:
        """Who in a table of transfers is on a list or looks like somebody, with their transfers."""
        found = []
        for account, name in enumerate(edges.names):
            if not ADDRESS.fullmatch(name):
                continue
            for hit in self._address(name.lower()):
                rows = ((edges.source == account) | (edges.target == account)).nonzero()[0]
                if not rows.size:
                    continue
                found.append(
                    Finding.of_rows(
                        edges,
                        "listed" if hit.certain else "lookalike",
                        rows.tolist(),
                        why=told(hit),
                        strength=1.0 if hit.certain else 0.5,
                        about=[account],
                    )
                )
        return found

    def _address(self, address: str) -> list[Hit]:
        hits = [
            Hit(address, "listed", address, each.addresses[address], each.provenance())
            for each in self.lists
            if address in each.addresses
        ]
        if hits or address in self._known:
            return hits
        own = {"name": "known", "kind": "own", "source": "addresses you deal with", "as_of": "", "sha256": ""}
        for other, each in self._ends.get(_ends(address), ()):
            how = "looks_like_known" if each is None else "looks_like_listed"
            note = "" if each is None else each.addresses[other]
            hits.append(Hit(address, how, other, note, own if each is None else each.provenance()))
        return hits

    def _domain(self, domain: str) -> list[Hit]:
        parents = [domain]
        while "." in parents[-1]:
            parents.append(parents[-1].split(".", 1)[1])
        parents = parents[:-1]
        hits = []
        for each in self.lists:
            if any(parent in each.allowed for parent in parents):
                continue
            listed = next((parent for parent in parents if parent in each.domains), None)
            if listed is not None:
                how = "listed" if listed == domain else "under_listed"
                hits.append(Hit(domain, how, listed, "", each.provenance()))
                continue
            for other in sorted(each.imitated):
                if domain != other and _distance(domain, other, each.tolerance) <= each.tolerance:
                    hits.append(Hit(domain, "imitates", other, "", each.provenance()))
        return hits


def told(hit: Hit) -> str:
    """A hit in one sentence."""
    on = f"{hit.on['name']}{' of ' + hit.on['as_of'] if hit.on['as_of'] else ''}"
    return {
        "listed": f"It is on the list {on}.",
        "under_listed": f"It is below {hit.like}, which is on the list {on}.",
        "looks_like_listed": f"It begins and ends as {hit.like}, which is on the list {on}.",
        "looks_like_known": f"It begins and ends as {hit.like}, which you deal with, and is another.",
        "imitates": f"It is a few letters from {hit.like}, which others imitate (list {on}).",
    }[hit.how]


def address_of(text: str) -> str:
    """An address in lower case; BadInput (``watch.subject``) where it is none."""
    if not ADDRESS.fullmatch(text.strip()):
        raise BadInput(f"{text[:60]!r} is no address.", code="watch.subject")
    return text.strip().lower()


def _ends(address: str) -> str:
    return address[2 : 2 + ENDS] + address[-ENDS:]


def _distance(one: str, other: str, most: int) -> int:
    """Letters to change, add or leave out (Levenshtein 1966); more than ``most`` is not counted further."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, start=1):
        corner, row[0] = row[0], at
        for place, against in enumerate(other, start=1):
            corner, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, corner + (letter != against)),
            )
        if min(row) > most:
            return most + 1
    return row[-1]
