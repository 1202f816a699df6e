# SPDX-License-Identifier: Apache-2.0
"""How fast the watch's graph engine is, and beside what.

``graph.edges_per_s``: point-in-time counts, sums and distinct partners of both ends within an hour, a day and
a week (36 columns) for a million transfers; the peer is DuckDB's RANGE windows for 12 of these columns (what
the payer paid and the payee got: counts and sums). ``graph.vs_snapml``: vertex statistics, fans,
scatter-gathers and cycles within a day beside IBM's Graph Feature Preprocessor, which is proprietary and
never installed with Koinon: the peer is None unless ``KOINON_SNAPML_PYTHON`` names a Python that has
it. ``graph.vs_networkx``: components and PageRank, graph included. ``graph.scaling.*``: rows a second from
10,000 transfers to ten million, read from Parquet, swept and written piece by piece in a process of its own,
with its ``peak_mib`` beside.

Seconds are of the processor, of one thread, so that others' work does not count; DuckDB is told one thread.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from koinon.watch.graph import Edges, window_features
from koinon.watch.graph.structure import components, pagerank
from koinon.watch.graph.windows import WINDOWS_S
from koinon.watch.laundering.cycles import find_cycles
from koinon.watch.laundering.layering import find_layers
from koinon.watch.laundering.rules import Rules

EDGES: Final = 1_000_000
ACCOUNTS: Final = 100_000
SNAPML_EDGES: Final = 200_000
DAYS: Final = 30
DAY_S: Final = 86_400
SIZES: Final = (10_000, 100_000, 1_000_000, 10_000_000)

Figure = Mapping[str, Any]


def run() -> Iterator[Figure]:
    """The figures of this module."""
    edges = made(EDGES)
    window_features(edges.between(0, 1_000))  # compiled now, or read from disk
    ours = EDGES / timed(lambda: window_features(edges))
    yield figure("edges_per_s", ours, "edges/s", peer=in_duckdb(edges), target=250_000, of_ratio=False)
    yield against_snapml(made(SNAPML_EDGES))
    yield against_networkx(edges)
    yield from scaling()


def figure(
    name: str,
    ours: float,
    unit: str,
    *,
    peer: float | None = None,
    target: float | None = None,
    of_ratio: bool = True,
) -> Figure:
    """``ok`` is None where nothing is held against a target: there is none, or no peer was measured.
    ``target`` is of the ratio where ``of_ratio``, else of our own number."""
    ratio = None if peer is None else ours / peer
    reached = ratio if of_ratio else ours
    return {
        "name": f"graph.{name}",
        "ours": round(ours, 1),
        "peer": None if peer is None else round(peer, 1),
        "ratio": None if ratio is None else round(ratio, 1),
        "unit": unit,
        "target": target,
        "ok": None if target is None or reached is None else reached >= target,
    }


def made(rows: int, seed: int = 0) -> Edges:
    """Transfers over a month; who pays and who is paid is skewed as it is on chains."""
    random = np.random.default_rng(seed)
    accounts = max(1_000, rows // 10) if rows > EDGES else min(ACCOUNTS, max(1_000, rows // 10))
    skew = random.permutation(accounts)
    source = skew[(accounts * random.random(rows) ** 1.5).astype(np.int64)]
    target = skew[(accounts * random.random(rows) ** 1.5).astype(np.int64)]
    times = np.sort(random.integers(0, DAYS * DAY_S, rows))
    return Edges.of(source, target, times, random.lognormal(4, 1.5, rows))


def timed(work: Callable[[], object]) -> float:
    """Seconds of this process's own time."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def in_duckdb(edges: Edges) -> float:
    """Edges a second of DuckDB's windows, for twelve of our columns."""
    import duckdb  # noqa: PLC0415  (an extra)

    rows = {
        "row": np.arange(len(edges)),
        "source": edges.source,
        "target": edges.target,
        "at": edges.timestamp,
        "amount": edges.amount,
    }
    with duckdb.connect() as base:
        base.execute("SET threads = 1")
        base.register("rows", rows)
        base.execute("CREATE TABLE e AS SELECT * FROM rows")
        columns = [
            f'{what} OVER (PARTITION BY {end} ORDER BY "at" '
            f"RANGE BETWEEN {window - 1} PRECEDING AND CURRENT ROW)"
            for end in ("source", "target")
            for window in WINDOWS_S
            for what in ("count(*)", "sum(amount)")
        ]
        named = ", ".join(f"{each} AS c{at}" for at, each in enumerate(columns))
        took = timed(lambda: base.execute(f"CREATE TABLE f AS SELECT row, {named} FROM e"))  # noqa: S608
    return len(edges) / took


SNAPML: Final = """
import json, sys, time
import numpy as np
from snapml import GraphFeaturePreprocessor
rows = np.load(sys.argv[1])
maker = GraphFeaturePreprocessor()
parameters = maker.get_params()
parameters.update({
    "num_threads": 1, "time_window": 86400, "max_no_edges": -1, "vertex_stats": True,
    "vertex_stats_tw": 86400, "vertex_stats_cols": [4], "vertex_stats_feats": [0, 1, 2, 3],
    "fan": True, "fan_tw": 86400, "fan_bins": [2, 4, 8, 16], "degree": True, "degree_tw": 86400,
    "degree_bins": [2, 4, 8, 16], "scatter-gather": True, "scatter-gather_tw": 86400,
    "scatter-gather_bins": [3, 4, 8], "temp-cycle": True, "temp-cycle_tw": 86400,
    "temp-cycle_bins": [3, 4, 5, 6], "lc-cycle": False,
})
maker.set_params(parameters)
begin = time.process_time()
maker.fit_transform(rows)
print(json.dumps({"seconds": time.process_time() - begin}))
"""


def against_snapml(edges: Edges) -> Figure:
    """The shared columns of both, where snapml can be asked."""
    rules = Rules(window_s=DAY_S)
    find_cycles(edges.between(0, 1_000), rules)
    find_layers(edges.between(0, 1_000), rules)

    def ours() -> None:
        window_features(edges, (DAY_S,))
        find_cycles(edges, rules)
        find_layers(edges, rules)

    speed = len(edges) / timed(ours)
    python = os.environ.get("KOINON_SNAPML_PYTHON")
    if not python:
        print("snapml is not installed: KOINON_SNAPML_PYTHON names no Python that has it", file=sys.stderr)
        return figure("vs_snapml", speed, "edges/s", target=10)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        columns = (np.arange(len(edges)), edges.source, edges.target, edges.timestamp, edges.amount)
        np.save(path, np.stack([np.asarray(each, dtype=np.float64) for each in columns], axis=1))
        answer = subprocess.run(
            [python, "-c", SNAPML, str(path)], capture_output=True, text=True, check=True, timeout=900
        )
    peer = len(edges) / float(json.loads(answer.stdout.splitlines()[-1])["seconds"])
    return figure("vs_snapml", speed, "edges/s", peer=peer, target=10)


def against_networkx(edges: Edges) -> Figure:
    """Weak components and PageRank, from the columns on."""
    import networkx  # noqa: PLC0415  (slow to import, and only here)

    part = edges.between(0, len(edges) // 5)  # networkx takes over a minute for all

    def ours() -> None:
        components(part)
        pagerank(part)

    def theirs() -> None:
        graph = networkx.MultiDiGraph()
        graph.add_edges_from(zip(part.source.tolist(), part.target.tolist(), strict=True))
        list(networkx.weakly_connected_components(graph))
        networkx.pagerank(graph)

    components(part.between(0, 100))  # scipy is imported now
    speed = len(part) / timed(ours)
    return figure("vs_networkx", speed, "edges/s", peer=len(part) / timed(theirs), target=30)


WORKER: Final = """
import json, resource, sys, time
from pathlib import Path
from koinon.watch.graph import Edges, window_features
from koinon.watch.graph.spreading import write_features
window_features(Edges.of([0], [1], [0], [1]))  # imported and compiled now
begin = time.process_time()
rows = write_features(Path(sys.argv[1]), Path(sys.argv[2]), memory="512MB")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"rows": rows, "seconds": time.process_time() - begin, "peak_mib": peak}))
"""


def scaling() -> Iterator[Figure]:
    """Rows a second, and the most memory, from file to files."""
    import duckdb  # noqa: PLC0415

    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            there = Path(folder)
            edges = made(size)
            rows = {
                "source": edges.source,
                "target": edges.target,
                "timestamp": edges.timestamp,
                "amount": edges.amount,
            }
            with duckdb.connect() as base:
                base.register("rows", rows)
                base.execute(f"COPY (SELECT * FROM rows) TO '{there}/edges.parquet'")  # noqa: S608
            del edges, rows
            answer = subprocess.run(
                [sys.executable, "-c", WORKER, str(there / "edges.parquet"), str(there / "out")],
                capture_output=True,
                text=True,
                check=True,
                timeout=1_800,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        told = json.loads(answer.stdout.splitlines()[-1])
        yield figure(f"scaling.{size}", told["rows"] / told["seconds"], "rows/s")
        yield figure(f"scaling.{size}.peak_mib", told["peak_mib"], "MiB")
