# SPDX-License-Identifier: Apache-2.0
"""CSV and Parquet files: their columns and rows as they stand, and rows of events written as such a file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from koinon.errors import BadInput, SetupError
from koinon.markets.history.rows import AMOUNTS, COLUMNS, EventRow


def write_rows(rows: Iterable[EventRow], path: Path) -> int:
    """Write rows as CSV or Parquet by the path's ending (amounts as text, exact); how many.

    Raises
    ------
    BadInput
        Another ending, or the file cannot be written.
    SetupError
        Parquet without ``pyarrow``.
    """
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for row in rows:
        for name, kept in columns.items():
            value = getattr(row, name)
            kept.append(str(value) if name in AMOUNTS else value)
    try:
        if path.suffix.lower() == ".parquet":
            pyarrow, parquet = _pyarrow()
            parquet.write_table(pyarrow.table(columns), path)
        elif path.suffix.lower() == ".csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                writer.writerows(zip(*columns.values(), strict=True))
        else:
            raise _format(path)
    except OSError as fault:
        raise BadInput(
            f"{path} cannot be written ({fault.strerror or fault}).",
            hint="Name a file in a folder you may write.",
            code="history.table",
        ) from None
    return len(columns["kind"])


def load(path: Path) -> tuple[list[str], Iterable[Mapping[str, Any]]]:
    """Names of the columns, and rows by name."""
    try:
        if path.suffix.lower() == ".parquet":
            return _load_parquet(path)
        if path.suffix.lower() != ".csv":
            raise _format(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            names = [name.strip() for name in next(reader, [])]
            body = [row for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise BadInput(
            f"{path.name} cannot be read: {fault}.", hint="Is it complete?", code="history.table"
        ) from None
    if not names or len(set(names)) != len(names):
        raise BadInput(
            f"{path.name} has {'two columns of one name' if names else 'no columns'}.",
            hint="Its first line names its columns.",
            code="history.table",
        )
    for number, row in enumerate(body, start=1):
        if len(row) != len(names):
            raise BadInput(
                f"{path.name}: row {number} has {len(row)} values for {len(names)} columns.",
                hint="Rows count from 1 after the header.",
                code="history.table",
            )
    return names, [dict(zip(names, row, strict=True)) for row in body]


def _load_parquet(path: Path) -> tuple[list[str], Iterable[Mapping[str, Any]]]:
    pyarrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(path)
    except (pyarrow.ArrowInvalid, OSError) as fault:
        raise BadInput(
            f"{path.name} cannot be read: {fault}.", hint="Is it complete?", code="history.table"
        ) from None
    return list(table.column_names), table.to_pylist()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow  # noqa: PLC0415  (an extra)
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as fault:
        raise SetupError(
            "Parquet files need the package pyarrow.",
            hint='Install it with: pip install "koinon[parquet]"',
            code="history.no_pyarrow",
        ) from fault
    return pyarrow, parquet


def _format(path: Path) -> BadInput:
    return BadInput(
        f"{path.name}: tables of events are .csv or .parquet.",
        hint="Save it in one of these formats.",
        code="history.table",
    )
