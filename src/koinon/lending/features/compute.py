# SPDX-License-Identifier: Apache-2.0
"""``features(history, subject, as_of_block)``, and the same for many pairs at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from koinon.lending.features.catalogue import FEATURES, NAMES, Floats, Integers, to_integers
from koinon.lending.features.graph import graph_features
from koinon.lending.features.lending import lending_features
from koinon.lending.features.market import market_features
from koinon.lending.features.point_in_time import Options, Queries, World
from koinon.lending.features.positions import find_legs, value_positions
from koinon.lending.features.wallet import Flows, wallet_features
from koinon.markets.history.history import History

Anchor = tuple[int, str]


@dataclass(frozen=True)
class FeatureVector:
    """One subject at the end of one block.

    ``values`` by name, NaN where there is nothing to tell; ``anchor`` the newest block of known hash that
    went in, and its hash: `History.check_anchor` refuses the vector once that block is gone.
    """

    subject: str
    as_of_block: int
    anchor: Anchor
    values: dict[str, float]

    def integers(self) -> Integers:
        """What a `ScorecardTable` reads, in the catalogue's order."""
        return to_integers(np.array([[self.values[name] for name in NAMES]])).reshape(-1)


@dataclass(frozen=True)
class FeatureTable:
    """``values`` float64 (pairs, features), in the order of the pairs asked for and of the catalogue."""

    subjects: Sequence[str]
    blocks: Sequence[int]
    anchors: Sequence[Anchor]
    values: Floats

    @property
    def names(self) -> tuple[str, ...]:
        return NAMES

    def __len__(self) -> int:
        return len(self.subjects)

    def integers(self) -> Integers:
        """What a `ScorecardTable` reads; `MISSING` where there is nothing to tell."""
        return to_integers(self.values)

    def column(self, name: str) -> Floats:
        """One feature of every pair."""
        return np.asarray(self.values[:, NAMES.index(name)])


def feature_table(
    history: History, subjects: Sequence[str], blocks: Sequence[int], options: Options | None = None
) -> FeatureTable:
    """Features of many (subject, block) pairs.

    Each pair's features depend on nothing after the end of its block: rows added later change no bit of them.

    Raises
    ------
    BadInput
        There are not as many blocks as subjects.
    """
    queries = Queries.of(history, subjects, blocks)
    if not len(queries):
        return FeatureTable([], [], [], np.empty((0, len(FEATURES))))
    world = World.of(history, options)
    positions = value_positions(world, queries, find_legs(world))
    flows = Flows(world)
    columns = {
        **lending_features(world, queries, positions),
        **market_features(world, queries, positions),
        **wallet_features(world, queries, flows),
        **graph_features(world, queries, flows),
    }
    values = np.stack([columns[name] for name in NAMES], axis=1)
    return FeatureTable(list(subjects), list(blocks), [history.anchor(block) for block in blocks], values)


def features(
    history: History, subject: str, as_of_block: int, options: Options | None = None
) -> FeatureVector:
    """Features of one subject at the end of one block."""
    table = feature_table(history.as_of(as_of_block), [subject], [as_of_block], options)
    return FeatureVector(
        subject, as_of_block, table.anchors[0], dict(zip(NAMES, table.values[0].tolist(), strict=True))
    )
