# SPDX-License-Identifier: Apache-2.0
"""Monitors on a chain that goes on: each look feeds the blocks that were confirmed since the last."""

from __future__ import annotations

from typing import Protocol

from koinon.markets.history.history import History
from koinon.watch.monitors.keeping import AlertBook
from koinon.watch.monitors.monitoring import Monitoring
from koinon.watch.monitors.sightings import Sighting


class Chain(Protocol):
    """What is followed; `koinon.markets.history.shadow.Shadow` is one."""

    def sync(self) -> int: ...

    def confirmed(self) -> int: ...

    def history(self, *, unconfirmed: bool = False, since: int = 0) -> History: ...


class Follower:
    """Feeds confirmed blocks only, so that no reorganisation takes back what monitors have seen.

    The first look reads all that is known, so that monitors know what they knew before a restart; of it only
    what the book has not is new.

    Parameters
    ----------
    name : str
        Of the chain, in the book; another chain has another name.
    """

    def __init__(self, chain: Chain, name: str, monitoring: Monitoring, book: AlertBook) -> None:
        self._chain, self._name, self._monitoring, self._book = chain, name, monitoring, book
        self.through = -1
        """The last block that was looked at."""

    def look(self) -> list[Sighting]:
        """Catch up; the alerts that are new, which are kept and told.

        Raises
        ------
        NodeUnavailable
            The node does not answer; look again later.
        """
        self._chain.sync()
        known, through = self._book.looked_through(self._name), self._chain.confirmed()
        history = self._chain.history(since=self.through + 1)
        alerts = self._monitoring.feed(row for row in history.rows if row.block_number <= through)
        self._book.keep(alerts, self._name, through)
        self.through = max(self.through, through)
        return [each for each in alerts if each.block_number > known]
