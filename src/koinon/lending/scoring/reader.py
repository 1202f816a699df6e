# SPDX-License-Identifier: Apache-2.0
"""How a column becomes the whole numbers that a scorecard reads: the same in Python, on chain, in a circuit.

A number is multiplied by a power of ten and rounded down. A category is its place in a list, which the
binner orders by risk; one that was never seen counts as missing, and missing never pays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.lending.scorecard_table import MISSING
from koinon.lending.scoring.frame import Categorical, Column, Frame, Integers, Numeric

MOST_SCALE: Final = 10**9
FINE: Final = 10_000
"""Steps that the middle half of a column's numbers is told apart by, at least."""
_LIMIT: Final = 2.0**62


@dataclass(frozen=True)
class Reader:
    """One column's way in.

    Attributes
    ----------
    name : str
    scale : int
        For numbers: the whole number is the value times this, rounded down.
    categories : tuple of tuple of str
        For categories: those of whole number 0, of 1, … from the most to the least risk; empty for numbers.
    """

    name: str
    scale: int = 1
    categories: tuple[tuple[str, ...], ...] = ()

    def read(self, column: Column) -> Integers:
        """Whole numbers, `MISSING` where there is none.

        Raises
        ------
        BadInput
            The column holds the other kind of values.
        """
        if self.categories:
            if isinstance(column, Numeric):
                column = _named(column)
            places = {name: place for place, names in enumerate(self.categories) for name in names}
            table = [*(places.get(name, MISSING) for name in column.categories), MISSING]
            return np.array(table, dtype=np.int64)[column.codes]
        if isinstance(column, Categorical):
            if not column.missing.all():
                raise BadInput(
                    f"Column '{self.name}' holds names, and the scorecard reads numbers there.",
                    code="lending.columns",
                )
            return np.full(len(column.codes), MISSING, dtype=np.int64)
        return whole(column.values, self.scale)

    def words(self, value: int) -> str:
        """A whole number as people know it: ``3.5``, ``rent or other``."""
        if self.categories:
            return " / ".join(self.categories[value]) if 0 <= value < len(self.categories) else "?"
        return f"{value / self.scale:,.6g}"

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "scale": self.scale,
            "categories": [list(each) for each in self.categories],
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Reader:
        return cls(
            str(fields["name"]),
            int(fields["scale"]),
            tuple(tuple(map(str, each)) for each in fields["categories"]),
        )


def whole(values: NDArray[np.float64], scale: int) -> Integers:
    """Numbers times a scale, rounded down; `MISSING` for NaN."""
    product = np.floor(np.clip(values * float(scale), -_LIMIT, _LIMIT))
    lacking = np.isnan(product)
    result: Integers = np.where(lacking, 0.0, product).astype(np.int64)
    result[lacking] = MISSING
    return result


def scale_for(values: NDArray[np.float64]) -> int:
    """The least power of ten that keeps whole numbers as they are and tells others well apart."""
    known = values[np.isfinite(values)]
    if not known.size or np.array_equal(known, np.rint(known)):
        return 1
    low, high = np.quantile(known, (0.25, 0.75))
    width = float(high - low) or float(known.std()) or 1.0
    scale = 1
    while scale < MOST_SCALE and width * scale < FINE:
        scale *= 10
    return scale


def read_rows(readers: Sequence[Reader], frame: Frame) -> Integers:
    """A frame as whole numbers, shape (rows, readers).

    Raises
    ------
    BadInput
        A column that the scorecard reads is not there.
    """
    lacking = [reader.name for reader in readers if reader.name not in frame.columns]
    if lacking:
        raise BadInput(
            f"The scorecard reads the column '{lacking[0]}', which is not there.",
            hint=f"It reads: {', '.join(reader.name for reader in readers)}.",
            code="lending.columns",
        )
    rows = np.empty((len(frame), len(readers)), dtype=np.int64, order="F")
    for place, reader in enumerate(readers):
        rows[:, place] = reader.read(frame.columns[reader.name])
    return rows


def _named(column: Numeric) -> Categorical:
    values = np.array(["" if np.isnan(value) else f"{value:g}" for value in column.values])
    names = tuple(sorted(set(values.tolist()) - {""}))
    places = {name: place for place, name in enumerate(names)} | {"": -1}
    return Categorical(np.array([places[value] for value in values.tolist()], dtype=np.int32), names)
