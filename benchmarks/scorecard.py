# SPDX-License-Identifier: Apache-2.0
"""How close points come to boosted trees on real defaults, and how fast they are.

``auc_gap`` is the AUC of LightGBM less that of the integer points scorecard on rows that taught neither, on
real sets (`koinon.lending.datasets`), mean of three splits, beside what bins made one column at a time lose:
by a decision tree, and by the optbinning library. ``within`` counts the five sets whose gap is at most 0.01.
``rows_per_s`` is scoring rows of whole numbers with the scorecard of the largest set; ``encoded_rows_per_s``
includes making whole numbers of the columns.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from koinon.estimates import Estimate
from koinon.lending.datasets.reading import load
from koinon.lending.scoring.challenger import fit_challenger
from koinon.lending.scoring.frame import Frame
from koinon.lending.scoring.measures import auc, auc_difference
from koinon.lending.scoring.points import BINNERS, Plan, fit_points
from koinon.lending.scoring.reader import read_rows
from koinon.lending.scoring.splits import split

SETS: Final = ("givemesomecredit", "taiwan", "pakdd2009", "vub", "lendingclub")
SPLITS: Final = 3
MOST_GAP: Final = 0.01
LEAST_WITHIN: Final = 3
ROWS: Final = 1_000_000


def run() -> Iterator[dict[str, Any]]:
    within = 0
    for name in SETS:
        frame = load(name)
        gaps: dict[str, list[Estimate]] = {binner: [] for binner in BINNERS}
        seconds = dict.fromkeys(BINNERS, 0.0)
        trees: list[float] = []
        for seed in range(SPLITS):
            _judge(frame, seed, gaps, seconds, trees)
        mean = {binner: float(np.mean([gap.value for gap in found])) for binner, found in gaps.items()}
        within += mean["boosted"] <= MOST_GAP
        first = gaps["boosted"][0]
        unit = (
            f"AUC below LightGBM's {np.mean(trees):.4f}, mean of {SPLITS} splits, off-chain real; "
            f"split 0: {first.value:+.4f}, 95 % {first.low:+.4f} to {first.high:+.4f}; "
            f"a column at a time: optbinning {mean['optimal']:+.4f}, tree {mean['tree']:+.4f}; "
            f"fitted in {seconds['boosted'] / SPLITS:.1f} s, optbinning {seconds['optimal'] / SPLITS:.1f} s"
        )
        yield _figure(
            f"scorecard.auc_gap.{name}", mean["boosted"], mean["optimal"], unit, MOST_GAP, least=False
        )
    yield _figure(
        "scorecard.auc_gap.within", within, None, f"of {len(SETS)} sets, gap at most {MOST_GAP}", LEAST_WITHIN
    )
    yield from _speed()


def _judge(
    frame: Frame,
    seed: int,
    gaps: dict[str, list[Estimate]],
    seconds: dict[str, float],
    trees: list[float],
) -> None:
    parts = split(frame, seed=seed)
    teach, judge = frame.take(parts.train), frame.take(parts.test)
    theirs = fit_challenger(teach, seed).raw(judge)
    trees.append(auc(judge.labels, theirs).value)
    for binner, found in gaps.items():
        started = time.perf_counter()
        table, readers = fit_points(teach, Plan(binner=binner, seed=seed))
        seconds[binner] += time.perf_counter() - started
        points = table.points(read_rows(readers, judge)).astype(np.float64)
        found.append(auc_difference(judge.labels, theirs, -points))


def _speed() -> Iterator[dict[str, Any]]:
    frame = load(SETS[0])
    table, readers = fit_points(frame.take(np.arange(20_000)), Plan(binner="tree"))
    many = frame.take(np.random.default_rng(0).integers(0, len(frame), ROWS))
    rows = read_rows(readers, many)
    told = (
        f"rows of {len(table.features)} features with {sum(len(each.points) for each in table.features)} bins"
    )
    core = min(_timed(lambda: table.points(rows)) for _ in range(3))
    whole = min(_timed(lambda: table.points(read_rows(readers, many))) for _ in range(3))
    yield _figure("scorecard.rows_per_s", ROWS / core, None, f"1/s, {told}, one core", 1_000_000)
    yield _figure("scorecard.encoded_rows_per_s", ROWS / whole, None, f"1/s, {told}, from columns", 500_000)


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _figure(
    name: str, ours: float, peer: float | None, unit: str, target: float, *, least: bool = True
) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 4),
        "peer": None if peer is None else round(peer, 4),
        "ratio": None if not peer else round(ours / peer, 4),
        "unit": unit,
        "target": target,
        "ok": ours >= target if least else ours <= target,
    }
