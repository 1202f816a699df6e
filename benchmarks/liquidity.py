# SPDX-License-Identifier: Apache-2.0
"""Liquidity risk: how VaR held on real returns, withdrawal forecasts beside the guess, and early warning.

``liquidity.var_*``: days beyond the filtered 99 % (and 95 %) figure on the real daily returns that come with
skfolio, beside the historical figure's and the number expected. ``liquidity.forecast_*``: pinball loss of
boosted trees over the seasonal-naive guess's, rolling origin, on simulated pools. ``liquidity.warning_*``:
hits of events, beside what the same alarms moved in time hit; simulated runs, and real falls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from koinon.watch.liquidity.backtests import backtest
from koinon.watch.liquidity.forecast import QUANTILES, pinball, rolled
from koinon.watch.liquidity.report import real_series, warnings_report
from koinon.watch.liquidity.simulated import pools
from koinon.watch.liquidity.tail import LEVELS, foretell

POOLS, SEED, DRAWS = 30, 11, 1_000


def run() -> Iterator[dict[str, Any]]:
    yield from _held()
    yield from _forecasts()
    yield from _warned()


def _held() -> Iterator[dict[str, Any]]:
    for name, returns in real_series().items():
        for level in LEVELS:
            own, plain = (foretell(returns, level, method) for method in ("filtered", "historical"))
            held, before = backtest(own.exceeded, level), backtest(plain.exceeded, level)
            yield {
                "name": f"liquidity.var_{name.lower()}_{level * 100:.0f}",
                "ours": held.exceeded,
                "peer": before.exceeded,
                "ratio": round(held.exceeded / held.expected, 2),
                "unit": "days beyond filtered (historical) VaR; "
                f"{held.expected:.0f} of {held.days} expected; "
                f"Kupiec p {held.kupiec.p:.3f} ({before.kupiec.p:.3f}), Christoffersen p "
                f"{held.coverage.p:.3f} ({before.coverage.p:.3f}); loss beyond over ES "
                f"{own.shortfall_ratio:.2f} ({plain.shortfall_ratio:.2f}); real returns",
                "target": None,
                "ok": None,
            }


def _forecasts() -> Iterator[dict[str, Any]]:
    made = pools(POOLS, with_run=0.2, seed=SEED)
    for horizon in (1, 7):
        found = [rolled(each.flows, horizon) for each in made]
        for at, quantile in enumerate(QUANTILES):
            trees = np.array([pinball(one.came, one.trees[at], quantile).mean() for one in found])
            guess = np.array([pinball(one.came, one.guess[at], quantile).mean() for one in found])
            # whole pools are drawn again: days of one pool are no independent evidence
            drawn = np.random.default_rng(0).integers(0, POOLS, (DRAWS, POOLS))
            low, high = np.quantile(trees[drawn].sum(axis=1) / guess[drawn].sum(axis=1), (0.025, 0.975))
            below = float(np.mean([(one.came <= one.trees[at]).mean() for one in found]))
            yield {
                "name": f"liquidity.forecast_{horizon}d_{quantile * 100:.0f}",
                "ours": round(float(trees.mean()), 6),
                "peer": round(float(guess.mean()), 6),
                "ratio": round(float(trees.sum() / guess.sum()), 3),
                "unit": f"pinball loss of trees and of the seasonal-naive guess, {POOLS} simulated pools, "
                f"ratio {low:.3f} to {high:.3f}; {below:.1%} of days below the trees",
                "target": None,
                "ok": None,
            }


def _warned() -> Iterator[dict[str, Any]]:
    for kind, part in warnings_report().items():
        for each in part["signals"]:
            yield {
                "name": f"liquidity.warning_{kind}_{each['name']}",
                "ours": round(each["hit_rate"], 3),
                "peer": round(each["chance"], 3),
                "ratio": round(each["hit_rate"] / each["chance"], 2) if each["chance"] else None,
                "unit": f"hit rate ({each['hits']} of {each['events']}, {each['low']:.2f} to "
                f"{each['high']:.2f}) and by chance; {each['false_a_year']:.1f} false alarms a year, rings "
                f"{each['ringing']:.0%} of days, {each['lead'] or 0:.0f} days before; {kind}",
                "target": None,
                "ok": None,
            }
