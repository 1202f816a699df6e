# SPDX-License-Identifier: Apache-2.0
"""Who takes part in a run: the peers as the chain has them, and what their owners of data agreed to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from koinon.chain.eip712 import Domain
from koinon.errors import BadInput, IntegrityError
from koinon.learning.messages import Joining, payload_digest
from koinon.learning.recipe import Recipe
from koinon.learning.swarm.reports import read_report


@dataclass(frozen=True)
class Fellow:
    """A peer as it joined.

    Attributes
    ----------
    number : int
        Its place among all peers.
    member : int or None
        Its place among those who teach; None where it lends computing only.
    work_id : int
        Its dataset's Work; 0 for none.
    certificate : bytes
        What it shows on the wire, DER.
    """

    number: int
    account: str
    member: int | None
    work_id: int
    certificate: bytes
    url: str


@dataclass(frozen=True)
class Agreed:
    """What an owner signed when it joined, and the frame others can check."""

    joining: Joining
    frame: bytes


class Roster:
    """Fellows by account and by member, and their agreements. Safe to share between threads.

    Parameters
    ----------
    check : callable
        Raises where the contracts would not take what a joining brings.
    """

    def __init__(
        self,
        recipe: Recipe,
        run_id: int,
        domain: Domain,
        *,
        check: Callable[[Joining], None] = lambda _: None,
    ) -> None:
        self._recipe, self._run_id, self._domain, self._check = recipe, run_id, domain, check
        self._fellows: dict[str, Fellow] = {}
        self._agreed: dict[int, Agreed] = {}
        self._lock = threading.Lock()

    def add(self, fellows: Iterable[Fellow]) -> list[Fellow]:
        """Take in those who were not known; they, in order."""
        with self._lock:
            new = [one for one in fellows if one.account not in self._fellows]
            self._fellows.update((one.account, one) for one in new)
            return new

    def __len__(self) -> int:
        return len(self._fellows)

    @property
    def fellows(self) -> list[Fellow]:
        """Everyone, in joining order."""
        with self._lock:
            return sorted(self._fellows.values(), key=lambda one: one.number)

    @property
    def members(self) -> list[Fellow]:
        """Those who teach, in their order."""
        return [one for one in self.fellows if one.member is not None]

    def get(self, account: str) -> Fellow | None:
        """The peer of an account."""
        with self._lock:
            return self._fellows.get(account)

    def agree(self, frame: bytes) -> Agreed:
        """Take in what an owner signed; the first stays.

        Raises
        ------
        BadInput, IntegrityError
            Malformed, forged, of another run, recipe or Work, or nothing the contracts would take.
        """
        joining, payload = Joining.unpack(frame, self._domain)
        fellow = self.get(joining.owner)
        if fellow is None or fellow.member is None or fellow.work_id != joining.work_id:
            raise BadInput(f"{joining.owner} did not join with this Work.", code="learning.not_member")
        if joining.run_id != self._run_id or joining.recipe != self._recipe.digest:
            raise BadInput("This agreement is for another run or recipe.", code="learning.other_recipe")
        if payload or joining.statistics != payload_digest(b""):
            raise BadInput("In a swarm nobody sends statistics.", code="learning.statistics")
        if joining.examples < self._recipe.minimum_rows:
            raise BadInput(
                f"{joining.examples} rows are fewer than the recipe's {self._recipe.minimum_rows}.",
                code="learning.too_few_rows",
            )
        known = self.agreed(fellow.member)
        if known is not None and known.joining != joining:
            raise IntegrityError(
                f"{joining.owner} agreed to something else before.", code="swarm.agreed_twice"
            )
        if known is None:
            self._check(joining)
        with self._lock:
            return self._agreed.setdefault(fellow.member, Agreed(joining, frame))

    def agreed(self, member: int) -> Agreed | None:
        """What a member agreed to, where that is known here."""
        with self._lock:
            return self._agreed.get(member)

    def reporter(self, frame: bytes) -> str:
        """Who tells something of itself by this frame; errors as in `read_report`."""
        owner, _ = read_report(frame, self._recipe, self._run_id, self._domain)
        fellow = self.get(owner)
        if fellow is None or fellow.member is None:
            raise BadInput(f"{owner} teaches nothing in this run.", code="learning.not_member")
        return owner

    @property
    def missing(self) -> list[Fellow]:
        """Members whose agreement is not known here."""
        return [one for one in self.members if one.member is not None and self.agreed(one.member) is None]
