# SPDX-License-Identifier: Apache-2.0
"""What the model is shown of each transfer: what was known when it happened, and nothing about who is new.

An account's age and the origin of its money are left out on purpose: both would teach a model that the new
and the small are suspicious. They are used only to measure whom it wrongs (`groups`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.watch.graph.edges import Edges
from koinon.watch.graph.windows import DAY_S, column_names, window_features
from koinon.watch.laundering.rules import Rules
from koinon.watch.laundering.typologies import COLUMNS, Patterns, look

AMOUNT_ONLY: Final = ("amount", "hour")
RATIOS: Final = ("part_of_payers_day", "sent_of_received", "times_payers_mean")
SHARES: Final = (0.6, 0.2, 0.2)


def names() -> tuple[str, ...]:
    """The columns, in order."""
    return (*AMOUNT_ONLY, *column_names(), *RATIOS, *(f"pattern_{each}" for each in COLUMNS))


@dataclass(frozen=True)
class Table:
    """Transfers with what was known of each.

    Parameters
    ----------
    edges : Edges
    features : float32[n, columns]
    completed : float32[n, patterns]
        What each completes, as `typologies.COLUMNS`; nothing where it is dust.
    patterns : Patterns
        What the rules saw in the same transfers.
    known_at : int64[n], optional
        Unix seconds when each label was known; at once, without it.
    """

    edges: Edges
    features: NDArray[np.float32]
    completed: NDArray[np.float32]
    patterns: Patterns
    known_at: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, edges: Edges, rules: Rules | None = None, known_at: NDArray[np.int64] | None = None) -> Self:
        """Compute the columns; errors as `typologies.look`."""
        patterns = look(edges, rules)
        windows = patterns.spread(window_features(patterns.edges), len(edges))
        place = {name: at for at, name in enumerate(column_names())}
        hour = (edges.timestamp % DAY_S / 3_600).astype(np.float32)
        sent = windows[:, place["source_out_sum_1d"]]
        came = windows[:, place["source_in_sum_1d"]]
        number = windows[:, place["source_out_count_7d"]]
        week = windows[:, place["source_out_sum_7d"]]
        amount = edges.amount.astype(np.float32)
        ratios = (_part(amount, sent), _part(sent, came), _part(amount * number, week))
        columns = np.stack([amount, hour], axis=1)
        completed = patterns.spread(patterns.columns, len(edges))
        return cls(
            edges,
            np.concatenate([columns, windows, np.stack(ratios, axis=1), completed], axis=1),
            completed,
            patterns,
            known_at,
        )

    def chosen(self, columns: Sequence[str]) -> NDArray[np.float32]:
        """Some of the columns."""
        known = names()
        return self.features[:, [known.index(each) for each in columns]]


@dataclass(frozen=True)
class Split:
    """Rows in the order of time: the earliest to learn from, then to choose by, then to measure on.

    ``purged`` rows stand in the first two, but their pattern goes on in a later part, or their label was not
    known yet when that began: they are not used.
    """

    learn: slice
    choose: slice
    measure: slice
    purged: NDArray[np.int64]

    @property
    def learning(self) -> NDArray[np.int64]:
        """The rows to learn from."""
        return np.setdiff1d(np.arange(self.learn.start, self.learn.stop), self.purged, assume_unique=True)

    @property
    def choosing(self) -> NDArray[np.int64]:
        """The rows to choose by."""
        return np.setdiff1d(np.arange(self.choose.start, self.choose.stop), self.purged, assume_unique=True)


def split_by_time(
    edges: Edges,
    shares: Sequence[float] = SHARES,
    *,
    patterns: NDArray[np.int32] | None = None,
    known_at: NDArray[np.int64] | None = None,
) -> Split:
    """Cut at moments, never within one: every row to measure on is later than every row before it.

    There is no other way to split: a random one would show the model the other half of each pattern.

    Parameters
    ----------
    patterns : int32[n], optional
        Which pattern each row belongs to (-1: none). One that a cut divides is purged from before the cut.
    known_at : int64[n], optional
        Unix seconds when each label was known. One that was not when the measured part began is purged.

    Raises
    ------
    BadInput
        The shares are not three that make 1, or a part would be empty.
    """
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise BadInput("A split has three shares that make 1.", code="watch.split")
    first = _cut(edges, shares[0])
    second = _cut(edges, shares[0] + shares[1])
    if not 0 < first < second < len(edges):
        raise BadInput(
            "There are too few moments to learn from, choose by and measure on.",
            hint="Give transfers of more days.",
            code="watch.split",
        )
    purged = np.zeros(0, dtype=np.int64)
    if patterns is not None:
        ends = np.full(int(patterns.max(initial=-1)) + 1, -1, dtype=np.int64)
        known = np.flatnonzero(patterns >= 0)
        np.maximum.at(ends, patterns[known], known)
        last = ends[patterns[known]]
        purged = known[((known < first) & (last >= first)) | ((known < second) & (last >= second))]
    if known_at is not None:
        late = np.flatnonzero(known_at[:second] > edges.timestamp[second])
        purged = np.union1d(purged, late)
    return Split(slice(0, first), slice(first, second), slice(second, len(edges)), purged)


def _cut(edges: Edges, share: float) -> int:
    at = min(int(len(edges) * share), len(edges) - 1)
    return int(np.searchsorted(edges.timestamp, edges.timestamp[at], side="left")) if len(edges) else 0


def _part(one: NDArray[np.float32], whole: NDArray[np.float32]) -> NDArray[np.float32]:
    found = np.divide(one, whole, out=np.zeros_like(one), where=whole > 0)
    return np.minimum(found, np.float32(1e6)).astype(np.float32)
