# SPDX-License-Identifier: Apache-2.0
"""The datasets that a node serves: those it was told to, or all that lie here, as they come and change."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from koinon.chain.handle import Chain
from koinon.data.budget import PrivacyBudget
from koinon.data.publishing import KeptDataset, check_kept, kept_dataset, kept_datasets
from koinon.errors import BadInput, IntegrityError, NotFound, SetupError
from koinon.process import Say

LOOK_EVERY_S: Final = 1.0
REASONS: Final = (BadInput, IntegrityError, NotFound, SetupError)
"""Not to serve a dataset; that the chain is out of reach is none."""


class Shelf:
    """Keeps up with a folder of datasets; `look` may be called again and again, from one thread.

    Parameters
    ----------
    chain : Chain
    operator : str
        The account that acts for the datasets.
    folder : Path
        One folder in it for each dataset.
    works : iterable of int
        The only ones to serve; all that are for sale without any.
    say : callable
        Told which datasets of the folder cannot be served, and why; once for each state they are in.
    """

    def __init__(
        self, chain: Chain, operator: str, folder: Path, works: Iterable[int] = (), say: Say = lambda _: None
    ) -> None:
        self.datasets: dict[int, KeptDataset] = {}
        self._chain, self._operator, self._folder, self._say = chain, operator, folder, say
        self._named = tuple(works)
        self._seen: dict[int, int] = {}
        for work_id in self._named:
            self._seen[work_id] = self._state(work_id)
            self.datasets[work_id] = self._served(work_id)

    def look(self) -> bool:
        """Take up what is new, or sold on other terms; whether anything is. `datasets` is a new mapping then.

        Raises what the chain raises where it is out of reach; nothing is taken up then.
        """
        there = self._named or kept_datasets(self._folder)
        states = {work_id: self._state(work_id) for work_id in there}
        if states == self._seen:
            return False
        found = {work_id: each for work_id, each in self.datasets.items() if work_id in states}
        for work_id, state in states.items():
            if state == self._seen.get(work_id):
                continue
            found.pop(work_id, None)
            try:
                found[work_id] = self._served(work_id)
            except REASONS as error:  # of one dataset; the others are served all the same
                event = {"event": "not served", "work_id": work_id, "code": error.code}
                self._say(event | {"title": error.message})
        self.datasets, self._seen = found, states
        return True

    def _served(self, work_id: int) -> KeptDataset:
        kept = kept_dataset(self._folder, work_id)
        check_kept(self._chain, kept)
        if not PrivacyBudget(self._chain).may_act(work_id, self._operator):
            raise SetupError(
                f"{self._operator} may not act for Work {work_id}.",
                hint="Its owner names this account first (PrivacyBudget.name_operator), or serves by itself.",
                code="data.not_operator",
            )
        if kept.policy.compute is None:
            raise BadInput(
                f"Work {work_id} sells no computing.", hint="See its policy file.", code="data.no_compute"
            )
        return kept

    def _state(self, work_id: int) -> int:
        """Another number whenever its terms were written anew; 0 where it is not here."""
        try:
            return (self._folder / str(work_id) / "policy.toml").stat().st_mtime_ns
        except OSError:
            return 0
