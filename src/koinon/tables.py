# SPDX-License-Identifier: Apache-2.0
"""Tables: rows of numbers with one label column, read from CSV, Parquet or npz and checked before use."""

from __future__ import annotations

import csv
import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput, SetupError
from koinon.text import DEFAULT_COLUMNS, hash_columns, hash_texts

Features = NDArray[np.float32]
Labels = NDArray[np.int64]

Columns = dict[str, Sequence[Any] | NDArray[Any]]
"""Column names to one value a row."""

MAXIMUM_CLASSES = 100


@dataclass(frozen=True)
class Table:
    """Examples of one owner, or a common set.

    Attributes
    ----------
    features : float32 array, shape (rows, columns)
        As they stand in the source: unscaled.
    labels : int64 array, shape (rows,)
        Class numbers from 0.
    columns : tuple of str
        Names of the feature columns.
    """

    features: Features
    labels: Labels
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or self.features.shape[1] != len(self.columns):
            raise BadInput(
                f"The table has {self.features.shape} numbers for {len(self.columns)} column names.",
                code="learning.shape",
            )
        if self.labels.shape != (self.features.shape[0],):
            raise BadInput("The table does not have one label a row.", code="learning.shape")

    def __len__(self) -> int:
        return int(self.labels.shape[0])

    @property
    def digest(self) -> bytes:
        """sha256 over column names, shape, features (float32) and labels (int64), little endian."""
        state = hashlib.sha256("\n".join((*self.columns, str(self.features.shape))).encode())
        state.update(np.ascontiguousarray(self.features, dtype="<f4").tobytes())
        state.update(np.ascontiguousarray(self.labels, dtype="<i8").tobytes())
        return state.digest()

    def take(self, rows: NDArray[np.int64]) -> Table:
        """The table of these rows only."""
        return Table(self.features[rows], self.labels[rows], self.columns)

    def save(self, path: Path) -> None:
        """Write as npz (``features``, ``labels``, ``columns``), readable by :func:`read_table`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, features=self.features, labels=self.labels, columns=np.array(self.columns))


def check_trainable(table: Table, who: str, *, classes: int = 0, minimum_rows: int = 1) -> None:
    """Refuse a table nobody can learn from.

    Parameters
    ----------
    who : str
        Who holds it, for the message.
    classes : int
        How many classes the run has; 0 accepts any number from two.
    minimum_rows : int
        The recipe's least number of rows an owner needs.

    Raises
    ------
    BadInput
        No rows, fewer than the minimum, one class only, or a class number outside the run's.
    """
    if len(table) == 0:
        raise BadInput(
            f"{who} has 0 rows: there is nothing to learn from.",
            hint="Give a table with examples, or leave this owner out.",
            code="learning.no_rows",
        )
    if len(table) < minimum_rows:
        raise BadInput(
            f"{who} has {len(table)} rows, fewer than the {minimum_rows} this recipe asks for.",
            hint="With very few rows, what is shared tells about single people. Add rows or leave it out.",
            code="learning.too_few_rows",
        )
    present = np.unique(table.labels)
    if present.size < 2:
        raise BadInput(
            f"{who} has only the class {int(present[0])}: a model needs examples of at least two.",
            hint="Check the label column, or add rows of the other class.",
            code="learning.one_class",
        )
    if classes and (int(present[0]) < 0 or int(present[-1]) >= classes):
        raise BadInput(
            f"{who} has a class {int(present[-1])}, but the run knows 0 to {classes - 1}.",
            hint="All owners must number their classes alike.",
            code="learning.unknown_class",
        )


def read_table(path: Path, label: str, *, text: str = "", text_columns: int = DEFAULT_COLUMNS) -> Table:
    """Read a table with its label column.

    Parameters
    ----------
    path : Path
        ``.csv``, ``.parquet`` or ``.npz`` (either ``features`` and ``labels``, or one array a column).
    label : str
        The column to predict; whole numbers from 0, or two distinct values.
    text : str
        A column of text, replaced by ``text_columns`` hashed ones behind the others (see `koinon.text`).

    Raises
    ------
    BadInput
        Unreadable file, unknown format, no such label or text column, text elsewhere or missing numbers
        (with column and row), no rows, one class only.
    SetupError
        Parquet without ``pyarrow``.
    """
    readers = {".csv": _read_csv, ".parquet": _read_parquet, ".npz": _read_npz}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BadInput(
            f"{path.name}: tables are read from {', '.join(readers)}.",
            hint="Save it in one of these formats.",
            code="learning.format",
        )
    if not path.is_file():
        raise BadInput(f"{path} does not exist.", hint="Check the path.", code="learning.no_file")
    try:
        columns = reader(path, label)
    except (OSError, ValueError, zipfile.BadZipFile, csv.Error, EOFError) as error:
        raise BadInput(
            f"{path.name} cannot be read: {error}.",
            hint="Is it complete, and in the format its name says?",
            code="learning.unreadable",
        ) from error
    if text:
        columns = hash_text_column(columns, text, path.name, text_columns)
    return from_columns(columns, label, path.name)


def hash_text_column(columns: Columns, text: str, name: str, count: int = DEFAULT_COLUMNS) -> Columns:
    """The columns with one of text replaced by ``hash_0`` to ``hash_{count - 1}``; empty cells are no words.

    Raises
    ------
    BadInput
        There is no such column, it holds no text, or another column already has such a name.
    """
    if text not in columns:
        raise BadInput(
            f"{name} has no column '{text}'.",
            hint=f"Its columns are: {', '.join(columns) or 'none'}.",
            code="learning.no_text",
        )
    cells = ["" if cell is None else cell for cell in columns[text]]
    strange = next((row for row, cell in enumerate(cells, start=1) if not isinstance(cell, str)), None)
    if strange is not None:
        raise BadInput(
            f"{name}: column '{text}' has no text in row {strange}.",
            hint="Name a column of words, or leave numbers as they are.",
            code="learning.no_text",
        )
    hashed = hash_texts(cells, count)
    added: Columns = {title: hashed[:, index] for index, title in enumerate(hash_columns(count))}
    kept = {title: values for title, values in columns.items() if title != text}
    if set(kept) & set(added):
        raise BadInput(
            f"{name} already has a column '{min(set(kept) & set(added))}'.",
            hint="Rename it: hashed text takes names like that.",
            code="learning.no_text",
        )
    return kept | added


def from_columns(columns: Columns, label: str, name: str) -> Table:
    """Build a checked table from named columns (see :func:`read_table` for what is refused)."""
    if label not in columns:
        raise BadInput(
            f"{name} has no column '{label}'.",
            hint=f"Its columns are: {', '.join(columns) or 'none'}.",
            code="learning.no_label",
        )
    names = tuple(column for column in columns if column != label)
    if not names:
        raise BadInput(f"{name} has no column beside '{label}'.", code="learning.no_features")
    labels = _labels(columns[label], label, name)
    features = np.empty((labels.shape[0], len(names)), dtype=np.float32)
    for index, column in enumerate(names):
        numbers = _numbers(columns[column], column, name)
        if numbers.shape[0] != labels.shape[0]:
            raise BadInput(
                f"{name}: '{column}' has {numbers.shape[0]} rows, '{label}' has {labels.shape[0]}.",
                code="learning.shape",
            )
        features[:, index] = numbers
    table = Table(features, labels, names)
    check_trainable(table, name)
    return table


def _numbers(column: Sequence[Any] | NDArray[Any], name: str, table: str) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.array([_number(value, name, table, row) for row, value in enumerate(column, start=1)])
    if numbers.ndim != 1:
        raise BadInput(f"{table}: column '{name}' is not one number a row.", code="learning.shape")
    bad = np.flatnonzero(~np.isfinite(numbers) | (np.abs(numbers) > np.finfo(np.float32).max))
    if bad.size:
        raise BadInput(
            f"{table}: column '{name}' has no usable number in row {int(bad[0]) + 1} ({bad.size} such rows).",
            hint="Fill or remove missing values; Koinon does not guess them.",
            code="learning.missing_number",
        )
    return numbers


def _number(value: Any, name: str, table: str, row: int) -> float:
    try:
        return float("nan") if value in (None, "") else float(value)
    except (TypeError, ValueError):
        raise BadInput(
            f"{table}: column '{name}', row {row} is text ({str(value)[:40]!r}), not a number.",
            hint="Turn categories into numbers (one 0/1 column a category) or drop the column.",
            code="learning.text_feature",
        ) from None


def _labels(column: Sequence[Any] | NDArray[Any], name: str, table: str) -> Labels:
    values = np.asarray(column)
    if values.shape[:1] == (0,):
        raise BadInput(
            f"{table} has 0 rows: there is nothing to learn from.",
            hint="Give a table with examples.",
            code="learning.no_rows",
        )
    if values.dtype.kind in "USO":
        distinct = sorted({str(value) for value in values})
        if len(distinct) == 2 and not all(_is_number(value) for value in distinct):
            return np.array([distinct.index(str(value)) for value in values], dtype=np.int64)
    numbers = _numbers(values, name, table)
    whole = np.unique(numbers)
    if whole.size == 2 and not np.array_equal(whole, np.rint(whole)):
        return np.asarray(numbers == whole[1], dtype=np.int64)
    if not np.array_equal(whole, np.rint(whole)) or whole.size > MAXIMUM_CLASSES:
        raise BadInput(
            f"{table}: the label '{name}' has {whole.size} values that are not classes.",
            hint="The label must name a class: 0 and 1, or whole numbers from 0.",
            code="learning.label_not_classes",
        )
    if whole.size == 2 and (whole[0] != 0 or whole[1] != 1):
        return np.asarray(numbers == whole[1], dtype=np.int64)
    if whole[0] < 0 or whole[-1] >= MAXIMUM_CLASSES:
        raise BadInput(
            f"{table}: the label '{name}' goes from {int(whole[0])} to {int(whole[-1])}.",
            hint=f"Number the classes from 0, at most {MAXIMUM_CLASSES}.",
            code="learning.label_not_classes",
        )
    return numbers.astype(np.int64)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_csv(path: Path, _label: str) -> Columns:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        header = [name.strip() for name in next(rows, [])]
        if not header:
            raise BadInput(f"{path.name} is empty.", code="learning.no_rows")
        if len(set(header)) != len(header):
            raise BadInput(f"{path.name} names a column twice.", code="learning.unreadable")
        body = [row for row in rows if row]
    for number, row in enumerate(body, start=1):
        if len(row) != len(header):
            raise BadInput(
                f"{path.name}: row {number} has {len(row)} values for {len(header)} columns.",
                code="learning.unreadable",
            )
    columns = list(zip(*body, strict=True)) if body else [()] * len(header)
    return dict(zip(header, columns, strict=True))


def _read_parquet(path: Path, _label: str) -> Columns:
    try:
        import pyarrow  # noqa: PLC0415  an extra, imported where used
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise SetupError(
            "Reading Parquet needs pyarrow.",
            hint="pip install 'koinon[parquet]', or save the table as CSV.",
            code="learning.no_pyarrow",
        ) from error
    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(str(error)) from error
    return {name: table[name].to_pylist() for name in table.column_names}


def _read_npz(path: Path, label: str) -> Columns:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        if {"features", "labels"} <= set(arrays.files):
            features = arrays["features"]
            if features.ndim != 2:
                raise BadInput(f"{path.name}: 'features' is not a matrix.", code="learning.shape")
            names = (
                [str(name) for name in arrays["columns"]]
                if "columns" in arrays.files
                else [f"feature_{index}" for index in range(features.shape[1])]
            )
            columns: Columns = {name: features[:, index] for index, name in enumerate(names)}
            columns[label] = arrays["labels"]
            return columns
        return {name: arrays[name] for name in arrays.files}
