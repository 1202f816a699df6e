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
from koinon.watch.liquidity.coverage import Liquid, coverage, liquid
from koinon.watch.liquidity.flows import Flows, Holdings, flows, holdings
from koinon.watch.liquidity.forecast import FIRST_DAYS, forecast
from koinon.watch.liquidity.reading import Position
from koinon.watch.liquidity.runs import TOPS, breaks_at
from koinon.watch.liquidity.runs import runs as runs_of
from koinon.watch.liquidity.series import liquid_by_day, top_share_by_day
from koinon.watch.liquidity.simulated import pool as simulated_pool
from koinon.watch.liquidity.simulated import pools as simulated_pools
from koinon.watch.liquidity.tail import LEVELS, METHODS, WINDOW_DAYS, filtered, foretell, historical
from koinon.watch.liquidity.warning import falls, market_signals, scores, signals

Floats = NDArray[np.float64]

FALL: Final = 0.2
RECENT_DAYS: Final = 90
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
    data: str = "",
    tops: Sequence[int] = TOPS,
    horizon: int = 1,
    seed: int = 0,
) -> dict[str, Any]:
    """What one pool or vault can pay out, what may be asked for, and what its largest holders could do.

    ``warning`` says which early warnings ring at the end of the rows, ``recent`` what was liquid and what was
    taken out on the last `RECENT_DAYS` days. Where the history is too short for a forecast, ``forecast`` and
    ``warning`` are null. ``data`` says in words what the rows are. Errors as `coverage.coverage`,
    `flows.flows` and `flows.holdings`.
    """
    moved = flows(history, contract)
    held = holdings(history, contract)
    ready = liquid(position.idle, position.held, position.pools or (), position.asset)
    owed = position.owed if position.owed is not None else int(moved.balance[-1])
    series = (
        liquid_by_day(history, contract, moved, position.asset, ready.total),
        top_share_by_day(history, contract, moved),
    )
    made = _pool(moved, held, ready, owed, series, tops=tops, horizon=horizon, seed=seed)
    return {"contract": contract, "data": data, **made}


def simulated_report(*, runs: bool = True, seed: int = 0, tops: Sequence[int] = TOPS) -> dict[str, Any]:
    """The same of one simulated pool, which the report says; as of the day before it fails, where it does."""
    made = simulated_pool(runs=runs, seed=seed)
    end = made.fails_on if made.fails_on > FIRST_DAYS else len(made.flows)
    moved = made.flows.through(end)
    series = made.liquid[:end], made.top_share[:end]
    ready = Liquid(int(made.liquid[end - 1]))
    told = _pool(moved, made.holdings, ready, int(moved.balance[-1]), series, tops=tops, horizon=1, seed=seed)
    return {"contract": f"simulated {seed}", "data": f"{SIMULATED} (one pool, seed {seed})", **told}


def _pool(
    moved: Flows,
    held: Holdings,
    ready: Liquid,
    owed: int,
    series: tuple[Floats, Floats],
    *,
    tops: Sequence[int],
    horizon: int,
    seed: int,
) -> dict[str, Any]:
    covered = coverage(moved, ready.total, owed=float(owed), seed=seed)
    claims = held.scaled(owed)
    enough = len(moved) > FIRST_DAYS + horizon + 1
    told = forecast(moved, horizon, seed=seed) if enough else None
    rings = {name: bool(days[-1]) for name, days in signals(moved, *series).items()} if enough else None
    return {
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
            "runs": [each.document() for each in runs_of(claims, ready.total, tops)],
            "breaks_at": breaks_at(claims, ready.total),
        },
        "forecast": None if told is None else told.document(),
        "warning": rings,
        "recent": _recent(moved, series[0]),
        "red": covered.red,
    }


def _recent(moved: Flows, ready: Floats) -> dict[str, Any]:
    """The last days of the flows: the first of them (days since 1970), what was liquid at each one's end and
    what was withdrawn, in smallest units."""
    last = max(0, len(moved) - RECENT_DAYS)
    return {
        "first_day": moved.first_day + last,
        "liquid": [round(each) for each in ready[last:].tolist()],
        "withdrawn": [round(each) for each in moved.withdrawn[last:].tolist()],
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
