# SPDX-License-Identifier: Apache-2.0
"""What gateways say of what they sell: price, inputs, speed. Asked a few at a time, and remembered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, Literal

from koinon.errors import KoinonError, NotFound, PeerError
from koinon.services.buying.description import Description, describe
from koinon.services.buying.reach import asking, place_of
from koinon.services.selling.announcement import read_announcement
from koinon.works.api import Works
from koinon.works.directory import Notebook
from koinon.works.family import Index

State = Literal["open", "away", "unsold"]

FRESH_S: Final = 600
"""How long an answer is good, in seconds."""

A_CALL: Final = "call"
"""The unit of a price that is asked for each call."""

AT_ONCE: Final = 8
PATIENCE_S: Final = 1.0
"""How long a search waits for gateways, in seconds; what is left is asked by the next one."""

OVERLAP_S: Final = 10
_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS service_offer (work_id BIGINT PRIMARY KEY, state TEXT NOT NULL,"
    " price TEXT NOT NULL, claimed_p50_ms DOUBLE PRECISION, claimed_p95_ms DOUBLE PRECISION,"
    " looked_at BIGINT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS service_offer_at ON service_offer (looked_at)",
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A service as its gateway last told it.

    ``state`` ``"open"``, ``"away"`` (the gateway did not answer) or ``"unsold"`` (nobody sells it by the
    call); ``price`` of a call in the coin's smallest unit, None where it never said; ``claimed_p50_ms`` and
    ``claimed_p95_ms`` how fast it says it is, None where it does not.
    """

    work_id: int
    state: State
    price: int | None
    claimed_p50_ms: float | None
    claimed_p95_ms: float | None
    looked_at: int


class PriceList:
    """Prices of all services, kept beside the index.

    Parameters
    ----------
    ground : Node
        Whose gateways are asked, and on whose behalf (see `reach`).
    index : Index
    notebook : Notebook
    clock : callable
        Unix seconds.
    """

    def __init__(
        self, ground: Any, index: Index, notebook: Notebook, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.ground, self.index, self.notebook, self._clock = ground, index, notebook, clock
        self.known: dict[int, Listed] = {}
        self._since = -1
        self._lock = Lock()
        notebook.keep([(statement, [()]) for statement in _TABLES])

    def all(self) -> Mapping[int, Listed]:
        """Everything that was ever told, by the Work's id."""
        self.news()
        return self.known

    def news(self) -> list[Listed]:
        """What was told since this was last asked, some of it again."""
        with self._lock:
            rows = self.index.rows("SELECT * FROM service_offer WHERE looked_at >= ?", (self._since,))
            told = [_listed(row) for row in rows]
            self.known |= {each.work_id: each for each in told}
            newest = max((each.looked_at for each in told), default=self._since)
            self._since = max(self._since, min(newest + 1, int(self._clock()) - OVERLAP_S))
            return told

    def look(self, work_ids: Iterable[int], *, within_s: float = PATIENCE_S) -> dict[int, Listed]:
        """Ask the gateways of these services that were not asked for a while; what they said in time."""
        known, now = self.all(), self._clock()
        stale = [
            work_id
            for work_id in dict.fromkeys(work_ids)
            if work_id not in known or now - known[work_id].looked_at > FRESH_S
        ]
        if not stale:
            return {}
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="koinon-offer")
        try:
            asked = [pool.submit(self._ask, work_id, known.get(work_id)) for work_id in stale]
            done, _ = wait(asked, timeout=within_s)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        offers = [answer.result() for answer in done]
        self._keep(offers)
        return {offer.work_id: offer for offer in offers}

    def told(self, work_id: int, found: Description) -> None:
        """A gateway was asked by somebody else: remember what it said."""
        self._keep([self._open(work_id, found)])

    def _ask(self, work_id: int, before: Listed | None) -> Listed:
        now = int(self._clock())
        try:
            place = place_of(self.ground, work_id)
            return self._open(work_id, describe(asking(self.ground, place, operator=False), place.url))
        except PeerError:
            return self._silent(work_id, before, now)
        except NotFound:
            return Listed(work_id, "unsold", None, None, None, now)
        except KoinonError:  # its file is malformed or forged, or the disk refuses
            return Listed(work_id, "away", None, None, None, now)

    def _silent(self, work_id: int, before: Listed | None, now: int) -> Listed:
        """Where a gateway does not answer: what the owner signed, or what it said before."""
        price = before.price if before is not None else None
        try:
            chain = self.ground.chain
            file = Works(chain, self.ground.store).registration_of(work_id).registration
            announced = read_announcement(file)
        except KoinonError:
            return Listed(work_id, "away", price, None, None, now)
        if not file.active:
            return Listed(work_id, "unsold", None, None, None, now)
        if announced is not None and announced.asset == chain.coin.address and announced.unit == A_CALL:
            price = announced.amount
        return Listed(work_id, "away", price, None, None, now)

    def _open(self, work_id: int, found: Description) -> Listed:
        claim = found.claimed_ms or (None, None)
        return Listed(work_id, "open", found.price, claim[0], claim[1], int(self._clock()))

    def _keep(self, offers: Sequence[Listed]) -> None:
        rows = [
            (
                offer.work_id,
                offer.state,
                "" if offer.price is None else str(offer.price),
                offer.claimed_p50_ms,
                offer.claimed_p95_ms,
                offer.looked_at,
            )
            for offer in offers
        ]
        self.notebook.keep(
            [
                ("DELETE FROM service_offer WHERE work_id = ?", [row[:1] for row in rows]),
                ("INSERT INTO service_offer VALUES (?, ?, ?, ?, ?, ?)", rows),
            ]
        )


def _listed(row: dict[str, Any]) -> Listed:
    return Listed(
        work_id=int(row["work_id"]),
        state=row["state"],
        price=int(row["price"]) if row["price"] else None,
        claimed_p50_ms=row["claimed_p50_ms"],
        claimed_p95_ms=row["claimed_p95_ms"],
        looked_at=int(row["looked_at"]),
    )
