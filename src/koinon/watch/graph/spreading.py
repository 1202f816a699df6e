# SPDX-License-Identifier: Apache-2.0
"""The columns of many transfers: file to files in bounded memory, or divided among an executor's workers.

What is known of an account depends on its own transfers alone. Accounts are therefore divided by their
number: a worker gets the transfers of its accounts, sweeps them, and gives back what it knows of its own;
the answer equals that of one sweep to the last bit. The executor is `koinon.compute`'s: processes here, or
the workers of a Dask scheduler.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from koinon.compute import run_all
from koinon.extras import required
from koinon.watch.graph.edges import Edges
from koinon.watch.graph.importing import MEMORY, Columns, sorted_on_disk
from koinon.watch.graph.stream import Stream
from koinon.watch.graph.windows import WINDOWS_S, Features, column_names, window_features


@dataclass(frozen=True)
class _Part:
    """What one worker gets: transfers that touch its accounts."""

    edges: Edges
    number: int
    of: int
    windows_s: tuple[int, ...]


def spread_features(
    edges: Edges, pool: Executor, parts: int, windows_s: Sequence[int] = WINDOWS_S
) -> Features:
    """The columns of `window_features`, computed by the workers of ``pool`` in ``parts`` pieces.

    Raises SetupError where workers keep dying.
    """
    tasks, places = [], []
    for number in range(parts):
        rows = np.flatnonzero((edges.source % parts == number) | (edges.target % parts == number))
        places.append(rows)
        part = Edges(edges.source[rows], edges.target[rows], edges.timestamp[rows], edges.amount[rows])
        tasks.append(_Part(part, number, parts, tuple(windows_s)))
    found = np.empty((len(edges), 12 * len(windows_s)), dtype=np.float32)
    half = found.shape[1] // 2
    answers = run_all(pool, _of_part, tasks)
    for task, rows, (of_sources, of_targets) in zip(tasks, places, answers, strict=True):
        found[rows[task.edges.source % parts == task.number], :half] = of_sources
        found[rows[task.edges.target % parts == task.number], half:] = of_targets
    return found


def _of_part(part: _Part) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    found = window_features(part.edges, part.windows_s)
    half = found.shape[1] // 2
    mine = part.edges.source % part.of == part.number, part.edges.target % part.of == part.number
    return found[mine[0], :half], found[mine[1], half:]


def write_features(
    path: Path,
    folder: Path,
    columns: Columns | None = None,
    *,
    windows_s: Sequence[int] = WINDOWS_S,
    memory: str = MEMORY,
) -> int:
    """The columns of a file's transfers, as Parquet files ``features-00000.parquet`` and on, in a folder.

    Memory holds one piece and the longest window, whatever the file's length. Returns the number of rows;
    errors as `read_edges`.
    """
    stream, total = Stream(windows_s), 0
    with sorted_on_disk(path, columns, memory=memory) as opened:
        for number, (start, edges) in enumerate(opened.pieces()):
            save_features(
                edges, stream.append(edges), folder, windows_s=windows_s, start=start, number=number
            )
            total += len(edges)
    return total


def save_features(
    edges: Edges,
    found: Features,
    folder: Path,
    *,
    windows_s: Sequence[int] = WINDOWS_S,
    start: int = 0,
    number: int = 0,
) -> int:
    """Transfers and their columns as one Parquet file; how many. ``start`` is the first one's row, ``number``
    the file's."""
    duckdb = required("duckdb", extra="watch")
    folder.mkdir(parents=True, exist_ok=True)
    piece: dict[str, Any] = {
        "row": np.arange(start, start + len(edges)),
        "timestamp": edges.timestamp,
        "amount": edges.amount,
    }
    names = column_names(windows_s)
    piece |= {name: np.ascontiguousarray(found[:, at]) for at, name in enumerate(names)}
    there = str(folder / f"features-{number:05}.parquet").replace("'", "''")
    with duckdb.connect() as writer:
        writer.register("piece", piece)
        writer.execute(f"COPY (SELECT * FROM piece) TO '{there}' (FORMAT parquet)")  # noqa: S608
    return len(edges)
