# SPDX-License-Identifier: Apache-2.0
"""Frames from what people have: CSV files, named columns, and the tables that models are taught on."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.lending.scoring.frame import Categorical, Column, Frame, Integers, Numeric, Texts
from koinon.tables import Table

MISSING: Final = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "None", "?"})
"""Cells that say nothing."""


def column_of(cells: Sequence[Any] | NDArray[Any]) -> Column:
    """A column from cells: numbers if every cell that says something is one, else categories.

    Categories stand in the order of their names; a cell of `MISSING`, None or NaN is missing.
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "biuf":
        return Numeric(cells.astype(np.float64))
    texts = ["" if cell is None or cell != cell else str(cell).strip() for cell in cells]  # noqa: PLR0124  NaN
    texts = ["" if text in MISSING else text for text in texts]
    try:
        return Numeric(np.array([float(text) if text else np.nan for text in texts], dtype=np.float64))
    except ValueError:
        names = sorted(set(texts) - {""})
        places = {name: place for place, name in enumerate(names)} | {"": -1}
        return Categorical(np.array([places[text] for text in texts], dtype=np.int32), tuple(names))


def frame_of(
    cells: Mapping[str, Sequence[Any] | NDArray[Any]],
    label: str,
    *,
    time: str = "",
    groups: Sequence[str] = (),
    entity: str = "",
    bad: str = "",
    known_at: str = "",
) -> Frame:
    """A frame from named columns.

    Parameters
    ----------
    label : str
        The column that says who went bad: 0 and 1, or two names of which ``bad`` is the bad one.
    time : str
        The column of decision times: numbers, or dates that sort as text (2024-05-31).
    groups : sequence of str
        Columns kept aside for audits.
    entity : str
        The column that says whose row it is.
    known_at : str
        The column of times at which labels were known, as ``time``.

    Raises
    ------
    BadInput
        A named column is not there, the label is not two classes, or a time is missing.
    """
    wanted = [label, *(name for name in (time, entity, known_at) if name), *groups]
    lacking = [name for name in wanted if name not in cells]
    if lacking:
        raise BadInput(
            f"The table has no column '{lacking[0]}'.",
            hint=f"Its columns are: {', '.join(cells)}.",
            code="lending.table",
        )
    columns = {name: column_of(values) for name, values in cells.items()}
    return Frame(
        {name: column for name, column in columns.items() if name not in wanted},
        _labels(columns[label], label, bad),
        _times(columns[time], time) if time else None,
        {name: _texts(columns[name]) for name in groups},
        _texts(columns[entity]) if entity else None,
        known_at=_times(columns[known_at], known_at) if known_at else None,
    )


def read_frame(
    path: Path,
    label: str,
    *,
    time: str = "",
    groups: Sequence[str] = (),
    entity: str = "",
    bad: str = "",
    known_at: str = "",
    drop: Sequence[str] = (),
) -> Frame:
    """A frame from a CSV file (comma, semicolon or tab) with a header; see `frame_of`.

    Raises
    ------
    BadInput
        The file is not there, is no CSV, or does not hold what was named.
    """
    if not path.is_file():
        raise BadInput(f"{path} does not exist.", hint="Check the path.", code="lending.table")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path.name} cannot be read: {error}.", code="lending.table") from error
    cells = cells_of(content, path.name)
    return frame_of(
        {name: values for name, values in cells.items() if name not in drop},
        label,
        time=time,
        groups=groups,
        entity=entity,
        bad=bad,
        known_at=known_at,
    )


def cells_of(content: str, name: str) -> dict[str, list[str]]:
    """The columns of a CSV text with a header.

    Raises
    ------
    BadInput
        It is empty, names a column twice, or a row has another number of cells.
    """
    first = content.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    rows = [row for row in csv.reader(content.splitlines(), delimiter=separator) if row]
    if len(rows) < 2:
        raise BadInput(f"{name} has no rows.", code="lending.table")
    header = [title.strip() for title in rows[0]]
    if len(set(header)) != len(header):
        raise BadInput(f"{name} names a column twice.", code="lending.table")
    for number, row in enumerate(rows[1:], 1):
        if len(row) != len(header):
            raise BadInput(
                f"{name}: row {number} has {len(row)} cells for {len(header)} columns.", code="lending.table"
            )
    return dict(zip(header, map(list, zip(*rows[1:], strict=True)), strict=True))


def from_table(table: Table) -> Frame:
    """A table of learning (numbers only, class 1 the bad one) as a frame."""
    columns = {
        name: Numeric(table.features[:, place].astype(np.float64)) for place, name in enumerate(table.columns)
    }
    return Frame(columns, table.labels)


def to_table(frame: Frame) -> Table:
    """A frame of numbers as a table of learning.

    Raises
    ------
    BadInput
        A column holds categories or misses a number.
    """
    parts = []
    for name, column in frame.columns.items():
        if isinstance(column, Categorical) or column.missing.any():
            raise BadInput(
                f"Column '{name}' is not a number in every row.",
                hint="Only tables of numbers can be handed on; leave the column out.",
                code="lending.table",
            )
        parts.append(column.values)
    return Table(np.stack(parts, axis=1).astype(np.float32), frame.labels, frame.names)


def _labels(column: Column, name: str, bad: str) -> Integers:
    if column.missing.any():
        raise BadInput(
            f"The label '{name}' is missing in {int(column.missing.sum())} rows.",
            hint="Leave out rows whose outcome nobody knows yet.",
            code="lending.label",
        )
    if isinstance(column, Numeric):
        values = np.unique(column.values)
        if not bad and values.size == 2 and set(values.tolist()) == {0.0, 1.0}:
            return column.values.astype(np.int64)
        texts = np.array([f"{value:g}" for value in column.values])
    else:
        texts = column.texts
    names = sorted(set(texts.tolist()))
    if len(names) != 2 or bad not in names:
        raise BadInput(
            f"The label '{name}' is not two classes with a bad one among them: {', '.join(names[:6])}.",
            hint="Use 0 and 1, or say which of the two names is the bad one.",
            code="lending.label",
        )
    found: Integers = (texts == bad).astype(np.int64)
    return found


def _times(column: Column, name: str) -> Integers:
    if column.missing.any():
        raise BadInput(f"The time '{name}' is missing in a row.", code="lending.table")
    if isinstance(column, Numeric):
        return np.floor(column.values).astype(np.int64)
    try:
        return column.texts.astype("datetime64[s]").astype(np.int64)
    except ValueError as error:
        raise BadInput(
            f"The time '{name}' is neither numbers nor dates such as 2024-05-31.", code="lending.table"
        ) from error


def _texts(column: Column) -> Texts:
    if isinstance(column, Categorical):
        return column.texts
    return np.array(["" if np.isnan(value) else f"{value:g}" for value in column.values])
