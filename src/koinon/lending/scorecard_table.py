# SPDX-License-Identifier: Apache-2.0
"""A points scorecard in whole numbers: the same points in Python, in ``Scorecard.vy`` and in a circuit.

A row of integers goes through one table look-up a feature and one sum. A feature's value falls into the
first bin whose upper edge is not below it (``value <= edge``), or into the last, open one; a missing value,
and where the feature says so a zero, has points of its own. More points are a better credit.

Packed (``encode``), every number big-endian, in 32-byte words, so that a contract reads a feature with one
copy:

====================  =====================================================================================
bytes 0-31            version (1), features (1), tier thresholds (1), 25 zeros, base points (int32)
bytes 32-63           digest of the features' names and scales (``names_digest``)
bytes 64-127          16 tier thresholds, int32, best first, unused ones zero
then 224 a feature    edges (1), zero has points of its own (1), 22 zeros, points for missing (int32),
                      for zero (int32); 15 upper edges, int64, unused ones zero, 8 zeros; 16 points, int32
====================  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.chain.hashing import keccak256
from koinon.errors import BadInput

MISSING: Final = -(2**63)
"""The value that stands for a missing one, in Python and on chain."""

MAXIMUM_FEATURES: Final = 64
MAXIMUM_EDGES: Final = 15
MAXIMUM_TIERS: Final = 16
"""Most thresholds; one more tier lies below the last of them."""

_VERSION: Final = 1
_WORD: Final = 32
_HEADER: Final = 4 * _WORD
_BLOCK: Final = 7 * _WORD
_INT32: Final = 2**31
_INT64: Final = 2**63
_LIMIT: Final = 2**24  # of one bin's points: the sum of all features then fits int32
_CHUNK: Final = 65_536

Rows = NDArray[np.int64]
Points = NDArray[np.int64]


@dataclass(frozen=True)
class Feature:
    """One column of the scorecard.

    Parameters
    ----------
    name : str
        What it is called where reasons are told.
    edges : tuple of int
        Upper edges of all bins but the last, strictly rising, each within int64 and above `MISSING`.
    points : tuple of int
        Points of each bin, one more than ``edges``.
    missing_points : int
        Points of a missing value.
    zero_points : int, optional
        Points of exactly zero; None where zero is a value like any other.
    scale : int
        The integer value is the real one times this, rounded down; at least 1.
    """

    name: str
    edges: tuple[int, ...]
    points: tuple[int, ...]
    missing_points: int = 0
    zero_points: int | None = None
    scale: int = 1

    def __post_init__(self) -> None:
        if not self.name or "\n" in self.name or "\t" in self.name:
            raise _wrong("A feature needs a name of one line without tabs.")
        if len(self.edges) > MAXIMUM_EDGES:
            raise _wrong(f"{self.name} has {len(self.edges)} edges; {MAXIMUM_EDGES} are allowed.")
        if len(self.points) != len(self.edges) + 1:
            raise _wrong(f"{self.name} has {len(self.points)} bins for {len(self.edges)} edges.")
        if any(low >= high for low, high in zip(self.edges, self.edges[1:], strict=False)):
            raise _wrong(f"The edges of {self.name} do not rise.")
        if any(not MISSING < edge < _INT64 for edge in self.edges):
            raise _wrong(f"An edge of {self.name} does not fit 64 bits.")
        if any(
            abs(points) >= _LIMIT for points in (*self.points, self.missing_points, self.zero_points or 0)
        ):
            raise _wrong(f"Points of {self.name} are out of range.")
        if not 1 <= self.scale < _INT64:
            raise _wrong(f"The scale of {self.name} is not a whole number from 1.")

    @property
    def best_points(self) -> int:
        """The most points this feature can give to a value that is there."""
        return max(self.points) if self.zero_points is None else max(*self.points, self.zero_points)

    @cached_property
    def _table(self) -> Points:
        zero = 0 if self.zero_points is None else self.zero_points
        return np.array([*self.points, zero, self.missing_points], dtype=np.int64)

    def bins(self, values: Rows) -> NDArray[np.intp]:
        """Number of each value's bin: 0… for ``points``, then one for zero and one for missing."""
        found = np.searchsorted(np.array(self.edges, dtype=np.int64), values, side="left")
        if self.zero_points is not None:
            found[values == 0] = len(self.points)
        found[values == MISSING] = len(self.points) + 1
        return found

    def score(self, values: Rows) -> Points:
        """Points of each value."""
        return self._table[self.bins(values)]

    def bin_name(self, number: int) -> str:
        """A bin in words and real units: ``<= 3.5``, ``> 10``, ``0`` or ``missing``."""
        if number == len(self.points) + 1:
            return "missing"
        if number == len(self.points):
            return "0"
        if not self.edges:
            return "any"
        if number == len(self.edges):
            return f"> {self.edges[-1] / self.scale:g}"
        return f"<= {self.edges[number] / self.scale:g}"


@dataclass(frozen=True)
class Part:
    """What one feature did to a row: its bin, the points it gave, and the most it could have given."""

    feature: str
    bin_name: str
    points: int
    best_points: int

    @property
    def lost_points(self) -> int:
        """Points below the best bin; never negative."""
        return max(0, self.best_points - self.points)


@dataclass(frozen=True)
class ScorecardTable:
    """Features, what they give, and from how many points on each tier begins.

    Parameters
    ----------
    features : tuple of Feature
        In the order of a row's columns.
    thresholds : tuple of int
        Least points of tier 0, 1, …, strictly falling; fewer points than the last is the worst tier.
    base_points : int
        Points everyone starts with.
    """

    features: tuple[Feature, ...]
    thresholds: tuple[int, ...] = ()
    base_points: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.features) <= MAXIMUM_FEATURES:
            raise _wrong(f"A scorecard has 1 to {MAXIMUM_FEATURES} features, not {len(self.features)}.")
        if len({feature.name for feature in self.features}) != len(self.features):
            raise _wrong("Two features have one name.")
        if len(self.thresholds) > MAXIMUM_TIERS:
            raise _wrong(f"There are at most {MAXIMUM_TIERS} tier thresholds.")
        if any(low <= high for low, high in zip(self.thresholds, self.thresholds[1:], strict=False)):
            raise _wrong("The tier thresholds do not fall.")
        if any(abs(number) >= _INT32 // 2 for number in (*self.thresholds, self.base_points)):
            raise _wrong("A threshold or the base points are out of range.")

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def worst_tier(self) -> int:
        """The tier below every threshold."""
        return len(self.thresholds)

    def points(self, rows: Rows) -> Points:
        """Points of each row.

        Parameters
        ----------
        rows : int64 array, shape (n, features)
            Scaled values; `MISSING` where there is none.

        Returns
        -------
        int64 array, shape (n,)
        """
        rows = self._checked(rows)
        total = np.full(rows.shape[0], self.base_points, dtype=np.int64)
        for start in range(0, rows.shape[0], _CHUNK):
            part = rows[start : start + _CHUNK]
            for column, feature in enumerate(self.features):
                total[start : start + _CHUNK] += feature.score(part[:, column])
        return total

    def tiers(self, points: Points) -> NDArray[np.int64]:
        """The tier of each number of points: 0 is the best, `worst_tier` the worst."""
        falling = np.array(self.thresholds, dtype=np.int64)
        return len(falling) - np.searchsorted(falling[::-1], points, side="right").astype(np.int64)

    def parts(self, row: Rows) -> tuple[Part, ...]:
        """What each feature did to one row (shape (features,)), in the features' order."""
        values = self._checked(row.reshape(1, -1))
        found = []
        for column, feature in enumerate(self.features):
            number = int(feature.bins(values[:, column])[0])
            points = int(feature.score(values[:, column])[0])
            found.append(Part(feature.name, feature.bin_name(number), points, feature.best_points))
        return tuple(found)

    def reasons(self, row: Rows, count: int = 4) -> tuple[Part, ...]:
        """The features that cost a row the most points against their best bins; at most ``count``."""
        losing = [part for part in self.parts(row) if part.lost_points]
        return tuple(sorted(losing, key=lambda part: (-part.lost_points, part.feature))[:count])

    def scaled(self, rows: NDArray[np.float64]) -> Rows:
        """Real values as rows of integers: times each scale, rounded down; NaN becomes `MISSING`."""
        if rows.ndim != 2 or rows.shape[1] != len(self.features):
            raise _shape(rows.shape, len(self.features))
        scales = np.array([feature.scale for feature in self.features], dtype=np.float64)
        product = np.floor(np.clip(rows * scales, -(2.0**62), 2.0**62))
        result: Rows = np.where(np.isnan(product), 0.0, product).astype(np.int64)
        result[np.isnan(product)] = MISSING
        return result

    @property
    def names_digest(self) -> bytes:
        """keccak256 of ``name⇥scale`` lines: what the columns are and their units."""
        lines = "".join(f"{feature.name}\t{feature.scale}\n" for feature in self.features)
        return keccak256(lines.encode())

    def encode(self) -> bytes:
        """The packed table, as `Scorecard` keeps it: 128 bytes, and 224 a feature."""
        thresholds = [*self.thresholds, *[0] * (MAXIMUM_TIERS - len(self.thresholds))]
        head = bytes([_VERSION, len(self.features), len(self.thresholds)]) + bytes(25)
        blocks = [_block(feature) for feature in self.features]
        return (
            head
            + _int(self.base_points, 4)
            + self.names_digest
            + b"".join(_int(threshold, 4) for threshold in thresholds)
            + b"".join(blocks)
        )

    @property
    def digest(self) -> bytes:
        """keccak256 of the packed table: what a model's card and the contract name."""
        return keccak256(self.encode())

    @classmethod
    def decode(cls, packed: bytes, columns: Sequence[tuple[str, int]] = ()) -> ScorecardTable:
        """From packed bytes and the columns' (name, scale), which must be those that were packed.

        Without columns they are called ``feature 0``, … with scale 1, whose table packs to another digest.
        """
        if len(packed) < _HEADER or packed[0] != _VERSION:
            raise _wrong("These bytes are not a packed scorecard.")
        count, tiers = packed[1], packed[2]
        if len(packed) != _HEADER + _BLOCK * count or tiers > MAXIMUM_TIERS:
            raise _wrong("The packed scorecard has another length than it says.")
        named = list(columns) or [(f"feature {number}", 1) for number in range(count)]
        if len(named) != count:
            raise _wrong(f"The packed scorecard has {count} features, not {len(named)}.")
        features = tuple(
            _feature(packed[_HEADER + _BLOCK * number : _HEADER + _BLOCK * (number + 1)], *named[number])
            for number in range(count)
        )
        thresholds = tuple(_number(packed, 64 + 4 * number, 4) for number in range(tiers))
        table = cls(features, thresholds, _number(packed, 28, 4))
        if columns and table.encode() != packed:
            raise _wrong("These columns are not those of the packed scorecard.")
        return table

    def to_json(self) -> dict[str, Any]:
        """All of it, for a model's card."""
        return {
            "base_points": self.base_points,
            "thresholds": list(self.thresholds),
            "features": [
                {
                    "name": feature.name,
                    "scale": feature.scale,
                    "edges": list(feature.edges),
                    "points": list(feature.points),
                    "missing_points": feature.missing_points,
                    "zero_points": feature.zero_points,
                }
                for feature in self.features
            ],
        }

    @classmethod
    def from_json(cls, fields: Any) -> ScorecardTable:
        """From `to_json`; BadInput where it is not that."""
        try:
            features = tuple(
                Feature(
                    str(entry["name"]),
                    tuple(map(int, entry["edges"])),
                    tuple(map(int, entry["points"])),
                    int(entry["missing_points"]),
                    None if entry["zero_points"] is None else int(entry["zero_points"]),
                    int(entry["scale"]),
                )
                for entry in fields["features"]
            )
            return cls(features, tuple(map(int, fields["thresholds"])), int(fields["base_points"]))
        except (KeyError, TypeError, ValueError) as error:
            raise _wrong("This is not a scorecard's JSON.") from error

    def _checked(self, rows: Rows) -> Rows:
        if rows.ndim != 2 or rows.shape[1] != len(self.features):
            raise _shape(rows.shape, len(self.features))
        if rows.dtype != np.int64:
            raise _wrong("Rows of a scorecard are 64-bit integers.")
        return rows


def _block(feature: Feature) -> bytes:
    edges = [*feature.edges, *[0] * (MAXIMUM_EDGES - len(feature.edges))]
    points = [*feature.points, *[0] * (MAXIMUM_EDGES + 1 - len(feature.points))]
    return (
        bytes([len(feature.edges), feature.zero_points is not None])
        + bytes(22)
        + _int(feature.missing_points, 4)
        + _int(feature.zero_points or 0, 4)
        + b"".join(_int(edge, 8) for edge in edges)
        + bytes(8)
        + b"".join(_int(each, 4) for each in points)
    )


def _feature(block: bytes, name: str, scale: int) -> Feature:
    count = block[0]
    if count > MAXIMUM_EDGES or block[1] > 1:
        raise _wrong("A packed feature is not one.")
    return Feature(
        name,
        tuple(_number(block, 32 + 8 * number, 8) for number in range(count)),
        tuple(_number(block, 160 + 4 * number, 4) for number in range(count + 1)),
        _number(block, 24, 4),
        _number(block, 28, 4) if block[1] else None,
        scale,
    )


def _int(number: int, size: int) -> bytes:
    return int(number).to_bytes(size, "big", signed=True)


def _number(packed: bytes, start: int, size: int) -> int:
    return int.from_bytes(packed[start : start + size], "big", signed=True)


def _wrong(sentence: str) -> BadInput:
    return BadInput(sentence, code="lending.scorecard")


def _shape(shape: tuple[int, ...], features: int) -> BadInput:
    return BadInput(
        f"The rows have shape {shape}; the scorecard has {features} features.", code="lending.shape"
    )
