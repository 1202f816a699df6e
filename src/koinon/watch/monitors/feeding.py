# SPDX-License-Identifier: Apache-2.0
"""Monitors on the feed of the node's own index: what is confirmed is looked at once, what is undone again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from koinon.chain.index import EventIndex
from koinon.chain.index.feed import Cursor, FeedEvent
from koinon.errors import BadInput
from koinon.watch.monitors.keeping import AlertBook
from koinon.watch.monitors.monitoring import Monitoring
from koinon.watch.monitors.own_chain import OwnChain
from koinon.watch.monitors.sightings import Sighting

BATCH: Final = 5_000
"""Events that are looked at together, on whole blocks."""


class FeedFollower:
    """Gives monitors the events of the feed, block by block, once they have enough confirmations.

    The first look reads the feed from its beginning, so that monitors know what they knew before a restart;
    of it only what the book has not is told. Where a reorganisation takes back a block that was looked at,
    its alerts are taken out of the book, people are told so, and monitors begin again with the chain as it
    is.

    Parameters
    ----------
    index : EventIndex
    chain : OwnChain
    name : str
        Of the chain, in the book.
    make : callable
        New monitors that know nothing yet.
    book : AlertBook
    depth : int
        How many blocks must stand on one before it is looked at.
    """

    def __init__(  # noqa: PLR0917
        self,
        index: EventIndex,
        chain: OwnChain,
        name: str,
        make: Callable[[], Monitoring],
        book: AlertBook,
        depth: int = 0,
    ) -> None:
        if depth < 0:
            raise BadInput("The confirmation depth is not negative.", code="history.depth")
        self._index, self._chain, self._name, self._make = index, chain, name, make
        self._book, self._depth = book, depth
        self.monitoring = make()
        self._begin()
        self.undone = 0
        """How often blocks were taken back that had been looked at."""

    @property
    def name(self) -> str:
        """Of the chain, in the book."""
        return self._name

    def _begin(self) -> None:
        self.monitoring = self._make()
        self._cursor: str | None = None
        self._held: list[FeedEvent] = []
        self.through = -1
        """The last block that was looked at."""

    def look(self) -> list[Sighting]:
        """Read what the feed has; the alerts that are new, which are kept and told.

        Raises
        ------
        NodeUnavailable
            A contract that is new could not be asked what it is about; look again later.
        """
        known, found = self._book.looked_through(self._name), []
        readings = self._chain.readings()
        # the head before the feed: what comes in meanwhile is looked at the next time
        head = self._index.head()
        confirmed = -1 if head is None else head.number - self._depth
        for event in self._events(list(readings)):
            if event.kind == "undone":
                first = self._take_back(event)
                if first is not None:
                    return self._again(first)
                continue
            self._held.append(event)
            if len(self._held) >= BATCH and _block(event) > _block(self._held[0]):
                found += self._feed(min(confirmed, _block(event) - 1))
        found += self._feed(confirmed)
        return [each for each in found if each.block_number > known]

    def _events(self, tables: list[str]) -> Iterable[FeedEvent]:
        try:
            for event in self._index.feed(self._cursor, tables=tables, endless=False):
                self._cursor = event.cursor
                yield event
        except BadInput as fault:
            if fault.code not in ("index.cursor_unknown", "index.cursor"):
                raise
            self._begin()  # the index was made anew: what the book knows is not told twice

    def _feed(self, through: int) -> list[Sighting]:
        """Look at the events that are held up to a block, and keep what came of them."""
        ready = [event for event in self._held if _block(event) <= through]
        self._held = self._held[len(ready) :]
        if through <= self.through:
            return []
        rows = self._chain.rows(ready, self._chain.readings()) if ready else []
        alerts = self.monitoring.feed(rows)
        self._book.keep(alerts, self._name, through)
        self.through = through
        return alerts

    def _take_back(self, event: FeedEvent) -> int | None:
        """Forget events that are held and were undone; the first undone block that was looked at, if any."""
        gone = set(event.undone)
        self._held = [each for each in self._held if each.cursor not in gone]
        blocks = [Cursor.parse(each).number for each in event.undone]
        looked = [number for number in blocks if number <= self.through]
        return min(looked, default=None)

    def _again(self, first: int) -> list[Sighting]:
        self.undone += 1
        self._book.take_back(self._name, first)
        self._begin()
        return self.look()


def _block(event: FeedEvent) -> int:
    return int(event.row["block_number"])
