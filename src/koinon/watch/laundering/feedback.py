# SPDX-License-Identifier: Apache-2.0
"""Learning from decisions, guarded against whoever would teach the watch to look away.

Three guards. Decisions change labels of the earlier parts of the time only; the later part, on which models
are compared, keeps the labels it had. No one person's decisions weigh more than a part of all. And a new
model takes the champion's place only where it is not worse on the later part, by a margin and with doubt
counted against it: the lower end of the difference must lie above the margin. The more often the same later
part was looked at, the wider that interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.estimates import Estimate
from koinon.watch.laundering.clusters import clusters
from koinon.watch.laundering.measuring import Labels, average_precision, bootstrapped, difference
from koinon.watch.laundering.model import Model, learn
from koinon.watch.laundering.table import Table

MARGIN: Final = 0.02
MOST_OF_ONE: Final = 0.5
WEIGHT: Final = 3.0


@dataclass(frozen=True)
class Retrained:
    """What came of it.

    Parameters
    ----------
    model : Model
        The one to use: the new one where it was accepted, else the champion.
    accepted : bool
    why : str
        One sentence.
    new, champion : Estimate
        Average precision of both on the later part, with intervals.
    gained : Estimate
        The new one's average precision less the champion's, over draws of whole patterns; the interval holds
        95 %, and more where the later part was looked at before.
    used, outvoted : int
        Decided transfers that were learned from; those that count less because one person decided too many.
    looks : int
        How often the later part was measured on, with this time.
    """

    model: Model
    accepted: bool
    why: str
    new: Estimate
    champion: Estimate
    gained: Estimate
    used: int
    outvoted: int
    looks: int

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "accepted": self.accepted,
            "why": self.why,
            "new": self.new.to_dict(4),
            "champion": self.champion.to_dict(4),
            "gained": self.gained.to_dict(4),
            "looks": self.looks,
            "decided_transfers": self.used,
            "counting_less": self.outvoted,
            "model": self.model.digest,
        }


def retrain(
    table: Table,
    illicit: Labels,
    decided: Iterable[tuple[Mapping[str, Any], bool, str]],
    champion: Model,
    *,
    patterns: NDArray[np.int32] | None = None,
    looks: int = 1,
    margin: float = MARGIN,
    draws: int = 100,
    seed: int = 0,
) -> Retrained:
    """Learn again with what was decided (`CaseStore.decided`), and see whether it may take over.

    Parameters
    ----------
    illicit : bool[n]
        Labels that do not come from decisions, such as those of a list or a simulation.
    patterns : int32[n], optional
        Which pattern each transfer belongs to (-1: none); `clusters` by default.
    looks : int
        How often the later part was measured on, with this time (`heldout.HeldOut`).
    """
    labels, weights, used, outvoted = with_decisions(table, illicit, decided)
    owner = clusters(table.edges, illicit) if patterns is None else patterns
    new, split = learn(table, labels, budget=champion.budget, weights=weights, patterns=owner, seed=seed)
    later, truth = split.measure, illicit[split.measure]
    fresh, old = (model.scores(table)[later] for model in (new, champion))
    one, other = (
        bootstrapped(average_precision, truth, each, owner[later], draws=draws, seed=seed)
        for each in (fresh, old)
    )
    gained = difference(
        average_precision, truth, fresh, old, owner[later], doubt=0.05 / looks, draws=draws, seed=seed
    )
    accepted = gained.low > -margin
    word = "is not worse" if accepted else "is worse, or that cannot be ruled out"
    why = (
        f"On later transfers the new model {word}: average precision {one.value:.3f}, was {other.value:.3f}; "
        f"it gains {gained.value:+.3f} ({gained.low:+.3f} to {gained.high:+.3f}), and may lose {margin}. "
        f"These later transfers were measured on {looks} time{'s' if looks > 1 else ''}."
    )
    return Retrained(new if accepted else champion, accepted, why, one, other, gained, used, outvoted, looks)


def with_decisions(
    table: Table, illicit: Labels, decided: Iterable[tuple[Mapping[str, Any], bool, str]]
) -> tuple[Labels, NDArray[np.float64], int, int]:
    """Labels and weights with decisions in them; how many transfers were decided, and how many of those
    count less. Where two people disagree of a transfer, nobody is believed."""
    edges = table.edges
    place = {
        (edges.name(int(source)), edges.name(int(target)), int(moment), float(amount)): row
        for row, (source, target, moment, amount) in enumerate(
            zip(
                edges.source.tolist(),
                edges.target.tolist(),
                edges.timestamp.tolist(),
                edges.amount.tolist(),
                strict=True,
            )
        )
    }
    said: dict[int, dict[str, bool]] = {}
    for edge, bad, who in decided:
        row = place.get((edge["source"], edge["target"], int(edge["timestamp"]), float(edge["amount"])))
        if row is not None:
            said.setdefault(row, {})[who] = bad
    agreed = {row: votes for row, votes in said.items() if len(set(votes.values())) == 1}
    labels, weights = illicit.copy(), np.ones(len(edges))
    by: dict[str, list[int]] = {}
    for row, votes in agreed.items():
        labels[row] = next(iter(votes.values()))
        weights[row] = WEIGHT
        by.setdefault(next(iter(votes)), []).append(row)
    outvoted = 0
    for rows in by.values():
        most = MOST_OF_ONE * len(agreed)
        if len(by) > 1 and len(rows) > most:
            weights[rows] = WEIGHT * most / len(rows)
            outvoted += len(rows)
    return labels, weights, len(agreed), outvoted
