# SPDX-License-Identifier: Apache-2.0
"""All monitors over a stream of rows: the same alerts whether it comes at once or block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from koinon.errors import BadInput
from koinon.markets.history.facts import Facts
from koinon.markets.history.rows import EventRow
from koinon.watch.monitors.approvals import Approvals
from koinon.watch.monitors.drains import Drains
from koinon.watch.monitors.flash import Flash
from koinon.watch.monitors.governance import Governance
from koinon.watch.monitors.minting import Minting
from koinon.watch.monitors.powers import Powers
from koinon.watch.monitors.prices import Prices
from koinon.watch.monitors.quiet import Quiet
from koinon.watch.monitors.sightings import Monitor, Sighting, transactions

DAY_S: Final = 86_400


def all_monitors(
    facts: Facts | None = None, *, trusted: Collection[str] = (), holders: Collection[str] = ()
) -> list[Monitor]:
    """One of each, with their usual parameters.

    Parameters
    ----------
    facts : Facts
        Decimals, without which feeds and pairs are not compared.
    trusted : collection of str
        Spenders that everybody may approve.
    holders : collection of str
        Addresses whose purses are watched although they log nothing themselves, such as a bridge.
    """
    return [
        Approvals(trusted=trusted),
        Prices(facts),
        Powers(),
        Drains(holders=holders),
        Flash(),
        Governance(),
        Minting(),
    ]


class Monitoring:
    """Gives every transaction to every monitor, and tells what `Quiet` lets through.

    Parameters
    ----------
    monitors : sequence of Monitor
    quiet : Quiet
    """

    def __init__(self, monitors: Sequence[Monitor], quiet: Quiet | None = None) -> None:
        self._monitors, self._quiet = list(monitors), quiet or Quiet()
        self.transactions = self.rows = 0
        self.first_at = self.last_at = 0
        self.through = -1
        """The last block that was seen."""

        self.told: Counter[str] = Counter()
        """Monitor → alerts."""

    @property
    def held(self) -> int:
        """Sightings that were counted and not told."""
        return self._quiet.held

    @property
    def days(self) -> float:
        """From the first row to the last."""
        return (self.last_at - self.first_at) / DAY_S

    def feed(self, rows: Iterable[EventRow]) -> list[Sighting]:
        """The alerts of more rows: whole blocks, in the chain's order, none of them seen before.

        Raises
        ------
        BadInput
            A row is of a block that was seen already, or stands before the one before it
            (``watch.monitor_order``).
        """
        found: list[Sighting] = []
        last = self.through
        place = (-1, -1, -1)
        kept = list(rows)
        for row in kept:
            if row.block_number <= last or row.place < place:
                raise BadInput(
                    f"A row of block {row.block_number} comes too late for the monitors.",
                    hint="Give whole blocks, in the chain's order, each once.",
                    code="watch.monitor_order",
                )
            place = row.place
        for seen in transactions(kept):
            if not self.transactions:
                self.first_at = seen.timestamp
            self.transactions += 1
            self.rows += len(seen.rows)
            self.last_at, self.through = seen.timestamp, seen.block_number
            for monitor in self._monitors:
                for sighting in monitor.see(seen):
                    told = self._quiet.pass_on(sighting)
                    if told is not None:
                        self.told[told.monitor] += 1
                        found.append(told)
        return found

    def document(self) -> Mapping[str, Any]:
        """What was looked at, and how many alerts came of it."""
        return {
            "transactions": self.transactions,
            "rows": self.rows,
            "days": round(self.days, 3),
            "alerts": dict(sorted(self.told.items())),
            "held": self.held,
            "alerts_per_day": round(self.told.total() / self.days, 3) if self.days > 0 else None,
        }
