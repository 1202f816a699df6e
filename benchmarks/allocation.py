# SPDX-License-Identifier: Apache-2.0
"""Allocation methods on 20 stocks of the S&P 500 (skfolio's sample, 1990 to 2022), walk forward, after costs.

Each method learns from 504 days, one day before the quarter that it is tested on, and pays 30 basis points of
what it trades. ``ours`` is its Sharpe ratio a year, ``peer`` equal weight's on the same days; the intervals
are stationary bootstraps of the ratio and of its difference to equal weight. The stocks are those that
lived to be chosen, so all ratios are too high; the differences are what is compared.
``koinon treasury backtest sp500 --folds 8`` adds combinatorial purged cross-validation.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROWS = 2_521  # ten years to the end of the sample
TARGET_S = 5.0


def run() -> Iterator[dict[str, Any]]:
    from koinon.treasury.allocation.backtest import Plan, backtest  # noqa: PLC0415  (after the threads)
    from koinon.treasury.allocation.methods import WITHOUT_VIEWS  # noqa: PLC0415
    from koinon.treasury.allocation.prices import sp500_prices  # noqa: PLC0415

    report = backtest(sp500_prices(ROWS), WITHOUT_VIEWS, Plan(), folds=0)
    base = report.rows[0].sharpe
    for row in report.rows:
        yield {
            "name": f"allocation.{row.method.replace('-', '_')}",
            "ours": round(row.sharpe, 3),
            "peer": round(base, 3),
            "ratio": round(row.sharpe / base, 3),
            "unit": f"Sharpe ratio a year after costs, 95 %: {row.sharpe_interval[0]:.2f} to "
            f"{row.sharpe_interval[1]:.2f}; over equal weight, 95 %: {row.beats_interval[0]:+.2f} to "
            f"{row.beats_interval[1]:+.2f}; {report.tested} days to {report.end}",
            "target": None,
            "ok": True,
        }
    slowest = max(report.rows, key=lambda row: row.seconds)
    yield {
        "name": "allocation.slowest_fit_s",
        "ours": round(slowest.seconds, 3),
        "peer": None,
        "ratio": None,
        "unit": f"s, {slowest.method}, 504 days of 20 assets",
        "target": TARGET_S,
        "ok": slowest.seconds <= TARGET_S,
    }
