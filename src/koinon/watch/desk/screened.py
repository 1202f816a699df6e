# SPDX-License-Identifier: Apache-2.0
"""Which accounts of a case are on a list, with the list's source and day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from koinon.errors import KoinonError
from koinon.watch.api import Watch
from koinon.watch.cases.record import Case
from koinon.watch.laundering.lists import ADDRESS
from koinon.watch.laundering.screening import Hit
from koinon.watch.laundering.shelf import Shelved

MOST: Final = 500


@dataclass(frozen=True)
class Screened:
    """``lists`` that were looked at, ``hits`` in them, how many of the case's accounts were ``asked`` for;
    ``fault`` says in a sentence why a list cannot be used."""

    lists: Sequence[Shelved]
    hits: Sequence[tuple[str, Hit]]
    asked: int
    fault: str = ""


def screened(watch: Watch, case: Case) -> Screened:
    """The lists as they are today; nothing is raised, for a case is looked at without lists too."""
    try:
        lists = watch.lists.all()
    except KoinonError as fault:
        return Screened((), (), 0, f"{fault.message} {fault.hint}".strip())
    accounts = [each for each in case.accounts if ADDRESS.fullmatch(each)][:MOST]
    if not lists:
        return Screened((), (), len(accounts))
    found = watch.screen(accounts)
    return Screened(lists, [(name, hit) for name, hits in found for hit in hits], len(accounts))
