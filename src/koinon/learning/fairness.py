# SPDX-License-Identifier: Apache-2.0
"""What a recipe declares of fairness: which groups are compared, what owners find out, and who tells what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.learning import metrics
from koinon.learning.metrics import Scores
from koinon.tables import Table

TELLINGS: Final = ("nothing", "gain", "scores")
MOST_GROUPS: Final = 12


@dataclass(frozen=True)
class Fairness:
    """What is measured of groups and of owners, and who tells it; ``[fairness]`` in a recipe's file.

    Attributes
    ----------
    group : str
        The column whose groups are compared on the held-out rows; none when empty.
    edges, names : tuple
        Where a group ends and the next begins (the number itself belongs to the next), and what the groups
        are called, one more than there are edges. A column of 1 and 2 has the edge 2.
    favourable : int
        The class that people want to be given.
    selected : float
        For two classes, the part of all rows that is given it, those with the best scores; 0 gives each row
        its likeliest class.
    own_rows : float
        The part of its rows, up to a half, that every owner keeps from teaching, to find out on them whether
        it gains by joining.
    told : str
        What owners tell of that: ``"nothing"`` (each finds out for itself alone), ``"gain"`` (only the
        difference, in hundredths), ``"scores"`` (by round, with intervals).
    populations : bool
        Whether owners also tell how their labels and columns are distributed, in twentieths.
    least : int
        Fewer rows than this are not measured.
    """

    group: str = ""
    edges: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    favourable: int = 0
    selected: float = 0.0
    own_rows: float = 0.0
    told: str = "nothing"
    populations: bool = False
    least: int = 20

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges", tuple(map(float, self.edges)))  # 2 and 2.0 are one recipe
        object.__setattr__(self, "selected", float(self.selected))
        object.__setattr__(self, "own_rows", float(self.own_rows))
        if self.group and not self.names:
            object.__setattr__(self, "names", _names(self.edges))

    def check(self, columns: Sequence[str], classes: int) -> None:
        """Refuse what does not fit a recipe's columns and classes (BadInput)."""
        ordered = all(low < high for low, high in pairwise(self.edges))
        problems = [
            (bool(self.group) and self.group not in columns, f"'{self.group}' is no column"),
            (bool(self.group) and not 1 <= len(self.edges) < MOST_GROUPS, f"2 to {MOST_GROUPS} groups"),
            (bool(self.group) and len(self.names) != len(self.edges) + 1, "every group needs one name"),
            (len(set(self.names)) != len(self.names), "groups need different names"),
            (not ordered or not all(map(math.isfinite, self.edges)), "edges must be numbers that rise"),
            (not 0 <= self.favourable < classes, f"there is no class {self.favourable}"),
            (not 0 <= self.selected < 1, "'selected' is a part, below 1"),
            (self.selected > 0 and classes != 2, "'selected' is for two classes"),
            (not 0 <= self.own_rows <= 0.5, "'own_rows' is at most a half"),
            (self.told not in TELLINGS, f"'told' is one of {', '.join(TELLINGS)}"),
            (self.told != "nothing" and not self.own_rows, "whoever tells needs own rows to measure on"),
            (self.least < 2, "'least' is at least 2"),
        ]
        for wrong, reason in problems:
            if wrong:
                raise BadInput(f"The recipe's fairness is not usable: {reason}.", code="learning.fairness")

    @property
    def asks_owners(self) -> bool:
        """Whether owners are to tell anything."""
        return self.told != "nothing" or self.populations

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Fairness:
        """From plain values; TypeError or ValueError when they are none of these."""
        found = dict(content)
        found["names"] = tuple(str(name) for name in found.get("names", ()))
        return cls(**found)

    def groups_of(self, table: Table) -> NDArray[np.int64]:
        """Each row's group, by its place in ``names``."""
        values = table.features[:, table.columns.index(self.group)].astype(np.float64)
        return np.searchsorted(np.array(self.edges), values, side="right").astype(np.int64)

    def chosen(self, probabilities: Scores) -> NDArray[np.bool_]:
        """Which rows are given the favourable class."""
        if not self.selected:
            return np.equal(metrics.likeliest(probabilities), self.favourable)
        wanted = probabilities if self.favourable == 1 else -probabilities
        best = np.argsort(-wanted, kind="stable")[: int(len(wanted) * self.selected)]
        chosen = np.zeros(len(wanted), dtype=np.bool_)
        chosen[best] = True
        return chosen


def _names(edges: Sequence[float]) -> tuple[str, ...]:
    if not edges:
        return ()
    between = [f"{low:g} to under {high:g}" for low, high in pairwise(edges)]
    return (f"under {edges[0]:g}", *between, f"{edges[-1]:g} and above")
