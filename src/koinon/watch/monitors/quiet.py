# SPDX-License-Identifier: Apache-2.0
"""What of the sightings is told: the same once per cool-down, and a storm as one alert."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from koinon.errors import BadInput
from koinon.watch.monitors.remembering import Recent, Window
from koinon.watch.monitors.sightings import NOW, Sighting

HOUR_S: Final = 3_600


@dataclass
class _Told:
    at: int
    level: int
    more: int = 0


class Quiet:
    """Decides by the chain's clock, so that a replay tells what was told live.

    Parameters
    ----------
    cool_down_s : int
        For how long the same monitor and subject are not told again, in seconds; what is more urgent than
        before is.
    storm : int
        After so many alerts of one monitor within ``storm_s`` one alert says that there is a storm; the rest
        of it is counted.
    storm_s : int
        Seconds.
    """

    def __init__(self, *, cool_down_s: int = 6 * HOUR_S, storm: int = 20, storm_s: int = HOUR_S) -> None:
        if cool_down_s < 0 or storm < 1 or storm_s < 1:
            raise BadInput("A cool-down is not negative, and a storm has one alert at least.")
        self._cool_down_s, self._storm, self._storm_s = cool_down_s, storm, storm_s
        self._told: Recent[str, _Told] = Recent(lambda: _Told(0, 0), 20_000)
        self._recent: Recent[str, Window[None]] = Recent(lambda: Window(storm_s, storm), 100)
        self._storms: dict[str, int] = {}
        self.held = 0
        """Sightings that were not told."""

    def pass_on(self, seen: Sighting) -> Sighting | None:
        """The alert; None where it is only counted."""
        known = self._told.get(seen.key)
        if known is not None and seen.level <= known.level and seen.timestamp - known.at < self._cool_down_s:
            known.more += 1
            self.held += 1
            return None
        recent = self._recent[seen.monitor]
        recent.forget(seen.timestamp)
        if len(recent) >= self._storm:
            return self._in_a_storm(seen)
        recent.add(seen.timestamp, None)
        self._told[seen.key] = _Told(seen.timestamp, seen.level)
        if known is not None and known.more:
            seen = replace(seen, why=f"{seen.why} Seen {known.more} times more since it was told last.")
        return seen

    def _in_a_storm(self, seen: Sighting) -> Sighting | None:
        self.held += 1
        since = self._storms.get(seen.monitor)
        if since is not None and seen.timestamp - since < self._storm_s:
            return None
        self._storms[seen.monitor] = seen.timestamp
        why = (
            f"A storm: {self._storm} alerts of {seen.monitor} within {self._storm_s} seconds, "
            f"and more that are not told one by one. The last: {seen.why}"
        )
        return replace(seen, subject="storm", level=NOW, why=why)
