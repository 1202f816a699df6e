# SPDX-License-Identifier: Apache-2.0
"""Rows about borrowers: columns of numbers or categories with missing values, and who went bad.

Attributes that a lender must not decide by (sex, race) are kept aside as groups: they are audited, never
learned from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Codes = NDArray[np.int32]
Texts = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Numeric:
    """A column of numbers; ``values`` float64, shape (rows,), NaN where missing."""

    values: Floats

    def take(self, rows: Integers) -> Numeric:
        return Numeric(self.values[rows])

    @property
    def missing(self) -> NDArray[np.bool_]:
        return np.isnan(self.values)


@dataclass(frozen=True, eq=False)
class Categorical:
    """A column of names; ``codes`` int32, shape (rows,), a place in ``categories`` or -1 where missing."""

    codes: Codes
    categories: tuple[str, ...]

    def take(self, rows: Integers) -> Categorical:
        return Categorical(self.codes[rows], self.categories)

    @property
    def missing(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.codes < 0
        return found

    @property
    def texts(self) -> Texts:
        """The names themselves; empty where missing."""
        return np.array([*self.categories, ""])[self.codes]


Column = Numeric | Categorical


@dataclass(frozen=True, eq=False)
class Frame:
    """Examples to learn or measure on.

    Attributes
    ----------
    columns : mapping of str to Column
        What a score may use, in order.
    labels : int64 array, shape (rows,)
        1 where the borrower went bad, else 0.
    time : int64 array, shape (rows,), or None
        When each row was decided, in any unit that rises; with it, splits are by time only.
    groups : mapping of str to array of str
        Attributes that are audited and never learned from.
    entity : array of str or None
        Whose row it is, where one borrower has several.
    weights : float64 array, shape (rows,), or None
        How much each row counts in teaching; never in judging.
    known_at : int64 array, shape (rows,), or None
        When each label was known, in the unit of ``time``. A row teaches nothing that is judged before then.
        It is the end of the horizon for bad rows too, though they are known earlier: else the last stretch
        would hold bad rows only.
    """

    columns: Mapping[str, Column]
    labels: Integers
    time: Integers | None = None
    groups: Mapping[str, Texts] = field(default_factory=dict)
    entity: Texts | None = None
    weights: Floats | None = None
    known_at: Integers | None = None

    def __post_init__(self) -> None:
        rows = self.labels.shape
        lengths = {name: len(of(column)) for name, column in self.columns.items()}
        lengths |= {name: len(values) for name, values in self.groups.items()}
        lengths |= {} if self.time is None else {"time": len(self.time)}
        lengths |= {} if self.entity is None else {"entity": len(self.entity)}
        lengths |= {} if self.weights is None else {"weights": len(self.weights)}
        lengths |= {} if self.known_at is None else {"known_at": len(self.known_at)}
        wrong = [name for name, length in lengths.items() if (length,) != rows]
        if wrong:
            raise BadInput(
                f"Column '{wrong[0]}' has {lengths[wrong[0]]} rows, the label has {rows[0]}.",
                code="lending.table",
            )
        if self.known_at is not None and (self.time is None or (self.known_at < self.time).any()):
            raise BadInput(
                "Labels are known at a time, and never before their row's own.",
                hint="Give both times in the same unit.",
                code="lending.table",
            )
        if not self.columns:
            raise BadInput("The table has no column to score by.", code="lending.table")
        if not np.isin(self.labels, (0, 1)).all():
            raise BadInput(
                "The label is not 0 or 1 everywhere.",
                hint="1 marks a borrower who went bad.",
                code="lending.label",
            )

    def __len__(self) -> int:
        return int(self.labels.shape[0])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @property
    def base_rate(self) -> float:
        """The share that went bad."""
        return float(self.labels.mean()) if len(self) else 0.0

    @property
    def digest(self) -> str:
        """sha256 over names, values, labels and times; the same for the same content in any file."""
        state = hashlib.sha256(f"{len(self)}\n".encode())
        for name, column in self.columns.items():
            state.update(f"{name}\n".encode())
            if isinstance(column, Numeric):
                values = np.where(column.missing, np.nan, column.values) + 0.0
                state.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
            else:
                state.update("\n".join(column.texts.tolist()).encode())
        state.update(np.ascontiguousarray(self.labels, dtype="<i8").tobytes())
        for times in (self.time, self.known_at):
            if times is not None:
                state.update(np.ascontiguousarray(times, dtype="<i8").tobytes())
        return state.hexdigest()

    def take(self, rows: Integers) -> Frame:
        """The frame of these rows only."""
        return Frame(
            {name: column.take(rows) for name, column in self.columns.items()},
            self.labels[rows],
            None if self.time is None else self.time[rows],
            {name: values[rows] for name, values in self.groups.items()},
            None if self.entity is None else self.entity[rows],
            None if self.weights is None else self.weights[rows],
            None if self.known_at is None else self.known_at[rows],
        )

    @property
    def counted(self) -> Floats:
        """How much each row counts: 1 where nothing else is said."""
        return np.ones(len(self)) if self.weights is None else self.weights

    def without(self, *names: str) -> Frame:
        """The frame without these columns."""
        return replace(self, columns={name: kept for name, kept in self.columns.items() if name not in names})

    def with_columns(self, more: Mapping[str, Column]) -> Frame:
        """The frame with these columns behind the others, or in place of those of the same name."""
        return replace(self, columns={**self.columns, **more})


def of(column: Column) -> NDArray[Any]:
    """A column's own array."""
    return column.values if isinstance(column, Numeric) else column.codes
