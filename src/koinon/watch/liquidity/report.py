# SPDX-License-Identifier: Apache-2.0
"""The three reports of liquidity: of a series' tail, of one pool or vault, and of the warnings themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.markets.history.history import History
from koinon.markets.simulation.returns import DAYS_A_YEAR, SETS, load
from koinon.watch.liquidity.backtests import backtest
from koinon.watch.liquidity.coverage import coverage, liquid
from koinon.watch.liquidity.flows import flows, holdings
from koinon.watch.liquidity.forecast import FIRST_DAYS, forecast
from koinon.watch.liquidity.reading import Position
from koinon.watch.liquidity.runs import TOPS, breaks_at, runs
from koinon.watch.liquidity.simulated import pools as simulated_pools
from koinon.watch.liquidity.tail import LEVELS, METHODS, WINDOW_DAYS, filtered, foretell, historical
from koinon.watch.liquidity.warning import falls, market_signals, scores, signals

Floats = NDArray[np.float64]

FALL: Final = 0.2
SIMULATED: Final = "simulated pools with and without runs; not a real chain"


def tail_report(returns: Floats, name: str, *, window: int = WINDOW_DAYS) -> dict[str, Any]:
    """VaR and ES for the next day by each method and level, and how those of earlier days held.

    Errors as `tail.foretell`.
    """
    rows = []
    for method in METHODS:
        made = filtered if method == "filtered" else historical
        for level in LEVELS:
            now = made(-returns[-window:], level)
            past = foretell(returns, level, method, window=window)
            ratio = past.shortfall_ratio
            rows.append(
                {
                    "method": method,
                    "level": level,
                    "value_at_risk": now.value_at_risk,
                    "shortfall": now.shortfall,
                    "backtest": backtest(past.exceeded, level).document(),
                    "shortfall_ratio": ratio if np.isfinite(ratio) else None,
                }
            )
    return {"data": name, "days": int(returns.size), "window_days": window, "figures": rows}


def pool_report(
    history: History,
    contract: str,
    position: Position,
    *,
    tops: Sequence[int] = TOPS,
    horizon: int = 1,
    seed: int = 0,
) -> dict[str, Any]:
    """What one pool or vault can pay out, what may be asked for, and what its largest holders could do.

    Where the history is too short for a forecast, ``forecast`` is null; errors as `coverage.coverage`,
    `flows.flows` and `flows.holdings`.
    """
    moved = flows(history, contract)
    held = holdings(history, contract)
    ready = liquid(position.idle, position.held, position.pools or (), position.asset)
    owed = position.owed if position.owed is not None else int(moved.balance[-1])
    covered = coverage(moved, ready.total, owed=float(owed), seed=seed)
    claims = held.scaled(owed)
    told = forecast(moved, horizon, seed=seed) if len(moved) > FIRST_DAYS + horizon + 1 else None
    return {
        "contract": contract,
        "days": len(moved),
        "owed": owed,
        "liquid": {
            "idle": ready.idle,
            "total": ready.total,
            "held": [each.document() for each in ready.saleable],
        },
        "coverage": covered.document(),
        "holders": {
            "number": len(claims.names),
            "concentration": held.concentration,
            "largest": [
                {"account": name, "share": amount / held.total}
                for name, amount in zip(held.names[:5], held.amounts[:5], strict=True)
            ],
            "runs": [each.document() for each in runs(claims, ready.total, tops)],
            "breaks_at": breaks_at(claims, ready.total),
        },
        "forecast": None if told is None else told.document(),
        "red": covered.red,
    }


def warnings_report(*, count: int = 60, seed: int = 2, real: bool = True) -> dict[str, Any]:
    """How often warnings were right: on simulated runs, and (``real``) of market falls in real returns.

    SetupError without the package that carries the returns.
    """
    made = simulated_pools(count, seed=seed)
    found = [signals(each.flows, each.liquid, each.top_share) for each in made]
    events = [[each.fails_on] if each.fails_on >= 0 else [] for each in made]
    document: dict[str, Any] = {
        "simulated": {
            "data": f"{SIMULATED} ({count} pools, seed {seed})",
            "event": "the first day on which more is asked for than can be paid",
            "signals": [each.document() for each in scores(found, events, first=FIRST_DAYS)],
        }
    }
    if real:
        series = real_series()
        rows = [market_signals(each) for each in series.values()]
        dates = [falls(each, share=FALL) for each in series.values()]
        told = scores(rows, dates, first=WINDOW_DAYS + 250, a_year=DAYS_A_YEAR)
        document["real"] = {
            "data": f"real daily returns shipped with skfolio: {', '.join(series)}",
            "event": f"a fall of {FALL:.0%} from the highest price of ten days",
            "signals": [each.document() for each in told],
        }
    return document


def real_series() -> Mapping[str, Floats]:
    """Name → real daily log returns, from the files of skfolio (which is not imported)."""
    found = [load(name) for name in SETS]
    return {name: each.values[:, at] for each in found for at, name in enumerate(each.names)}
